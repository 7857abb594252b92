//! The real program, started in a folder of its own and stopped by its process id.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, kill_process, prlimit, waitid};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::caller::Caller;
use crate::clock::WallClock;
use crate::contract::Contract;
use crate::folder::Folder;
use crate::limits::Limited;
use crate::patience::PATIENCE;

/// The setting of the address on which an instance listens.
const LISTEN: &str = "ONSALE_LISTEN";

/// The setting of the database's URL.
const DATABASE: &str = "ONSALE_DATABASE_URL";

/// The setting of the Redis that hands out places in line.
const REDIS: &str = "ONSALE_REDIS_URL";

/// How a program is to be started.
pub struct Launch {
    program: PathBuf,
    folder: Arc<Folder>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    /// Libraries that are loaded before the program's own.
    preloaded: Vec<PathBuf>,
    /// Words before the program on the command line: they become the program.
    prefix: Vec<String>,
}

impl Launch {
    /// The program in a new, empty folder. Settings of the surroundings are not passed on.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            folder: new_folder(),
            arguments: Vec::new(),
            variables: Vec::new(),
            preloaded: Vec::new(),
            prefix: Vec::new(),
        }
    }

    /// Another instance: the same program and settings in a new, empty folder, on a free port of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        let variables = self.variables.iter().filter(|(name, _)| name != LISTEN).cloned().collect();
        let (program, arguments) = (self.program.clone(), self.arguments.clone());
        let (preloaded, prefix) = (self.preloaded.clone(), self.prefix.clone());
        Self { program, folder: new_folder(), arguments, variables, preloaded, prefix }
    }

    /// Sets the URL of the database.
    #[must_use]
    pub fn on(self, url: impl std::fmt::Display) -> Self {
        self.set(DATABASE, url)
    }

    /// With a clock that is this many seconds ahead of the machine's, or behind it: the wall clock alone, not that by
    /// which time is measured. Needs libfaketime (a test asks `without("faketime")` first).
    ///
    /// # Panics
    /// If libfaketime is missing.
    #[must_use]
    pub fn clock_ahead(self, seconds: i64) -> Self {
        self.preload(crate::clock::library())
            .set("FAKETIME", format_args!("{seconds:+}s"))
            .set("FAKETIME_DONT_FAKE_MONOTONIC", 1)
    }

    /// With a clock that a test sets. Needs libfaketime.
    ///
    /// # Panics
    /// If libfaketime is missing.
    #[must_use]
    pub fn by_clock(self, clock: &WallClock) -> Self {
        let launch = self.preload(crate::clock::library());
        clock.variables().into_iter().fold(launch, |launch, (name, value)| launch.set(name, value))
    }

    /// Loads a library before the program's own.
    #[must_use]
    pub(crate) fn preload(mut self, library: PathBuf) -> Self {
        self.preloaded.push(library);
        self
    }

    /// The folder in which it runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a variable, such as `ONSALE_HOLD_SECONDS`.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds an argument to those of `serve`.
    #[must_use]
    pub fn with(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it in this group of processes, under the limits of the group.
    #[must_use]
    pub fn within(mut self, limited: &Limited) -> Self {
        self.prefix = limited.prefix();
        self
    }

    /// The program with these arguments, in the folder, with the variables.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.prefix.iter().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command.args(arguments).current_dir(self.folder()).stdin(Stdio::null()).kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ONSALE_") {
                command.env_remove(name);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if !self.preloaded.is_empty() {
            let libraries = std::env::join_paths(&self.preloaded).expect("libraries with plain names");
            command.env("LD_PRELOAD", libraries);
        }
        command
    }

    /// Runs the program with these arguments to its end.
    pub async fn run(&self, arguments: &[&str]) -> std::process::Output {
        self.prepare().await;
        let run = self.command(arguments).output();
        tokio::time::timeout(PATIENCE, run).await.expect("the program ends").expect("the program starts")
    }

    /// Gives the folder a database of its own where the tests are to run on one and this launch names none.
    async fn prepare(&self) {
        if !self.variables.iter().any(|(name, _)| name == DATABASE) {
            self.folder.prepare(&self.program).await;
        }
    }

    /// Starts `serve` on a free port.
    pub async fn start(&self) -> Instance {
        self.prepare().await;
        let mut arguments = vec!["serve"];
        arguments.extend(self.arguments.iter().map(String::as_str));
        let mut command = self.command(&arguments);
        if !self.variables.iter().any(|(name, _)| name == REDIS)
            && let Some(url) = crate::redis::tested().await
        {
            command.env(REDIS, url);
        }
        if !self.variables.iter().any(|(name, _)| name == LISTEN) {
            command.env(LISTEN, "127.0.0.1:0");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let errors = child.stderr.take().expect("a standard error");
        tokio::spawn(gather(errors, log.clone()));
        let mut lines = BufReader::new(child.stdout.take().expect("a standard output")).lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a first line in time");
        let first = first.expect("standard output can be read").unwrap_or_default();
        let Some(base) = first.strip_prefix("onsale listening on ").map(str::to_owned) else {
            let status = child.wait().await;
            panic!("the server did not start: {status:?}, {first:?}, log: {}", log.lock().unwrap());
        };
        let output = Arc::new(Mutex::new(first));
        tokio::spawn(gather(lines.into_inner(), output.clone()));
        Instance { child, base, log, output, folder: self.folder.clone() }
    }
}

fn new_folder() -> Arc<Folder> {
    Arc::new(Folder::new())
}

async fn gather(stream: impl AsyncRead + Unpin, into: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut text = into.lock().unwrap();
        text.push_str(&line);
        text.push('\n');
    }
}

/// A server that runs. Killed when it is dropped, and gone by then: what is started in its folder next is alone there.
pub struct Instance {
    child: Child,
    base: String,
    log: Arc<Mutex<String>>,
    output: Arc<Mutex<String>>,
    folder: Arc<Folder>,
}

impl Instance {
    /// Such as `http://127.0.0.1:4711`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The folder in which it runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id; `None` after its end.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What it wrote to standard output so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// A caller whose every reply is held against the server's own OpenAPI document.
    pub async fn caller(&self) -> Caller {
        let contract = Contract::of(&Caller::new(&self.base)).await;
        Caller::new(&self.base).held_to(contract)
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.running().expect("a running process"), signal).expect("a signal can be sent");
    }

    /// Lets no file of it grow beyond this many bytes, as `ulimit -f` does; `None` lifts that.
    ///
    /// # Panics
    /// If the system does not allow it.
    pub fn limit_file_size(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(self.running(), Resource::Fsize, limit).expect("a limit can be set");
    }

    /// Its process, unless its end was waited for.
    fn running(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("an end in time").expect("an exit status")
    }

    /// SIGTERM, and its end.
    pub async fn terminate(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// SIGKILL, and its end.
    pub async fn kill(self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.ended().await
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(id) = self.running() {
            let _ = kill_process(id, Signal::KILL);
            // The exit status stays for the runtime, which reaps the child.
            let _ = waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
    }
}
