//! Finds the tools and runs them, each test in a folder of its own that is removed at its end.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// The longest time of one tool. Type checkers are slow while other tests run on a small machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// What is pinned, and what `clients/install` made of it.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients");

/// Whether tests have to go without the tools of this part, `node` or `python`; a line names the skipped test. With `CI=true` that
/// fails the test.
pub(crate) fn missing(part: &str) -> bool {
    let (versions, folder) =
        if part == "node" { ("package-lock.json", "node_modules") } else { ("requirements.txt", ".venv") };
    let path = |name: &str| Path::new(CLIENTS).join(name);
    let read = |path: PathBuf| std::fs::read(path).ok();
    let is_current = || read(path(versions)) == read(path(folder).join(".installed"));
    onsale_testing::without(part)
        || onsale_testing::absent(is_current(), &format!("the tools of clients/install {part}"))
}

/// What a run printed.
pub(crate) fn said(run: &Output) -> String {
    String::from_utf8_lossy(&[&run.stdout[..], &run.stderr].concat()).into_owned()
}

/// The tools in a folder of their own.
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// In a new folder in this one.
    pub(crate) fn beside(folder: &Path) -> Self {
        let folder = folder.join("tools");
        std::fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.join(name), bytes).unwrap();
    }

    /// A file of `clients`.
    pub(crate) fn pinned(&self, name: &str) -> PathBuf {
        Path::new(CLIENTS).join(name).canonicalize().unwrap()
    }

    /// Copies the files of a folder of `clients`.
    pub(crate) fn copy(&self, name: &str) {
        for entry in std::fs::read_dir(self.pinned(name)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), self.folder.join(entry.file_name())).unwrap();
            }
        }
    }

    /// Makes a folder of `clients` visible under the same name.
    pub(crate) fn link(&self, name: &str) {
        std::os::unix::fs::symlink(self.pinned(name), self.folder.join(name)).unwrap();
    }

    /// A program, with the installed ones first on its path.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(&self.folder)
            .env("PATH", format!("{CLIENTS}/.venv/bin:{path}"))
            .env("REDOCLY_TELEMETRY", "off")
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// A script of a package.
    pub(crate) fn node(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = self.command("node");
        command.arg(self.pinned("node_modules").join(script)).args(arguments);
        command
    }

    /// A program of the virtual environment.
    pub(crate) fn python(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(self.pinned(".venv").join("bin").join(program));
        command.args(arguments);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, command: &mut Command) -> Output {
        tokio::time::timeout(PATIENCE, command.output()).await.expect("an end in time").expect("the tool starts")
    }

    /// Runs a command, which must succeed.
    pub(crate) async fn passes(&self, command: &mut Command) {
        let run = self.run(command).await;
        assert!(run.status.success(), "{command:?}\n{}", said(&run));
    }
}
