//! The state of one connection, and the check whether it has been quiet for too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// The longest time between two checks of a connection. One timer for each check is cheaper than one for each request.
const CHECK_EVERY_MAX: Duration = Duration::from_secs(5);

/// The longest time for the head of a request, the first one of a connection included. Beyond it the connection is
/// answered `request-timeout` and closed.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The state of one connection. Its socket, its requests and its timer run in one task, so relaxed atomics suffice:
/// they are there only because that task moves between threads.
#[derive(Default)]
pub(super) struct Pulse {
    /// Twice the requests that have begun, less one while the last of them is under way.
    beats: AtomicU64,
    /// Bytes have arrived since the last request was answered: the head of the next one.
    head_begun: AtomicBool,
    /// The head of the next request did not parse, and was answered.
    explained: AtomicBool,
    /// The socket takes no more bytes until the client reads.
    blocked: AtomicBool,
    /// An answer is under way that has nothing to send at the moment: an event stream.
    awaits_body: AtomicBool,
    /// The client has shut its sending side, or closed the connection.
    half_closed: AtomicBool,
    /// The connection is about to be closed: the next answer is its last.
    ending: AtomicBool,
    /// If the connection lost its slot to another: its beats at that moment, plus 1; else 0.
    evicted_at: AtomicU64,
    /// Wakes the connection's task when it loses its slot.
    eviction: Notify,
}

/// The longest times for which a connection may be quiet.
#[derive(Clone, Copy)]
pub(super) struct Quiet {
    /// Without a request under way, an answer being sent, or a head that has begun.
    pub(super) idle: Duration,
    /// From the first byte of a head to its last.
    pub(super) head: Duration,
}

/// Why a connection has been quiet for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    Idle,
    /// A head began and did not end.
    IncompleteHead,
}

/// A request is under way until this is dropped, at the end of its answer's body.
pub(super) struct Busy(Arc<Pulse>);

impl Busy {
    pub(super) fn begin(pulse: &Arc<Pulse>) -> Self {
        // Odd from here on: a request is under way.
        pulse.beats.fetch_add(1, Ordering::Relaxed);
        pulse.head_begun.store(false, Ordering::Relaxed);
        Self(pulse.clone())
    }

    /// Whether the answer has nothing to send at the moment.
    pub(super) fn awaits_body(&self, awaits: bool) {
        self.0.awaits_body.store(awaits, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.awaits_body(false);
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pulse {
    /// Bytes have arrived.
    pub(super) fn received(&self) {
        if !Self::is_busy(self.beats()) {
            self.head_begun.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn set_explained(&self) {
        self.explained.store(true, Ordering::Relaxed);
    }

    /// Whether bytes have arrived, no request has begun, and nothing was answered.
    pub(super) fn is_in_first_head(&self) -> bool {
        let is_explained = self.explained.load(Ordering::Relaxed);
        self.beats() == 0 && self.head_begun.load(Ordering::Relaxed) && !is_explained
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    pub(super) fn is_awaiting_body(&self) -> bool {
        self.awaits_body.load(Ordering::Relaxed)
    }

    pub(super) fn set_half_closed(&self) {
        self.half_closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_half_closed(&self) -> bool {
        self.half_closed.load(Ordering::Relaxed)
    }

    pub(super) fn set_ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Takes the connection's slot away; its task then closes it. Called from another task.
    pub(super) fn evict(&self) {
        self.evicted_at.store(self.beats() + 1, Ordering::Relaxed);
        // Wakes also a task that begins to wait only later.
        self.eviction.notify_one();
    }

    #[cfg(test)]
    pub(super) fn is_evicted(&self) -> bool {
        self.evicted_at.load(Ordering::Relaxed) != 0
    }

    /// Whether the connection lost its slot and had no byte of a request since.
    pub(super) fn is_silent_since_eviction(&self) -> bool {
        self.evicted_at.load(Ordering::Relaxed) == self.beats() + 1 && !self.head_begun.load(Ordering::Relaxed)
    }

    /// Returns once the connection has lost its slot.
    pub(super) async fn evicted(&self) {
        self.eviction.notified().await;
    }

    /// Changes whenever a request begins or ends; odd while one is under way.
    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Whether a request is under way at this count of beats.
    pub(super) fn is_busy(beats: u64) -> bool {
        beats % 2 == 1
    }

    /// Whether a request is under way, or bytes of its answer wait until the client takes them.
    pub(super) fn is_active(&self) -> bool {
        Self::is_busy(self.beats()) || self.is_blocked()
    }

    /// Returns once the connection has been quiet for longer than allowed. Late by up to an eighth of `idle` and by
    /// 5 seconds at most, never early.
    pub(super) async fn quiet(&self, limits: Quiet) -> Silence {
        let mut seen = self.beats();
        let mut idle_since = Instant::now();
        let mut head_since: Option<Instant> = None;
        loop {
            match head_since {
                Some(since) if since.elapsed() >= limits.head => return Silence::IncompleteHead,
                // A connection that never asked for anything is worth less than one that may ask again.
                None if seen == 0 && idle_since.elapsed() >= HEAD_TIMEOUT => return Silence::Idle,
                None if idle_since.elapsed() >= limits.idle => return Silence::Idle,
                _ => {}
            }
            // In steps, and not by one timer of the exact length: a request then costs no change of a timer.
            sleep((limits.idle / 8).min(CHECK_EVERY_MAX)).await;
            let beats = self.beats();
            if beats != seen || Self::is_busy(beats) || self.is_blocked() {
                (seen, idle_since, head_since) = (beats, Instant::now(), None);
            } else if self.head_begun.load(Ordering::Relaxed) {
                head_since.get_or_insert_with(Instant::now);
            }
        }
    }
}
