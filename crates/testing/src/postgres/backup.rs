//! Backups: scripts that take and restore them, and servers made from them.

use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;

use super::home::Home;
use super::programs::Programs;
use super::server::Server;
use super::setup::configure;
use crate::patience::PATIENCE;

/// A shell script with PostgreSQL's programs on its `PATH`, in front of what is there.
pub struct Script {
    command: Command,
    text: String,
}

impl Script {
    /// A script that runs as this user.
    pub fn new(text: &str) -> Self {
        Self::of(std::process::Command::new("sh"), text)
    }

    /// A script that runs as the user that runs servers.
    ///
    /// # Panics
    /// If PostgreSQL is missing.
    pub fn of_server(text: &str) -> Self {
        Self::of(Programs::find().command_at(Path::new("sh")), text)
    }

    fn of(mut command: std::process::Command, text: &str) -> Self {
        command.args(["-eu", "-c", text]);
        let script = Self { command: Command::from(command), text: text.to_owned() };
        script.first_on_path(Programs::find().folder())
    }

    /// Looks for programs in this folder first.
    #[must_use]
    pub fn first_on_path(mut self, folder: &Path) -> Self {
        let set = self.command.as_std().get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
        let path = set.map(ToOwned::to_owned).or_else(|| std::env::var_os("PATH")).unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        self.command.env("PATH", std::env::join_paths(folders).expect("folders with plain names"));
        self
    }

    /// Sets an environment variable of the program.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it in a folder to its end. Returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub async fn run(mut self, folder: &Path) -> String {
        let run = self.command.current_dir(folder).kill_on_drop(true).output();
        let run = tokio::time::timeout(PATIENCE, run).await.expect("the script ends in time").expect("a shell");
        let (out, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert!(run.status.success(), "{}\n{out}\n{errors}", self.text);
        out.into_owned()
    }
}

/// A folder that the user who runs servers may write to. Removed when it is dropped.
///
/// # Panics
/// If it cannot be made.
pub fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("onsale-backups-").tempdir().expect("a temporary folder");
    Programs::find().give(folder.path());
    folder
}

impl Server {
    /// A server whose data directory `make` fills; it gets the path, at which there is nothing yet. Returns when the
    /// server takes writes: after its recovery, if there is one.
    ///
    /// # Panics
    /// If it does not start; with its log.
    pub async fn from_data(make: impl AsyncFnOnce(&Path)) -> Self {
        let home = Home::new(Programs::find());
        make(&home.data()).await;
        configure(&home, &[]);
        let server = Self::of(home);
        server.restart().await;
        server.until("SELECT NOT pg_is_in_recovery()").await;
        server
    }
}
