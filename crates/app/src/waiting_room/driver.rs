//! The background work that keeps rooms moving: it looks often, and steps where a step is due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use onsale_domain::ids::ConcertId;
use onsale_domain::waiting_room::{ADMIT_AT_ONCE_MAX, Step};
use prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;

use super::{LiveRoom, Rooms};
use crate::background::{CLOCK_TRUSTED_AFTER, TaskMetrics};
use crate::clock::ClockWatch;
use crate::desk::{Desk, Failure, Outcome};

/// How often every room is looked at, if nothing stirs it earlier.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The most people who are called before the room is looked at again: what was heard of others is not to wait for long.
const CALLED_TOGETHER_MAX: u32 = 10 * ADMIT_AT_ONCE_MAX;

/// How long a room rests after a step that failed.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Moves all rooms of this process on.
#[derive(Clone)]
pub struct Driver {
    /// The rooms to move.
    pub rooms: Arc<Rooms>,
    /// The clock by which turns end.
    pub clock: Arc<ClockWatch>,
    /// Where steps are decided.
    pub desk: Arc<Desk>,
    /// What is counted.
    pub metrics: TaskMetrics,
    /// The share of its rate at which the room that stepped last calls people: below 1 while the database is slow.
    pub share: Gauge<f64, AtomicU64>,
}

impl Driver {
    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(LOOK_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.rooms.stir.notified() => self.look(),
                _ = interval.tick() => self.look(),
            }
        }
    }

    fn look(&self) {
        let at = self.clock.now();
        if self.clock.jumped_ahead_within(CLOCK_TRUSTED_AFTER) {
            // Every turn would seem to be over.
            return;
        }
        for (concert, room) in self.rooms.rooms.load().iter() {
            room.look_ahead(at);
            if room.stepping.load(Ordering::Acquire) {
                continue;
            }
            if let Some(mut step) = room.next_step(at) {
                let admissible = room.admissible(at);
                let admit_per_second = room.snapshot().room.settings.admit_per_second;
                step.limit = room.pressure.lock().unwrap_or_else(PoisonError::into_inner).limit(admit_per_second, at);
                room.stepping.store(true, Ordering::Release);
                tokio::spawn(self.clone().step(*concert, room.clone(), step, admissible));
            }
        }
    }

    /// `admissible`: how many can be called, as far as is known here; more than one step calls, perhaps.
    async fn step(self, concert: ConcertId, room: Arc<LiveRoom>, step: Step, admissible: u32) {
        let before = room.snapshot().room.version;
        let (mut stepped, mut share) = self.take(&room, step).await;
        let mut left = admissible.min(CALLED_TOGETHER_MAX);
        while stepped.is_ok() && share >= 1.0 && left > ADMIT_AT_ONCE_MAX {
            left -= ADMIT_AT_ONCE_MAX;
            // Who was called is told while the next are called.
            let rooms = self.rooms.clone();
            tokio::spawn(async move { rooms.refresh().await });
            (stepped, share) = self.take(&room, Step::of(concert)).await;
        }
        if let Err(error) = stepped {
            tracing::warn!(%concert, %error, "a room could not move on");
            tokio::time::sleep(REST_AFTER_FAILURE).await;
        }
        // Where others step too, what came of it is to be known before the next step.
        let _ = self.rooms.refresh().await;
        room.stepping.store(false, Ordering::Release);
        // More may be due than one step names. A step that changed nothing is not repeated before the next look.
        if room.snapshot().room.version != before {
            self.rooms.stir.notify_one();
        }
    }

    /// One step, and the share of its rate at which the room calls people after it.
    async fn take(&self, room: &LiveRoom, step: Step) -> (Result<Outcome<Step>, Failure>, f64) {
        let bearers = step.bearers.clone();
        let began = Instant::now();
        let stepped = self.desk.submit_patiently(step).await;
        if stepped.is_err() {
            room.check_again(bearers);
        }
        let share = {
            let mut pressure = room.pressure.lock().unwrap_or_else(PoisonError::into_inner);
            pressure.felt(began.elapsed());
            pressure.share()
        };
        self.share.set(share);
        self.metrics.ran(stepped.is_ok());
        (stepped, share)
    }
}
