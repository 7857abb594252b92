//! Background tasks. Each survives errors, backs off after failures, and has counters in the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::concert;
use onsale_domain::ids::{PerformanceId, ReservationId};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::catalogue::Catalogue;
use crate::clock::{ClockWatch, HoldsAhead};
use crate::desk::{Desk, Failure, Observer};
use crate::idempotency::KEY_LIFE_SECONDS;
use crate::seat_map::IdleCache;
use crate::store::{Reader, StoreError};
use crate::waiting_room::Rooms;

/// A counter for each task.
type ByTask = Family<[(&'static str, &'static str); 1], Counter>;

/// Counters of all tasks, each with the label `task`.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    runs: ByTask,
    failures: ByTask,
}

impl Metrics {
    /// Registers `background_runs` and `background_failures`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("background_runs", "Runs of a background task", self.runs.clone());
        registry.register("background_failures", "Failed runs of a background task", self.failures.clone());
    }

    /// The counters of one task. The metrics contain them from now on.
    pub fn of(&self, task: &'static str) -> TaskMetrics {
        let counter = |family: &ByTask| family.get_or_create(&[("task", task)]).clone();
        TaskMetrics { runs: counter(&self.runs), failures: counter(&self.failures) }
    }
}

/// How many times a task has run, and how many of these runs failed.
#[derive(Clone, Debug)]
pub struct TaskMetrics {
    runs: Counter,
    failures: Counter,
}

impl TaskMetrics {
    /// Counts one run, and a failure if it was not well.
    pub(crate) fn ran(&self, well: bool) {
        self.runs.inc();
        if !well {
            self.failures.inc();
        }
    }
}

/// How long a task rests after a run.
#[derive(Debug)]
struct Rest {
    /// The rest after a run that succeeded.
    usual: Duration,
    /// Failed runs in a row.
    failures: u32,
}

impl Rest {
    const LONGEST: Duration = Duration::from_secs(10);

    fn new(usual: Duration) -> Self {
        Self { usual, failures: 0 }
    }

    /// The usual rest after a success. After failures it doubles, up to 10 s.
    fn after(&mut self, is_well: bool) -> Duration {
        self.failures = if is_well { 0 } else { self.failures.saturating_add(1) };
        match self.failures {
            0 => self.usual,
            failures => Backoff { first: self.usual * 2, max: Self::LONGEST.max(self.usual) }.rest(failures),
        }
    }
}

/// After the clock jumped ahead, work that cannot be undone rests for this long, because a wrong clock may be set back.
pub(crate) const CLOCK_TRUSTED_AFTER: Duration = Duration::from_secs(3);

/// Settles holds that ran out, so that seat maps show their seats as free and their release events are written.
///
/// No decision depends on it. Even before it runs, any user can take a lapsed seat, and a lapsed hold cannot be paid.
#[derive(Clone)]
pub struct Sweeper {
    /// Finds the holds that have lapsed.
    pub reader: Arc<dyn Reader>,
    /// The database's clock, which decides what has lapsed.
    pub clock: Arc<ClockWatch>,
    /// Decides the commands that settle them.
    pub desk: Arc<Desk>,
    /// Counts the runs and failures of the task.
    pub metrics: TaskMetrics,
}

impl Sweeper {
    const EVERY: Duration = Duration::from_millis(500);
    const FOUND_MAX: usize = 500;
    const SETTLED_TOGETHER_MAX: usize = 100;

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut rest = Rest::new(Self::EVERY);
        let mut ahead = HoldsAhead::default();
        loop {
            let swept = self.sweep(&mut ahead).await;
            self.metrics.ran(swept.is_ok());
            let pause = match swept {
                Ok(found) if found == Self::FOUND_MAX => Duration::ZERO,
                Ok(_) => rest.after(true),
                Err(reason) => {
                    tracing::warn!(reason, "failed to settle lapsed holds; retrying");
                    rest.after(false)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn sweep(&self, ahead: &mut HoldsAhead) -> Result<usize, String> {
        let now = self.clock.now();
        // A hold that only seems to have lapsed would be lost for good.
        if self.clock.jumped_ahead_within(CLOCK_TRUSTED_AFTER) {
            return Ok(0);
        }
        let lapsed = self.reader.lapsed_holds(now, Self::FOUND_MAX).await;
        let mut lapsed = lapsed.map_err(|error| error.to_string())?;
        let found = lapsed.len();
        lapsed.extend(ahead.ended(&self.clock, &*self.reader).await.map_err(|error| error.to_string())?);
        // One command per performance: the desk routes and locks by performance.
        let mut by_performance: BTreeMap<PerformanceId, Vec<ReservationId>> = BTreeMap::new();
        for (performance, reservation) in lapsed {
            by_performance.entry(performance).or_default().push(reservation);
        }
        for reservations in by_performance.values() {
            for some in reservations.chunks(Self::SETTLED_TOGETHER_MAX) {
                let settled = self.desk.submit_patiently(concert::Expire { reservations: some.to_vec() }).await;
                settled.map_err(|error| error.to_string())?.map_err(|refusal| format!("{refusal:?}"))?;
            }
        }
        Ok(found)
    }
}

/// Keeps this process up to date if other instances change the same database.
#[derive(Clone)]
pub struct Follower {
    /// The rooms to refresh.
    pub rooms: Arc<Rooms>,
    /// The concerts and performances to refresh.
    pub catalogue: Arc<Catalogue>,
    /// Counts the runs and failures of the task.
    pub metrics: TaskMetrics,
}

impl Follower {
    /// With this interval, positions are at most 250 ms old, including the query and a late start.
    const EVERY: Duration = Duration::from_millis(100);
    /// The shortest time between two queries after commits of this process. If the last query took longer, the rest is as
    /// long as that query, so that a slow database is not queried without a break.
    const REST: Duration = Duration::from_millis(20);

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut rest = Rest::new(Self::EVERY);
        let (mut pause, mut began, mut took) = (Self::EVERY, Instant::now(), Duration::ZERO);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.rooms.refresh_requested(), if pause <= Self::EVERY => {
                    tokio::time::sleep(Self::REST.saturating_sub(began.elapsed()).max(took)).await;
                }
            }
            began = Instant::now();
            let followed = self.follow().await;
            self.metrics.ran(followed.is_ok());
            // The answer ages by the length of its query, so the rest is shorter by as much.
            took = began.elapsed().min(Self::EVERY - Self::REST);
            pause = rest.after(followed.is_ok()).min(Self::EVERY * 5) - took;
            if let Err(error) = followed {
                tracing::warn!(%error, "failed to fetch the changes of other instances; retrying in at most 500 ms");
            }
        }
    }

    async fn follow(&self) -> Result<(), StoreError> {
        self.rooms.refresh_since(Instant::now()).await?;
        if self.rooms.has_missed_performances() {
            self.catalogue.recover().await?;
            self.rooms.note_catalogue_read();
        }
        self.catalogue.follow(&self.rooms.concerts(), &self.rooms.take_named()).await
    }
}

/// Drops idempotency keys that have lapsed, and seat maps that no client has requested for a minute.
#[derive(Clone)]
pub struct Housekeeper {
    /// Runs the units of work that drop old keys.
    pub desk: Arc<Desk>,
    /// The database's clock, which decides which keys are old.
    pub clock: Arc<ClockWatch>,
    /// Checks whether there are old keys.
    pub reader: Arc<dyn Reader>,
    /// The cache of seat maps.
    pub seat_maps: Arc<dyn IdleCache>,
    /// Counts the runs and failures of the task.
    pub metrics: TaskMetrics,
}

impl Housekeeper {
    const EVERY: Duration = Duration::from_secs(1);
    const MAP_IDLE: Duration = Duration::from_secs(60);
    /// After the clock jumped ahead, no key is dropped for this long. A request whose key was dropped too early would be
    /// done twice.
    const KEYS_KEPT_AFTER_JUMP: Duration = Duration::from_secs(600);

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut rest = Rest::new(Self::EVERY);
        let mut pause = Self::EVERY;
        let mut maps_dropped = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if maps_dropped.elapsed() >= Self::MAP_IDLE {
                maps_dropped = Instant::now();
                self.seat_maps.drop_idle();
            }
            // Reading the clock notices a jump.
            let _ = self.clock.now();
            if self.clock.jumped_ahead_within(Self::KEYS_KEPT_AFTER_JUMP) {
                // The task runs, and has nothing to drop.
                self.metrics.ran(true);
                continue;
            }
            let forgotten = self.forget_old_answers().await;
            self.metrics.ran(forgotten.is_ok());
            pause = rest.after(forgotten.is_ok());
        }
    }

    /// Runs a unit of work only if there are old answers, because it takes a lock and, on Postgres, a transaction id. It also
    /// runs while writes fail, because it shows whether they work again.
    async fn forget_old_answers(&self) -> Result<(), Failure> {
        let before = self.reader.now().plus_millis(-i64::from(KEY_LIFE_SECONDS) * 1_000);
        match self.reader.has_old_answers(before).await {
            Ok(false) if self.desk.is_well() => Ok(()),
            _ => self.desk.forget_old_answers().await,
        }
    }
}
