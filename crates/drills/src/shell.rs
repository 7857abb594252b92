//! The shell of an operator: runs the commands of a page, with the addresses of the drill in its variables.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// The longest time that a command of a page may take.
const COMMAND_SECONDS_MAX: Duration = Duration::from_secs(60);

/// What a command did.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// Whether it ended with 0.
    pub(crate) is_done: bool,
    /// What it printed, on both outputs.
    pub(crate) output: String,
}

impl Ran {
    /// The beginning of its output in one line, for a timeline.
    pub(crate) fn line(&self) -> String {
        let words: Vec<&str> = self.output.split_whitespace().collect();
        words.join(" ").chars().take(150).collect()
    }
}

/// A shell in a folder of its own.
pub(crate) struct Shell {
    folder: tempfile::TempDir,
    path: OsString,
    variables: Vec<(String, String)>,
}

impl Shell {
    /// A shell that finds this program, the client of Postgres, and what is on `PATH`.
    pub(crate) fn with(program: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-operator-").tempdir().expect("a temporary folder");
        let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let postgres = installed.flatten().map(|version| version.path().join("bin"));
        let own = program.parent().map(Path::to_owned).into_iter().chain(postgres);
        let known = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = own.chain(std::env::split_paths(&known)).collect();
        let path = std::env::join_paths(folders).expect("folders with plain names");
        Self { folder, path, variables: Vec::new() }
    }

    /// Sets a variable; a later value replaces an earlier one.
    pub(crate) fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        self.variables.push((name.to_owned(), value.to_string()));
    }

    /// The text of a file that commands made; empty if there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, command: &str) -> Ran {
        let mut shell = Command::new("bash");
        shell.args(["-u", "-o", "pipefail", "-c", command]).current_dir(self.folder.path()).env("PATH", &self.path);
        shell.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(COMMAND_SECONDS_MAX, shell.output()).await {
            Ok(Ok(ran)) => {
                let output =
                    [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
                Ran { is_done: ran.status.success(), output }
            }
            Ok(Err(error)) => Ran { is_done: false, output: format!("bash: {error}") },
            Err(_) => Ran { is_done: false, output: "no end within 60 s".to_owned() },
        }
    }
}
