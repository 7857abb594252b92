//! Whether a connection is busy or idle.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a connection may lie idle, or take for the head of a request.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// How often that is looked at: one timer for a connection now and then, not one for each request.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a connection without a request may wait for its first one once the server stops.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether anything goes on in a connection.
#[derive(Default)]
pub(super) struct Pulse {
    /// Requests begun, twice, plus one while one is under way.
    beats: AtomicU64,
}

/// Keeps a connection busy while it lives.
pub(super) struct Busy<'a>(&'a Pulse);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pulse {
    /// Marks the connection busy until the guard drops.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.beats.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// Ends once the first request has begun, or did not come in time.
    pub(super) async fn begun(&self) {
        let since = Instant::now();
        while self.beats.load(Ordering::Relaxed) == 0 && since.elapsed() < FIRST_REQUEST_TIMEOUT {
            sleep(FIRST_REQUEST_TIMEOUT / 200).await;
        }
    }

    /// Ends once no request has begun, and none was under way, for as long as a connection may lie idle.
    pub(super) async fn idle(&self) {
        let (mut seen, mut since) = (0, Instant::now());
        while since.elapsed() < IDLE_MAX {
            sleep(IDLE_LOOK_EVERY).await;
            let beats = self.beats.load(Ordering::Relaxed);
            if beats != seen || beats % 2 == 1 {
                (seen, since) = (beats, Instant::now());
            }
        }
    }
}
