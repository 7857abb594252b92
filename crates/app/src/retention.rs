//! Retires rooms in which nothing can happen any more, and drops old places and old events.
//!
//! All of it happens in small steps with a rest after each, so that the sale never waits long for a lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::time::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::background::TaskMetrics;
use crate::clock::ClockWatch;
use crate::store::{Retention, StoreError};
use crate::waiting_room::{OVER_AFTER_MILLIS, Rooms};

/// How often the task looks for rooms that are over.
const RETIRE_EVERY: Duration = Duration::from_secs(10);

/// How often the task searches for old places and events when the last search found none.
const DROP_EVERY: Duration = Duration::from_secs(60);

/// Maximum number of rooms of one step.
const ROOMS_AT_ONCE: usize = 200;

/// Maximum number of rows of one step: it holds its locks for a few milliseconds.
const ROWS_AT_ONCE: usize = 500;

/// The rest after a step, as a multiple of its duration.
const RESTS_PER_STEP: u32 = 4;
const REST_MIN: Duration = Duration::from_millis(20);

/// After the clock jumped ahead, nothing is dropped for this long, because the clock may be wrong.
const KEPT_AFTER_JUMP: Duration = Duration::from_secs(3_600);

const DAY_MILLIS: i64 = 86_400_000;

/// Counters of what was retired and dropped.
#[derive(Clone, Debug, Default)]
pub struct RetentionMetrics {
    rooms: Counter,
    places: Counter,
    events: Counter,
}

impl RetentionMetrics {
    /// Registers the counters with the prefix `retention_`.
    pub fn register(&self, registry: &mut Registry) {
        let retention = registry.sub_registry_with_prefix("retention");
        retention.register("rooms_retired", "Waiting rooms of past concerts removed from memory", self.rooms.clone());
        retention.register(
            "places_dropped",
            "Places in waiting rooms deleted after ONSALE_PLACES_KEPT_DAYS",
            self.places.clone(),
        );
        retention.register(
            "events_forgotten",
            "Events deleted by this server, which has no relay, after ONSALE_EVENTS_KEPT_DAYS",
            self.events.clone(),
        );
    }
}

/// The background task that retires and drops.
pub struct Keeper {
    /// The rooms that are in memory.
    pub rooms: Arc<Rooms>,
    /// The database's clock, which decides what is old.
    pub clock: Arc<ClockWatch>,
    /// The store that retires and drops.
    pub retention: Arc<dyn Retention>,
    /// How many days a place is kept after it was handed out.
    pub places_kept_days: u32,
    /// How many days an event is kept, if this process deletes old events.
    pub events_kept_days: Option<u32>,
    /// Whether no relay is expected: then old events are deleted although they were not sent.
    pub forgets_unsent: bool,
    /// Counts the runs and failures of the task.
    pub metrics: TaskMetrics,
    /// Counts what was retired and dropped.
    pub dropped: RetentionMetrics,
}

/// When each kind of work is due next; `None` for at once.
#[derive(Default)]
struct Due {
    retire_at: Option<Instant>,
    places_at: Option<Instant>,
    events_at: Option<Instant>,
}

fn is_due(at: Option<Instant>) -> bool {
    at.is_none_or(|at| at <= Instant::now())
}

/// The time of the next step: at once if there is more to do, else after the interval.
fn next(more: bool, every: Duration) -> Option<Instant> {
    (!more).then(|| Instant::now() + every)
}

impl Keeper {
    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut due = Due::default();
        loop {
            let began = Instant::now();
            let worked = self.step(&mut due).await;
            let pause = match worked {
                Ok(false) => RETIRE_EVERY,
                Ok(true) => (began.elapsed() * RESTS_PER_STEP).max(REST_MIN),
                Err(ref error) => {
                    tracing::warn!(%error, "failed to retire or drop what is over; retrying in 10 s");
                    RETIRE_EVERY
                }
            };
            self.metrics.ran(worked.is_ok());
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One small step of each kind that is due. Returns whether there is more to do.
    async fn step(&self, due: &mut Due) -> Result<bool, StoreError> {
        let at = self.clock.now();
        // After a jump ahead, rows may seem older than they are. What is dropped cannot be restored.
        if self.clock.jumped_ahead_within(KEPT_AFTER_JUMP) {
            return Ok(false);
        }
        let mut more = false;
        if is_due(due.retire_at) {
            let full = self.retire(at).await?;
            due.retire_at = next(full, RETIRE_EVERY);
            more |= full;
        }
        if is_due(due.places_at) {
            let before = at.plus_millis(-i64::from(self.places_kept_days) * DAY_MILLIS);
            let gone = self.retention.drop_places(before, ROWS_AT_ONCE).await?;
            self.dropped.places.inc_by(gone as u64);
            due.places_at = next(gone > 0, DROP_EVERY);
            more |= gone > 0;
        }
        if let Some(days) = self.events_kept_days.filter(|_| is_due(due.events_at)) {
            let before = at.plus_millis(-i64::from(days) * DAY_MILLIS);
            let gone = self.retention.forget_events(before, self.forgets_unsent, ROWS_AT_ONCE).await?;
            self.dropped.events.inc_by(gone as u64);
            due.events_at = next(gone == ROWS_AT_ONCE, DROP_EVERY);
            more |= gone == ROWS_AT_ONCE;
        }
        Ok(more)
    }

    /// Returns whether there may be more.
    async fn retire(&self, at: Timestamp) -> Result<bool, StoreError> {
        let over = self.rooms.over(ROOMS_AT_ONCE, at);
        if over.is_empty() {
            return Ok(false);
        }
        let retired = self.retention.retire(&over, at.plus_millis(-OVER_AFTER_MILLIS)).await?;
        self.dropped.rooms.inc_by(self.rooms.drop_retired(&retired, at) as u64);
        Ok(over.len() == ROOMS_AT_ONCE)
    }
}
