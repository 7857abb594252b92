//! The command line. Exit codes: 0 success, 1 failure, 2 a setting or argument that cannot be used.

mod arguments;
mod audit;
mod copy;
mod demo;
mod events;
mod flags;
mod greeting;
mod health;
mod migrate;
mod relay;
mod seed;
mod serve;
mod signals;
mod size;
mod start_line;
mod verify_draw;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ArgMatches;

use crate::settings::Settings;
use crate::telemetry::{Traces, TracesError};
use flags::Flags;

/// Why a command failed, as text for standard error.
enum Failed {
    /// The work failed: exit code 1.
    Error(String),
    /// A setting or argument cannot be used, or a draw that one names cannot be read, and nothing was started: exit code 2.
    Usage(String),
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Error(error.to_string())
    }
}

type Outcome = Result<ExitCode, Failed>;

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let outcome = signals::outlive_size_limits().and_then(|()| run_command(&arguments::command().get_matches()));
    match outcome {
        Ok(code) => code,
        Err(Failed::Error(reason)) => complain(&reason, 1),
        Err(Failed::Usage(reason)) => complain(&reason, 2),
    }
}

fn run_command(matches: &ArgMatches) -> Outcome {
    let Some((name, given)) = matches.subcommand() else {
        return Err(Failed::Usage("there is no command; see onsale --help".to_owned()));
    };
    let flags = Flags::read(matches)?;
    match name {
        "copy" | "openapi" | "size" | "verify-draw" | "completions" => flags.refuse(name)?,
        _ => {}
    }
    let settings = || flags.settings(name);
    match name {
        "serve" => serve::run(settings()?, given.get_flag("demo")),
        "migrate" => migrate::run(&settings()?),
        "seed" => seed::run(&settings()?),
        "audit" => audit::run(&settings()?),
        "copy" => copy::run(given),
        "events" => events::run(&settings()?, given),
        "relay" => relay::relay(&settings()?),
        "consume" => relay::consume(&settings()?),
        "health" => health::run(flags.listen()?),
        "openapi" => print(&format!("{:#}", crate::http::document(None))),
        "size" => size::run(given),
        "verify-draw" => verify_draw::run(given),
        "completions" => arguments::completions(given),
        _ => Err(Failed::Usage(format!("{name} is not a command; see onsale --help"))),
    }
}

fn complain(reason: &dyn Display, code: u8) -> ExitCode {
    // If standard error is closed, the exit code is all that can be reported.
    let _ = writeln!(io::stderr(), "onsale: {reason}");
    ExitCode::from(code)
}

/// Starts traces.
///
/// # Errors
/// `Failed::Usage` if the settings name a collector and this program was built without traces.
fn start_traces(settings: &Settings) -> Result<Traces, Failed> {
    Traces::start(settings).map_err(|error| match error {
        #[cfg(not(feature = "otlp"))]
        TracesError::NotBuilt => Failed::Usage(error.to_string()),
        #[cfg(feature = "otlp")]
        TracesError::Client(_) => Failed::Error(error.to_string()),
    })
}

/// Prints lines on standard output. A closed pipe is not an error.
fn print(text: &str) -> Outcome {
    print_bytes(format!("{text}\n").as_bytes())
}

/// Prints text that already ends with a line feed. A closed pipe is not an error.
fn print_bytes(text: &[u8]) -> Outcome {
    write_to_reader(text).map(|_| ExitCode::SUCCESS)
}

/// Writes to standard output and flushes it. Returns whether the reader still has the pipe open.
///
/// # Errors
/// `Failed::Error` on any other error, such as a full disk.
fn write_to_reader(text: &[u8]) -> Result<bool, Failed> {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Runs the work of a command to its end on a new runtime.
fn block_on<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
