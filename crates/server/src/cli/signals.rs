//! Signals: SIGTERM and SIGINT ask the program to stop; SIGXFSZ must not end it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failed;

/// Signals that ask the program to stop. None that arrives after [`Signals::listen`] is missed.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on these signals do not end the process by themselves.
    pub(super) fn listen() -> Result<Self, Failed> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns at the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Keeps SIGXFSZ from ending the process: the system sends it when a file would grow beyond `ulimit -f`. With a handler in
/// place the write fails with EFBIG instead, and is dealt with like a full disk. (SIGPIPE is ignored by every Rust program.)
///
/// # Errors
/// `Failed::Error` if the system takes no handler.
pub(super) fn outlive_size_limits() -> Result<(), Failed> {
    signal_hook::flag::register(Number::XFSZ.as_raw(), Arc::new(AtomicBool::new(false)))?;
    Ok(())
}
