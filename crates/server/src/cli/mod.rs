//! The command line. Exit codes: 0 done, 1 failed, 2 a setting or argument that cannot be used.

mod arguments;
mod audit;
mod demo;
mod events;
mod greeting;
mod health;
mod migrate;
mod relay;
mod seed;
mod serve;
mod signals;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ArgMatches;

use crate::settings::{Settings, Sources};

/// Why a command failed.
pub(crate) enum Failed {
    /// It did not work out.
    Error(String),
    /// It was asked for in a way that cannot be.
    Usage(String),
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Error(error.to_string())
    }
}

type Outcome = Result<ExitCode, Failed>;

pub(crate) fn run() -> ExitCode {
    let matches = arguments::command().get_matches();
    let outcome = match matches.subcommand() {
        Some(("serve", given)) => with_settings(given, |settings| serve::run(settings, given.get_flag("demo"))),
        Some(("migrate", given)) => with_settings(given, |settings| migrate::run(&settings)),
        Some(("seed", given)) => with_settings(given, |settings| seed::run(&settings)),
        Some(("audit", given)) => with_settings(given, |settings| audit::run(&settings)),
        Some(("events", given)) => with_settings(given, |settings| events::run(&settings, given)),
        Some(("relay", given)) => with_settings(given, |settings| relay::relay(&settings)),
        Some(("consume", given)) => with_settings(given, |settings| relay::consume(&settings)),
        Some(("health", given)) => with_settings(given, |settings| health::run(&settings)),
        Some(("openapi", _)) => print(&format!("{:#}", crate::http::document(None))),
        Some(("completions", given)) => arguments::completions(given),
        _ => Err(Failed::Usage("no command; see onsale --help".to_owned())),
    };
    match outcome {
        Ok(code) => code,
        Err(Failed::Error(reason)) => complain(&reason, 1),
        Err(Failed::Usage(reason)) => complain(&reason, 2),
    }
}

fn with_settings(given: &ArgMatches, run: impl FnOnce(Settings) -> Outcome) -> Outcome {
    let flag = |name: &str| given.get_one::<String>(name).cloned();
    let file = given.get_one::<std::path::PathBuf>("config");
    let settings =
        Sources::gather(flag, file.map(std::path::PathBuf::as_path)).and_then(|sources| Settings::read(&sources));
    run(settings.map_err(|bad| Failed::Usage(bad.to_string()))?)
}

fn complain(reason: &dyn Display, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "onsale: {reason}");
    ExitCode::from(code)
}

/// Prints lines on standard output. A pipe that its reader closed is not an error.
fn print(text: &str) -> Outcome {
    print_to_reader(text).map(|_| ExitCode::SUCCESS)
}

/// Prints text that ends with a line feed already.
fn print_bytes(text: &[u8]) -> Outcome {
    write_to_reader(text).map(|_| ExitCode::SUCCESS)
}

/// Prints lines like [`print`]. Returns whether the reader still has the pipe open.
fn print_to_reader(text: &str) -> Result<bool, Failed> {
    write_to_reader(format!("{text}\n").as_bytes())
}

fn write_to_reader(text: &[u8]) -> Result<bool, Failed> {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Runs a command's work to its end.
fn block_on<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
