//! The processes of one server, known by the folder they work in: that stays true of backends whose postmaster died.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::instance::PATIENCE;

/// All processes that work in a data folder.
pub(crate) struct Processes {
    data: PathBuf,
}

impl Processes {
    /// Those of this folder, which is named without symbolic links.
    pub(crate) fn of(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    /// Their ids now. One that ended and was not waited for works nowhere, and is not among them.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").expect("a list of processes");
        let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        ids.filter(|id: &u32| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|folder| folder == self.data))
            .collect()
    }

    /// Kills them all, and returns when none is left.
    pub(crate) async fn kill(&self) {
        self.until(Signal::KILL, |state| state.is_none()).await;
    }

    /// Stops them all where they are, and returns when none moves.
    pub(crate) async fn freeze(&self) {
        self.until(Signal::STOP, |state| matches!(state, Some('T') | None)).await;
    }

    /// Lets them go on.
    pub(crate) async fn thaw(&self) {
        self.until(Signal::CONT, |state| state != Some('T')).await;
    }

    /// Sends a signal to all of them, and to those they start meanwhile, until all are in a state as wanted.
    async fn until(&self, signal: Signal, wanted: impl Fn(Option<char>) -> bool) {
        let signalling = async {
            let mut seen = BTreeSet::new();
            // Twice: one may have been started between the list and its parent's end.
            let mut rounds_done = 0;
            while rounds_done < 2 {
                // One that is about to end works nowhere any more, and is waited for all the same.
                seen.extend(self.ids());
                let left: Vec<u32> = seen.iter().copied().filter(|id| !wanted(state(*id))).collect();
                rounds_done = if left.is_empty() { rounds_done + 1 } else { 0 };
                if !left.is_empty() {
                    left.iter().for_each(|id| send(*id, signal));
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, signalling).await.expect("every process heeds the signal");
    }
}

/// Sends a signal to a process that may be gone.
pub(crate) fn send(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(id, signal);
    }
}

/// How the kernel says a process is: `R`, `S`, `D`, `T`; nothing where it has ended.
fn state(id: u32) -> Option<char> {
    let line = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it is in brackets and may hold anything.
    let state = line.rsplit_once(") ")?.1.chars().next();
    state.filter(|state| !['Z', 'X'].contains(state))
}
