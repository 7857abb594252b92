//! A server program in a temporary folder, started so that nothing disturbs a measurement: its output goes to a file.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::Outcome;

/// The admin key of all servers that are started here.
pub(super) const ADMIN_KEY: &str = "an-admin-key-for-benchmarks-only";

/// A server program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    /// Words in front of its command line.
    prefix: Vec<String>,
    folder: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    child: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts a program in a new, empty folder. Its first line of output must end with the URL at which it listens.
    /// Variables of this process whose names begin with `ONSALE_` are not passed on. Its log is written to the folder.
    ///
    /// # Errors
    /// If it does not start. The error contains its log.
    pub fn start(path: &Path, arguments: &[&str]) -> Outcome<Self> {
        Self::start_with(path, arguments, &[])
    }

    /// [`Program::start`] with variables, which [`Program::run`] sets too.
    ///
    /// # Errors
    /// If it does not start. The error contains its log.
    pub fn start_with(path: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome<Self> {
        Self::start_under(&[], path, arguments, environment)
    }

    /// [`Program::start_with`] by a command line that begins with these words, and that becomes the program. They are not used
    /// for [`Program::run`].
    ///
    /// # Errors
    /// If it does not start. The error contains its log.
    pub fn start_under(
        prefix: &[String],
        path: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Outcome<Self> {
        let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let folder = tempfile::Builder::new().prefix("onsale-load-").tempdir()?;
        let prefix = prefix.to_owned();
        let (child, address) = launch((&prefix, path), folder.path(), (&arguments, &environment), "127.0.0.1:0")?;
        Ok(Self { path: path.to_owned(), prefix, folder, arguments, environment, child, address })
    }

    /// Kills it with `SIGKILL`, and waits for its end.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn kill(&mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again after its end: in the same folder, at the same address, with the same arguments.
    ///
    /// # Errors
    /// If it does not start. The error contains its log.
    pub fn restart(&mut self) -> Outcome<()> {
        let with = (&self.arguments[..], &self.environment[..]);
        let program = (&self.prefix[..], self.path.as_path());
        self.child = launch(program, self.folder.path(), with, &self.address.to_string())?.0;
        Ok(())
    }

    /// Removes the words in front of the command line, so that the next [`Program::restart`] starts the program alone.
    pub fn drop_prefix(&mut self) {
        self.prefix.clear();
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// If the system does not know it.
    pub fn ended(&mut self) -> Outcome<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder in which the program runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A value of its `/proc/…/status` in units of 1,024 bytes, such as `VmRSS`.
    ///
    /// # Errors
    /// If the system does not know it, as after the end of the process.
    pub fn kilobytes(&self, name: &str) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| format!("/proc/{}/status has no {name}", self.id()).into())
    }

    /// Processor time that it used so far, in steps of 10 ms.
    ///
    /// # Errors
    /// If the system does not know it, as after the end of the process.
    pub fn process_time(&self) -> Outcome<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // The name in brackets may contain spaces. User and system time are the 12th and 13th word after it.
        let words = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: u64 = words.skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Sends `SIGTERM`, and waits for its end.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn stop(&mut self) -> Outcome<ExitStatus> {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
        kill_process(id, Signal::TERM)?;
        Ok(self.child.wait()?)
    }

    /// Runs the program with other arguments in the same folder, and waits for its end.
    ///
    /// # Errors
    /// If it does not start.
    pub fn run(&self, arguments: &[&str]) -> Outcome<Output> {
        Ok(self.command(arguments).output()?)
    }

    /// The program with other arguments, in the same folder and with the same variables.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(&self.path, self.folder(), &self.environment);
        command.args(arguments);
        command
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program that listens at this address, and returns when it does, with the address that it printed.
fn launch(
    (prefix, path): (&[String], &Path),
    folder: &Path,
    (arguments, environment): (&[String], &[(String, String)]),
    listen: &str,
) -> Outcome<(Child, SocketAddr)> {
    let log = folder.join("log");
    let program = prefix.first().map_or(path, Path::new);
    let rest = prefix.iter().skip(1).map(AsRef::<OsStr>::as_ref);
    let mut child = command(program, folder, environment)
        .args(rest.chain((!prefix.is_empty()).then_some(path.as_os_str())))
        .args(arguments)
        .env("ONSALE_LISTEN", listen)
        .env("ONSALE_ADMIN_KEY", ADMIN_KEY)
        .stdout(Stdio::piped())
        .stderr(File::create(&log)?)
        .spawn()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let mut first = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut first)?;
    }
    match first.trim().rsplit_once("http://").and_then(|(_, address)| address.parse().ok()) {
        Some(address) => Ok((child, address)),
        None => {
            let _ = child.kill();
            let status = child.wait()?;
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            Err(format!("{} did not start ({status}): {first}{log}", path.display()).into())
        }
    }
}

fn command(path: &Path, folder: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(path);
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ONSALE_") {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}
