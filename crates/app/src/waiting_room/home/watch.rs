//! Checks Redis all the time, also if there is no room: alerts must fire before the first user enters.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::{PlaceMemory, Trouble};
use crate::conditions::{Conditions, Reason};
use crate::waiting_room::Rooms;

/// The name of Redis on the board of conditions.
const PART: &str = "redis";

/// How often Redis is examined.
const EXAMINE_EVERY: Duration = Duration::from_secs(1);

/// How often the age of the last good answer is updated, also while an examination waits for its answer.
const SHOW_EVERY: Duration = Duration::from_millis(250);

/// An examination that takes longer than this counts as no answer.
const EXAMINED_WITHIN: Duration = Duration::from_secs(5);

/// The background task that examines one place memory.
pub struct Watch {
    memory: Arc<dyn PlaceMemory>,
    rooms: Arc<Rooms>,
    conditions: Arc<Conditions>,
    /// When Redis could last hand out places.
    well_at: Instant,
    age: Gauge<f64, AtomicU64>,
}

impl Watch {
    /// A task that writes what is wrong with the Redis of these rooms on this board.
    pub fn new(memory: Arc<dyn PlaceMemory>, rooms: Arc<Rooms>, conditions: Arc<Conditions>) -> Self {
        conditions.watch(PART);
        Self { memory, rooms, conditions, well_at: Instant::now(), age: Gauge::default() }
    }

    /// Registers the gauge of how long no user could get a new place.
    pub fn register(&self, registry: &mut Registry) {
        let memory = registry.sub_registry_with_prefix("waiting_room_memory");
        let help = "Seconds since Redis last answered and could hand out places";
        memory.register("age_seconds", help, self.age.clone());
    }

    /// Runs until stopped.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut show = tokio::time::interval(SHOW_EVERY);
        show.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let memory = self.memory.clone();
            let examined = async {
                let found = tokio::time::timeout(EXAMINED_WITHIN, memory.examine()).await;
                let away = "Redis does not answer within 5 s: check that it runs and that this server reaches it";
                found.unwrap_or_else(|_| vec![(Trouble::Away, Reason::new(away))])
            };
            tokio::pin!(examined);
            let mut found = loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = show.tick() => self.show_age(),
                    found = &mut examined => break found,
                }
            };
            found.extend(self.rooms.rivals.reason().map(|reason| (Trouble::Split, reason)));
            self.note(&found);
            let rest = tokio::time::sleep(EXAMINE_EVERY);
            tokio::pin!(rest);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = show.tick() => self.show_age(),
                    () = &mut rest => break,
                }
            }
        }
    }

    fn note(&mut self, found: &[(Trouble, Reason)]) {
        for trouble in Trouble::ALL {
            let reason = found.iter().find(|(known, _)| *known == trouble).map(|(_, reason)| reason.clone());
            self.conditions.set(PART, trouble.condition(), reason);
        }
        if !found.iter().any(|(trouble, _)| trouble.stops_entries()) {
            self.well_at = Instant::now();
        }
        self.show_age();
    }

    /// The age is 0 while Redis is well: that the last examination was a second ago shows no fault.
    fn show_age(&self) {
        let age = self.well_at.elapsed().saturating_sub(EXAMINE_EVERY + SHOW_EVERY);
        self.age.set(age.as_secs_f64());
    }
}
