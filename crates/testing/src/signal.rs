//! Signals to programs that a test started.

use rustix::process::{Pid, kill_process};
use tokio::process::Child;

pub use rustix::process::Signal;

/// Sends a signal to a child.
///
/// # Panics
/// If it has ended.
pub fn signal(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    kill_process(id.expect("a running process"), signal).expect("a signal can be sent");
}
