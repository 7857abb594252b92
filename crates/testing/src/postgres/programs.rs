//! Paths of PostgreSQL's programs, and the user that runs them.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::patience::PATIENCE;

/// Debian's folder: one per version, none on `PATH`.
const INSTALLED: &str = "/usr/lib/postgresql";

/// The programs of one version.
#[derive(Clone)]
pub(super) struct Programs {
    folder: PathBuf,
    /// Postgres refuses to run as root: then this is the user and group `postgres`.
    owner: Option<(u32, u32)>,
}

impl Programs {
    /// The programs on `PATH`, or else the newest installed ones.
    ///
    /// # Panics
    /// If none are installed.
    pub(super) fn find() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Only `postgres` may be linked into `PATH`; the other programs are in the folder of the link's target.
        let linked = std::env::split_paths(&path).filter_map(|folder| folder.join("postgres").canonicalize().ok());
        let mut found = linked.filter_map(|program| program.parent().map(Path::to_owned)).chain(installed());
        let folder = found.find(|folder| ["postgres", "initdb"].iter().all(|name| folder.join(name).exists()));
        let folder = folder.expect(
            "PostgreSQL is missing, neither on PATH nor in /usr/lib/postgresql (Debian: apt-get install postgresql)",
        );
        let owner = rustix::process::geteuid().is_root().then(owner);
        Self { folder, owner }
    }

    /// One of them, as a user that Postgres accepts, in its own process group, so that Ctrl-C does not reach it.
    pub(super) fn command(&self, name: &str) -> std::process::Command {
        self.command_at(&self.folder.join(name))
    }

    /// The folder that contains the programs.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Any program, as that user.
    pub(super) fn command_at(&self, program: &Path) -> std::process::Command {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new(program);
        command.stdin(Stdio::null()).current_dir("/").process_group(0).env("LC_ALL", "C");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Runs one of them to its end.
    ///
    /// # Panics
    /// If it fails.
    pub(super) async fn run(&self, name: &str, arguments: &[&str]) {
        let mut command = Command::from(self.command(name));
        let run = command.args(arguments).kill_on_drop(true).output();
        let run = tokio::time::timeout(PATIENCE, run).await.unwrap_or_else(|_| panic!("{name} takes too long"));
        let run = run.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(run.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// Makes the user of the programs the owner of a folder.
    pub(super) fn give(&self, folder: &Path) {
        if let Some((user, group)) = self.owner {
            chown(folder, Some(user), Some(group)).expect("root gives away a folder");
        }
    }
}

/// The folders of all versions, newest first.
fn installed() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(INSTALLED)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, folder)| folder).collect()
}

/// User and group of `postgres`.
fn owner() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").expect("a list of users");
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let line = line.expect("PostgreSQL refuses to run as root, and there is no user `postgres`");
    let mut numbers = line.split(':').skip(2).map(|number| number.parse().expect("a user's number"));
    (numbers.next().expect("a user"), numbers.next().expect("a group"))
}
