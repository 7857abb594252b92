//! Work that nobody waits for: each task survives errors, backs off, and shows in the metrics.

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
use crate::desk::{Desk, Failure};
use crate::idempotency::KEY_LIFE_SECONDS;
use crate::seat_map::IdleCache;
use crate::store::{Reader, StoreError};
use crate::waiting_room::Rooms;

/// A counter for each task.
type ByTask = Family<[(&'static str, &'static str); 1], Counter>;

/// What all tasks count, each under its name.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    runs: ByTask,
    failures: ByTask,
}

impl Metrics {
    /// Shows the counters of all tasks in a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("background_runs", "Runs of a background task", self.runs.clone());
        registry.register("background_failures", "Failed runs of a background task", self.failures.clone());
    }

    /// The counters of one task, which show from now on.
    pub fn of(&self, task: &'static str) -> TaskMetrics {
        let counter = |family: &ByTask| family.get_or_create(&[("task", task)]).clone();
        TaskMetrics { runs: counter(&self.runs), failures: counter(&self.failures) }
    }
}

/// How often a task has run, and how often it failed.
#[derive(Clone, Debug)]
pub struct TaskMetrics {
    runs: Counter,
    failures: Counter,
}

impl TaskMetrics {
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

/// After a jump ahead of the clock, work that cannot be undone rests for this long: a clock that is wrong may be set back.
pub(crate) const CLOCK_TRUSTED_AFTER: Duration = Duration::from_secs(3);

/// Settles holds that ran out, so that their seats show as free and their release is told.
///
/// Nothing depends on it: a lapsed seat can be taken, and a lapsed hold cannot be paid, before it comes by.
#[derive(Clone)]
pub struct Sweeper {
    /// Where lapsed holds are found.
    pub reader: Arc<dyn Reader>,
    /// By which clock.
    pub clock: Arc<ClockWatch>,
    /// Where they are settled.
    pub desk: Arc<Desk>,
    /// What is counted.
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
                    tracing::warn!(reason, "lapsed holds could not be settled");
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
        if self.clock.jumped_ahead_within(CLOCK_TRUSTED_AFTER) {
            return Ok(0);
        }
        let lapsed = self.reader.lapsed_holds(now, Self::FOUND_MAX).await;
        let mut lapsed = lapsed.map_err(|error| error.to_string())?;
        let found = lapsed.len();
        lapsed.extend(ahead.ended(&self.clock, &*self.reader).await.map_err(|error| error.to_string())?);
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

/// Keeps a process up to date where others change the same database.
#[derive(Clone)]
pub struct Follower {
    /// Which rooms.
    pub rooms: Arc<Rooms>,
    /// Which concerts and performances.
    pub catalogue: Arc<Catalogue>,
    /// What is counted.
    pub metrics: TaskMetrics,
}

impl Follower {
    /// Positions are at most 250 ms old, the question and a late start included.
    const EVERY: Duration = Duration::from_millis(100);
    /// Commits of this process are followed at once, but so much lies between two questions, and a rest as long as the
    /// last one took: a database that is slow is not asked without a break.
    const REST: Duration = Duration::from_millis(20);

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut rest = Rest::new(Self::EVERY);
        let (mut pause, mut began, mut took) = (Self::EVERY, Instant::now(), Duration::ZERO);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.rooms.news_wanted(), if pause <= Self::EVERY => {
                    tokio::time::sleep(Self::REST.saturating_sub(began.elapsed()).max(took)).await;
                }
            }
            began = Instant::now();
            let followed = self.follow().await;
            self.metrics.ran(followed.is_ok());
            // What a question took is part of how old its answer will be when the next one comes.
            took = began.elapsed().min(Self::EVERY - Self::REST);
            pause = rest.after(followed.is_ok()).min(Self::EVERY * 5) - took;
            if let Err(error) = followed {
                tracing::warn!(%error, "what others did is not known");
            }
        }
    }

    async fn follow(&self) -> Result<(), StoreError> {
        let named = self.rooms.ask(Instant::now()).await?;
        self.catalogue.know(&self.rooms.concerts(), &named).await
    }
}

/// Drops what is too old to be asked for: idempotency keys, seat maps that nobody looks at.
#[derive(Clone)]
pub struct Housekeeper {
    /// Where old keys are dropped.
    pub desk: Arc<Desk>,
    /// By which clock they are old.
    pub clock: Arc<ClockWatch>,
    /// The reader that finds whether there are any.
    pub reader: Arc<dyn Reader>,
    /// Where idle maps are dropped.
    pub seat_maps: Arc<dyn IdleCache>,
    /// What is counted.
    pub metrics: TaskMetrics,
}

impl Housekeeper {
    const EVERY: Duration = Duration::from_secs(1);
    const MAP_IDLE: Duration = Duration::from_secs(60);
    /// After a jump ahead of the clock no key is dropped for this long: a request under one that is gone is done twice.
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
            let _ = self.clock.now();
            if self.clock.jumped_ahead_within(Self::KEYS_KEPT_AFTER_JUMP) {
                continue;
            }
            let forgotten = self.forget_old_answers().await;
            self.metrics.ran(forgotten.is_ok());
            pause = rest.after(forgotten.is_ok());
        }
    }

    /// A unit of work takes a lock, and on Postgres a transaction id: none runs if there is nothing to forget. It runs if the
    /// database may be in trouble, as it shows whether that is over.
    async fn forget_old_answers(&self) -> Result<(), Failure> {
        let before = self.reader.now().plus_millis(-i64::from(KEY_LIFE_SECONDS) * 1_000);
        match self.reader.has_old_answers(before).await {
            Ok(false) if self.desk.is_well() => Ok(()),
            _ => self.desk.forget_old_answers().await,
        }
    }
}
