//! Cleans up after the servers of tests, also if the test's process is killed.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits until its standard input closes, then kills every process that works in `$1/data` and removes `$1`.
const SCRIPT: &str = include_str!("watchdog.sh");

/// A shell outside of this process's group that watches a folder. It reads a pipe whose other end only this process holds, so
/// it also acts if this process is killed. When it is dropped, or when this process ends, it kills the server of the folder
/// and removes the folder.
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// Starts to watch a folder. The server must work in its subfolder `data`.
    pub(crate) fn over(folder: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "watchdog"]).arg(folder).process_group(0).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(shell.spawn().expect("a shell"))
    }

    /// Kills the server, removes the folder, and waits for both. Does nothing the second time.
    pub(crate) fn clean_up(&mut self) {
        drop(self.0.stdin.take());
        // If the wait fails, the shell still does its work.
        drop(self.0.wait());
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.clean_up();
    }
}
