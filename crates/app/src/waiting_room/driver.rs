//! The background task that admits users: it visits every room often, and submits a step if one is due.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use onsale_domain::ids::ConcertId;
use onsale_domain::waiting_room::{ADMIT_AT_ONCE_MAX, Step};
use prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;

use super::{LiveRoom, Rooms};
use crate::background::{CLOCK_TRUSTED_AFTER, TaskMetrics};
use crate::clock::ClockWatch;
use crate::desk::{Desk, Failure, Outcome};

/// How often every room is visited, if nothing wakes the driver earlier.
const VISIT_EVERY: Duration = Duration::from_millis(100);

/// The most users that are admitted before the room is visited again. Signs of life are reported with a visit, and must not
/// wait for long.
const ADMITTED_TOGETHER_MAX: u32 = 10 * ADMIT_AT_ONCE_MAX;

/// The pause of a room after a step that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Admits users in all rooms of this process.
#[derive(Clone)]
pub struct Driver {
    /// The rooms to visit.
    pub rooms: Arc<Rooms>,
    /// The clock by which turns end.
    pub clock: Arc<ClockWatch>,
    /// The desk that decides the steps.
    pub desk: Arc<Desk>,
    /// Counts runs and failures.
    pub metrics: TaskMetrics,
    /// The share of its rate that the room with the last step admits: below 1 while the database is slow.
    pub share: Gauge<f64, AtomicU64>,
}

impl Driver {
    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(VISIT_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.rooms.driver_wake.notified() => self.visit(),
                _ = interval.tick() => self.visit(),
            }
        }
    }

    fn visit(&self) {
        let at = self.clock.now();
        if self.clock.jumped_ahead_within(CLOCK_TRUSTED_AFTER) {
            // Every turn would seem to be over.
            return;
        }
        for (concert, room) in self.rooms.rooms.load().iter() {
            room.update_outlook(at);
            self.draw_if_due(room);
            if room.admission.is_stepping() {
                continue;
            }
            if let Some(mut step) = room.next_step(at) {
                let admissible = room.admissible(at);
                let admit_per_second = room.snapshot().room.settings.admit_per_second;
                step.limit = room.admission.limit(admit_per_second, at);
                // Before the task is spawned: the next visit must not begin a second step of this room.
                room.admission.begin_step();
                tokio::spawn(self.clone().step(*concert, room.clone(), step, admissible));
            }
        }
    }

    /// Takes one step, or several if `admissible`, the number of users that can be admitted, is more than one step admits.
    async fn step(self, concert: ConcertId, room: Arc<LiveRoom>, step: Step, admissible: u32) {
        let before = room.snapshot().room.version;
        let (mut stepped, mut share) = self.take(&room, step).await;
        let mut left = admissible.min(ADMITTED_TOGETHER_MAX);
        while stepped.is_ok() && share >= 1.0 && left > ADMIT_AT_ONCE_MAX {
            left -= ADMIT_AT_ONCE_MAX;
            // The users of this step learn of their turns while the next step runs.
            let rooms = self.rooms.clone();
            tokio::spawn(async move { rooms.refresh().await });
            (stepped, share) = self.take(&room, Step::of(concert)).await;
        }
        if let Err(error) = stepped {
            tracing::warn!(concert.id = %concert, %error, "admission step failed; retrying in 500 ms");
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
        // Before the next step may begin: it is based on the result of this one, which on Postgres arrives with a refresh.
        let _ = self.rooms.refresh().await;
        room.admission.end_step();
        // More may be due than one step names. A step that changed nothing is not repeated before the next visit.
        if room.snapshot().room.version != before {
            self.rooms.wake_driver();
        }
    }

    /// Takes one step. Returns the share of the rate that the room admits from now on.
    async fn take(&self, room: &LiveRoom, step: Step) -> (Result<Outcome<Step>, Failure>, f64) {
        let tokens = step.shown_tokens.clone();
        let began = Instant::now();
        let stepped = self.desk.submit_patiently(step).await;
        if stepped.is_err() {
            room.check_again(tokens);
        }
        let share = room.admission.measure_step(began.elapsed());
        self.share.set(share);
        self.metrics.ran(stepped.is_ok());
        (stepped, share)
    }
}
