//! Logs an outage: its cause at once, then a count of failures every 10 s, then its end.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// How often an outage that goes on is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The outage of something that is retried.
#[derive(Debug)]
pub struct Outage {
    what: &'static str,
    /// Guards the current outage; held for a few instructions and a log line.
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    began: Instant,
    failures: u64,
    logged_at: Instant,
}

impl Outage {
    /// `what` is the line of the log, such as `events cannot be delivered; retrying`.
    pub fn of(what: &'static str) -> Self {
        Self { what, current: Mutex::default() }
    }

    /// Notes that one attempt failed, for this reason. Logs the first failure of an outage, then at most one line every 10 s.
    pub fn failed(&self, reason: &str) {
        let (now, what) = (Instant::now(), self.what);
        let mut current = self.current.lock();
        let Some(outage) = current.as_mut() else {
            tracing::warn!(reason, "{what}");
            *current = Some(Current { began: now, failures: 1, logged_at: now });
            return;
        };
        outage.failures += 1;
        if now.duration_since(outage.logged_at) >= LOG_EVERY {
            outage.logged_at = now;
            let (failures, seconds) = (outage.failures, now.duration_since(outage.began).as_secs());
            tracing::warn!(reason, failures, seconds, "{what}");
        }
    }

    /// Notes that an attempt succeeded. Logs the end of an outage, if there was one.
    pub fn over(&self) {
        let ended = self.current.lock().take();
        if let Some(Current { began, failures, .. }) = ended {
            let seconds = began.elapsed().as_secs();
            tracing::info!(failures, seconds, outage = self.what, "outage ended");
        }
    }
}
