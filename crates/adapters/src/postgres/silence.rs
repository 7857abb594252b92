//! What the connections of a process tell each other: that the server behind them has fallen silent.
//!
//! A server that is gone without a word closes nothing. A connection that waits for it without an answer says so, and
//! every connection that was opened before that moment is replaced before it is used again: else each would find out by
//! itself, at the cost of another caller's patience.
//!
//! One statement that is slow says nothing of the server: as long as any connection hears from it, it is not silent. The
//! connection for news asks ten times a second, and the server ends what takes it too long, so that there is always
//! something to hear.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A server that answered within this time is not silent.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// Counts how often the server fell silent.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    count: watch::Sender<u64>,
    heard: Arc<Heard>,
}

/// When any connection last had an answer, in milliseconds since this was made.
#[derive(Debug)]
struct Heard {
    since: Instant,
    at: AtomicU64,
}

impl Default for Silence {
    fn default() -> Self {
        let heard = Heard { since: Instant::now(), at: AtomicU64::new(0) };
        Self { count: watch::Sender::new(0), heard: Arc::new(heard) }
    }
}

impl Silence {
    /// To be taken before a connection is opened: it listens for what happens from then on.
    pub(super) fn listen(&self) -> Vigil {
        Vigil { silence: self.clone(), since: *self.count.borrow() }
    }
}

/// One connection's ear for silence.
#[derive(Debug)]
pub(super) struct Vigil {
    silence: Silence,
    since: u64,
}

impl Vigil {
    /// The server has answered, whatever it said. Relaxed: a moment's delay between threads does not matter.
    pub(super) fn hear(&self) {
        let heard = &self.silence.heard;
        heard.at.store(u64::try_from(heard.since.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Says that the server has not answered in time, unless another connection has heard from it lately. From an old
    /// connection it says nothing of newer ones.
    pub(super) fn tell(&self) {
        let heard = &self.silence.heard;
        let last = Duration::from_millis(heard.at.load(Ordering::Relaxed));
        if heard.since.elapsed().saturating_sub(last) < HEARD_WITHIN {
            return;
        }
        self.silence.count.send_if_modified(|count| {
            let is_first = *count == self.since;
            *count += u64::from(is_first);
            is_first
        });
    }

    /// Whether the server fell silent since the connection was opened, as far as any of them has noticed.
    pub(super) fn is_broken(&self) -> bool {
        *self.silence.count.borrow() != self.since
    }

    /// Waits until then.
    pub(super) async fn broken(&self) {
        let mut count = self.silence.count.subscribe();
        // The sender lives as long as we do.
        let _ = count.wait_for(|count| *count != self.since).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_another_connection_hears_is_not_silent() {
        let silence = Silence::default();
        let (slow, other) = (silence.listen(), silence.listen());
        other.hear();
        slow.tell();
        assert!(!slow.is_broken() && !other.is_broken(), "one statement is slow");

        let long_ago = Heard { since: Instant::now() - 2 * HEARD_WITHIN, at: AtomicU64::new(0) };
        let silence = Silence { heard: Arc::new(long_ago), ..silence };
        let (first, second) = (silence.listen(), silence.listen());
        first.tell();
        assert!(first.is_broken() && second.is_broken(), "nothing was heard by any of them");
        let later = silence.listen();
        second.tell();
        assert!(!later.is_broken(), "it was told once");
    }
}
