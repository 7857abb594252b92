//! The two steps of a stop: leaving the load balancer, then closing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// The progress of a stop. Clones share the state.
#[derive(Clone, Default)]
pub(crate) struct Stopping {
    /// Each answer reads this. An atomic in addition to `closing`, because a token locks a mutex. Relaxed: it orders no
    /// other memory, and an answer may miss a stop that begins at the same moment.
    leaving: Arc<AtomicBool>,
    closing: CancellationToken,
}

impl Stopping {
    /// From now on `/readyz` answers 503 and each answer carries `Connection: close`. New connections are still
    /// accepted, and event streams go on.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// From now on no connection is accepted, event streams end, and idle connections are closed.
    pub(crate) fn close(&self) {
        self.leave();
        self.closing.cancel();
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Returns once [`Stopping::close`] was called.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }
}
