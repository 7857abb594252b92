//! Signals: SIGTERM and SIGINT stop the program; SIGXFSZ must not kill it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failed;

/// The signals that stop the program. None is lost that arrives after [`Signals::listen`].
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to catch the signals: from now on they do not kill the process.
    ///
    /// # Errors
    /// `Failed::Error` if the system refuses a handler.
    pub(super) fn listen() -> Result<Self, Failed> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Keeps SIGXFSZ from killing the process. The system sends it when a file would grow beyond `ulimit -f`. With a handler in
/// place the write fails with EFBIG instead, which is handled like a full disk. (Every Rust program ignores SIGPIPE.)
///
/// # Errors
/// `Failed::Error` if the system refuses a handler.
pub(super) fn outlive_size_limits() -> Result<(), Failed> {
    signal_hook::flag::register(Number::XFSZ.as_raw(), Arc::new(AtomicBool::new(false)))?;
    Ok(())
}
