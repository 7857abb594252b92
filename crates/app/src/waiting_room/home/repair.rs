//! Keeps Redis and the database in step: learns how far other instances handed out places, opens rooms that Redis lost,
//! puts places back whose tokens were shown, and makes places in doubt count again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::ids::ConcertId;
use onsale_domain::leaving::Leave;
use onsale_domain::waiting_room::{HandOut, Request, Token};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::opening::Opener;
use super::{Held, MemoryError, PlaceMemory};
use crate::desk::Desk;
use crate::waiting_room::{LiveRoom, Rooms};

/// How often the rooms are compared with Redis.
const COMPARE_EVERY: Duration = Duration::from_millis(100);

/// The most tokens in one call that puts places back.
const RESTORED_AT_ONCE: usize = 1_000;

/// A room is opened after it was found lost this often in a row: another instance may be opening it.
const LOST_MAX: u32 = 2;

/// How often rooms that are over are deleted from Redis.
const RETIRE_EVERY: Duration = Duration::from_secs(5);

/// The most rooms that are deleted, and that are queried, in a row: the other work must not wait for long.
const RETIRED_AT_ONCE: usize = 20;
const QUERIED_AT_ONCE: usize = 500;

/// Counts what was repaired.
#[derive(Clone, Debug, Default)]
pub struct RepairMetrics {
    restored: Counter,
    reinstated: Counter,
    opened: Counter,
    retired: Counter,
}

impl RepairMetrics {
    /// Registers all counters with this registry.
    pub fn register(&self, registry: &mut Registry) {
        let memory = registry.sub_registry_with_prefix("waiting_room_memory");
        memory.register("restored", "Places restored in Redis after it lost them", self.restored.clone());
        memory.register(
            "reinstated",
            "Places that Redis had lost and that came back when their token was used",
            self.reinstated.clone(),
        );
        memory.register(
            "rooms_opened",
            "Waiting rooms that began a new epoch because Redis lost its data",
            self.opened.clone(),
        );
        memory.register(
            "rooms_retired",
            "Waiting rooms deleted from Redis because their concert is over",
            self.retired.clone(),
        );
    }
}

/// The background task that repairs the rooms of one place memory.
pub struct Repairer {
    memory: Arc<dyn PlaceMemory>,
    desk: Arc<Desk>,
    rooms: Arc<Rooms>,
    /// How often in a row each room was found lost.
    lost: HashMap<ConcertId, u32>,
    /// Rooms that are over and need no other attempt: the epoch and the last place of the attempt.
    retired: HashMap<ConcertId, (u64, u64)>,
    retired_at: Instant,
    /// Counts what was repaired, by kind.
    pub metrics: RepairMetrics,
}

impl Repairer {
    /// A task for this memory and these rooms.
    pub fn new(memory: Arc<dyn PlaceMemory>, desk: Arc<Desk>, rooms: Arc<Rooms>) -> Self {
        let (lost, retired, metrics) = (HashMap::new(), HashMap::new(), RepairMetrics::default());
        Self { memory, desk, rooms, lost, retired, retired_at: Instant::now(), metrics }
    }

    /// Runs until stopped.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(COMPARE_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => {}
            }
            if self.compare_rooms().await.is_err() {
                // Redis may return without its data: so the database soon learns how far places
                // were handed out.
                self.rooms.rooms.load().values().for_each(|room| room.handed_out.write_soon());
                self.rooms.wake_driver();
            } else if self.retired_at.elapsed() >= RETIRE_EVERY {
                self.retired_at = Instant::now();
                if let Err(error) = self.retire().await {
                    tracing::debug!(%error, "failed to delete rooms that are over; retrying in 5 s");
                }
            }
        }
    }

    /// Deletes rooms that are over from Redis, to free its memory for the sales to come. Redis keeps a room if places were
    /// handed out after those that this process knows: then another attempt follows when it knows of them.
    async fn retire(&mut self) -> Result<(), MemoryError> {
        let (rooms, at) = (self.rooms.rooms.load_full(), self.rooms.now());
        self.retired.retain(|concert, _| rooms.contains_key(concert));
        let (mut deleted, mut queried) = (0, 0);
        for (concert, room) in rooms.iter() {
            if deleted == RETIRED_AT_ONCE || queried == QUERIED_AT_ONCE {
                break;
            }
            let (epoch, issued) = (room.snapshot().room.blocks.epoch, room.issued());
            if epoch == 0 || self.retired.get(concert) == Some(&(epoch, issued)) || !room.is_over(at) {
                continue;
            }
            queried += 1;
            if self.memory.retire(*concert, epoch, issued).await? {
                tracing::info!(concert.id = %concert, "deleted the places of a room that is over");
                self.metrics.retired.inc();
                deleted += 1;
            }
            self.retired.insert(*concert, (epoch, issued));
        }
        Ok(())
    }

    /// Compares every room with users in line.
    async fn compare_rooms(&mut self) -> Result<(), MemoryError> {
        let rooms = self.rooms.rooms.load_full();
        for (concert, room) in rooms.iter() {
            let snapshot = room.snapshot();
            let blocks = &snapshot.room.blocks;
            if room.is_beyond(room.handed_out.shown_beyond().max(room.handed_out.issued())) {
                // A token, or Redis, has a place beyond all that the database knows: the database was set back.
                self.count_lost(*concert, room).await;
                continue;
            }
            if blocks.epoch == 0 {
                continue;
            }
            let reinstated = room.handed_out.take_to_reinstate(blocks);
            if !reinstated.is_empty() {
                self.reinstate(*concert, reinstated).await;
            }
            let issued = snapshot.room.issued.max(room.handed_out.issued());
            if snapshot.room.waiting_up_to(issued) > 0 {
                self.compare_room(*concert, room, blocks.epoch).await?;
                self.restore(*concert, room).await?;
            }
        }
        Ok(())
    }

    async fn compare_room(&mut self, concert: ConcertId, room: &Arc<LiveRoom>, epoch: u64) -> Result<(), MemoryError> {
        // Before Redis is read: swapped, places that are handed out in between would look like a loss.
        let known = room.handed_out.issued_in(epoch).max(room.snapshot().room.issued);
        let state = self.memory.state(concert).await?;
        if state.epoch >= epoch {
            let before = room.handed_out.issued();
            room.handed_out.note(state.epoch, state.block_use.issued);
            let (after, to) = state.missing;
            room.handed_out.missing(after, to);
            if before < state.block_use.issued {
                self.rooms.wake_driver();
            }
        }
        let went_back = state.epoch == epoch && state.block_use.issued < known;
        let is_ahead = epoch < state.epoch || room.is_beyond(state.block_use.block_end);
        if state.epoch < epoch || went_back || is_ahead {
            self.count_lost(concert, room).await;
        } else {
            self.lost.remove(&concert);
        }
        Ok(())
    }

    /// Counts that Redis and the database do not agree on a room. If that lasts, the room is opened anew. The opener reads the
    /// database first, so a room whose snapshot here is late stays as it is.
    async fn count_lost(&mut self, concert: ConcertId, room: &Arc<LiveRoom>) {
        let times = self.lost.entry(concert).or_default();
        *times += 1;
        if *times >= LOST_MAX {
            self.lost.remove(&concert);
            let before = room.snapshot().room.blocks.epoch;
            let rivals = self.rooms.rivals.clone();
            let mut opener = Opener::new(room, self.memory.clone(), self.desk.clone(), rivals);
            if opener.open().await.is_ok() && before < opener.epoch() {
                self.metrics.opened.inc();
            }
        }
    }

    async fn reinstate(&self, concert: ConcertId, places: Vec<(u64, u64)>) {
        let many = places.len() as u64;
        let request = Request::Reinstate(places);
        if self.desk.submit_patiently(HandOut { concert, request }).await.is_ok() {
            self.metrics.reinstated.inc_by(many);
        }
    }

    async fn restore(&self, concert: ConcertId, room: &LiveRoom) -> Result<(), MemoryError> {
        loop {
            let tokens = room.handed_out.take_to_restore(RESTORED_AT_ONCE);
            if tokens.is_empty() {
                return Ok(());
            }
            let wanted: Vec<_> = tokens.iter().map(|token| (token.clone(), None)).collect();
            match self.memory.restore(concert, &wanted).await {
                Ok(held) => {
                    self.metrics.restored.inc_by(held.len() as u64);
                    for (token, held) in tokens.into_iter().zip(held) {
                        if held.place != token.place {
                            self.settle(concert, room, token, held).await?;
                        }
                    }
                }
                Err(error) => {
                    // Otherwise their users would be unknown in Redis, and get second places.
                    room.handed_out.restore_later(tokens);
                    return Err(error);
                }
            }
        }
    }

    /// One user has one place. Of two, the earlier one counts if it still stands: the user has waited longer with it.
    async fn settle(&self, concert: ConcertId, room: &LiveRoom, token: Token, other: Held) -> Result<(), MemoryError> {
        let at = self.rooms.now();
        let other_token = other.into_token(concert, token.user.clone());
        let given_up = match (room.stands(&other_token, at), room.stands(&token, at)) {
            (true, false) => return Ok(()),
            (true, true) if other.place < token.place => token,
            (stands, _) => {
                self.memory.restore(concert, &[(token, Some(other.place))]).await?;
                if !stands {
                    return Ok(());
                }
                other_token
            }
        };
        // If the database does not answer, the second place stays until its turn: the step that names it ends it.
        let _ = self.desk.submit_patiently(Leave(given_up)).await;
        Ok(())
    }
}
