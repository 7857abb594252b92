//! The processes of one server, found by their working folder: that also finds backends whose postmaster has died.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::PATIENCE;

/// All processes with a working folder.
pub(crate) struct Processes {
    data: PathBuf,
}

impl Processes {
    /// The processes of this folder, given without symbolic links.
    pub(crate) fn of(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    /// Their ids now. A zombie has no working folder and is not included.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").expect("a list of processes");
        let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        ids.filter(|id: &u32| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|folder| folder == self.data))
            .collect()
    }

    /// Kills them all. Returns when none is left.
    pub(crate) async fn kill(&self) {
        self.until(Signal::KILL, |state| state.is_none()).await;
    }

    /// Stops them all. Returns when none runs.
    pub(crate) async fn freeze(&self) {
        self.until(Signal::STOP, |state| matches!(state, Some('T') | None)).await;
    }

    /// Continues them all. Returns when none is stopped.
    pub(crate) async fn thaw(&self) {
        self.until(Signal::CONT, |state| state != Some('T')).await;
    }

    /// Sends a signal to all of them, and to processes that they start meanwhile, until all reach the given state.
    async fn until(&self, signal: Signal, wanted: impl Fn(Option<char>) -> bool) {
        let signalling = async {
            let mut seen = BTreeSet::new();
            // Twice: a process may have been started between the list and its parent's end.
            let mut rounds_done = 0;
            while rounds_done < 2 {
                // A process that is about to end has no working folder any more, but must be waited for.
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

/// Sends a signal to a process that may have ended.
pub(crate) fn send(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(id, signal);
    }
}

/// The kernel's state of a process: `R`, `S`, `D`, `T`; `None` if it has ended.
fn state(id: u32) -> Option<char> {
    let line = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it is in brackets and may contain anything.
    let state = line.rsplit_once(") ")?.1.chars().next();
    state.filter(|state| !['Z', 'X'].contains(state))
}
