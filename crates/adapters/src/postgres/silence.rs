//! What the connections of a process tell each other: that the server behind them has fallen silent.
//!
//! A server that is gone without a word closes nothing. Whoever waits for it in vain says so, and every connection that
//! was opened before that moment is replaced before it is used again: else each would find out by itself, at the cost
//! of another caller's patience.

use tokio::sync::watch;

/// Counts how often the server fell silent.
#[derive(Clone, Debug)]
pub(super) struct Silence(watch::Sender<u64>);

impl Default for Silence {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Silence {
    /// To be taken before a connection is opened: it listens for what happens from then on.
    pub(super) fn listen(&self) -> Vigil {
        Vigil { silence: self.clone(), since: *self.0.borrow() }
    }
}

/// One connection's ear for silence.
#[derive(Debug)]
pub(super) struct Vigil {
    silence: Silence,
    since: u64,
}

impl Vigil {
    /// Says that the server has not answered in time. From an old connection it says nothing of newer ones.
    pub(super) fn tell(&self) {
        self.silence.0.send_if_modified(|count| {
            let is_first = *count == self.since;
            *count += u64::from(is_first);
            is_first
        });
    }

    /// Whether the server fell silent since the connection was opened, as far as any of them has noticed.
    pub(super) fn is_broken(&self) -> bool {
        *self.silence.0.borrow() != self.since
    }

    /// Waits until then.
    pub(super) async fn broken(&self) {
        let mut count = self.silence.0.subscribe();
        // The sender lives as long as we do.
        let _ = count.wait_for(|count| *count != self.since).await;
    }
}
