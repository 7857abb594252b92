//! Checks the database and the other parts of a sale in the background, so that `/readyz` and the metrics never wait for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::conditions::{Conditions, Reason};
use crate::desk::Desk;
use crate::store::Reader;

/// Interval of pings of the database.
const DATABASE_EVERY: Duration = Duration::from_millis(500);

/// If the last answer of the database is older than this, the database counts as away.
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// Maximum length of a check of a part. A check that takes longer counts as failed.
const PART_WITHIN: Duration = Duration::from_secs(3);

/// The name of the database on the board of conditions.
const DATABASE: &str = "database";

#[derive(Clone, Copy, Debug)]
struct LastPing {
    /// When the last check began that the database answered.
    answered_at: Instant,
    /// The last check returned an error.
    has_failed: bool,
}

/// Pings the database every 500 ms, and keeps the last result.
pub struct DatabaseWatch {
    reader: Arc<dyn Reader>,
    desk: Arc<Desk>,
    conditions: Arc<Conditions>,
    /// Written by the task, read by every readiness check; held for a copy only.
    last: Mutex<LastPing>,
}

impl DatabaseWatch {
    /// A watch over a database that has just answered.
    pub fn new(reader: Arc<dyn Reader>, desk: Arc<Desk>, conditions: Arc<Conditions>) -> Self {
        conditions.watch(DATABASE);
        let last = Mutex::new(LastPing { answered_at: Instant::now(), has_failed: false });
        Self { reader, desk, conditions, last }
    }

    /// Why the sale cannot go on now; `None` if the database answers and takes writes. Waits for nothing: at most 2 s
    /// after the database fell silent it is a reason.
    pub fn trouble(&self) -> Option<&'static str> {
        let LastPing { answered_at, has_failed } = *self.last();
        if has_failed || answered_at.elapsed() > SILENT_AFTER {
            return Some("the database does not answer");
        }
        (!self.desk.is_well()).then_some("the database takes no writes")
    }

    /// Runs until stopped. Raises `database`/`away` and `database`/`writes`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            self.ping().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(DATABASE_EVERY) => {}
            }
        }
    }

    async fn ping(&self) {
        let began = Instant::now();
        let failure = match tokio::time::timeout(SILENT_AFTER, self.reader.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", SILENT_AFTER.as_secs())),
        };
        // A block of its own: the lock must not be held while the board is locked below.
        {
            let mut last = self.last();
            last.has_failed = failure.is_some();
            if failure.is_none() {
                last.answered_at = began;
            }
        }
        let away = Reason::new("the database does not answer: check that it runs and that this server reaches it");
        self.conditions.set(DATABASE, "away", failure.map(|cause| away.because(cause)));
        let stuck = "the database fails writes; check its disk and its log";
        self.conditions.set(DATABASE, "writes", (!self.desk.is_well()).then(|| stuck.to_owned()));
    }

    fn last(&self) -> parking_lot::MutexGuard<'_, LastPing> {
        self.last.lock()
    }
}

/// Checks one condition of a part that the sale can do without.
pub struct PartWatch {
    /// The board on which the condition is raised or cleared.
    pub conditions: Arc<Conditions>,
    /// The name of the part, such as `jwks`.
    pub part: &'static str,
    /// The name of the condition, such as `keys`.
    pub condition: &'static str,
    /// The rest between two checks.
    pub every: Duration,
}

impl PartWatch {
    /// Runs until stopped. `check` returns why the part is degraded, or `None` if it is well. If a check takes longer than
    /// 3 s, the part counts as degraded.
    pub async fn run(self, stop: CancellationToken, check: impl AsyncFn() -> Option<String>) {
        let Self { conditions, part, condition, every } = self;
        conditions.watch(part);
        loop {
            let within = PART_WITHIN.as_secs();
            let unanswered =
                || Some(format!("the check did not end within {within} s: look whether the machine is busy"));
            let found = tokio::select! {
                () = stop.cancelled() => return,
                found = tokio::time::timeout(PART_WITHIN, check()) => found.unwrap_or_else(|_| unanswered()),
            };
            conditions.set(part, condition, found);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
        }
    }
}
