//! Keeps a memory and the database in step: learns how far places were handed out elsewhere, opens rooms that were
//! lost, puts back what tokens show, and takes out of doubt what need not be.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::ids::ConcertId;
use onsale_domain::waiting_room::{HandOut, Leave, Request, Token};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::opening::Opener;
use super::{Held, MemoryError, PlaceMemory, Rooms};
use crate::desk::Desk;
use crate::waiting_room::LiveRoom;

/// How often the memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The most tokens that are put back together.
const RESTORED_AT_ONCE: usize = 1_000;

/// How often in a row a room has to be found lost before it is opened: another instance may be opening it.
const LOST_LOOKS: u32 = 2;

/// How often rooms that are over are deleted from the memory.
const RETIRE_EVERY: Duration = Duration::from_secs(5);

/// Maximum number of rooms that are deleted, and that are queried, in a row: the repairer's other work must not wait for long.
const RETIRED_AT_ONCE: usize = 20;
const ASKED_AT_ONCE: usize = 500;

/// What is shown of a memory.
#[derive(Clone, Debug, Default)]
pub struct RepairMetrics {
    restored: Counter,
    reinstated: Counter,
    opened: Counter,
    retired: Counter,
}

impl RepairMetrics {
    /// Shows them.
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

/// See the module.
pub struct Repairer {
    memory: Arc<dyn PlaceMemory>,
    desk: Arc<Desk>,
    rooms: Arc<Rooms>,
    /// How often in a row each room was found lost.
    lost: HashMap<ConcertId, u32>,
    /// The epoch in which each room that is over was deleted.
    retired: HashMap<ConcertId, u64>,
    retired_at: Instant,
    /// What is shown.
    pub metrics: RepairMetrics,
}

impl Repairer {
    pub(super) fn new(memory: Arc<dyn PlaceMemory>, desk: Arc<Desk>, rooms: Arc<Rooms>) -> Self {
        let (lost, retired, metrics) = (HashMap::new(), HashMap::new(), RepairMetrics::default());
        Self { memory, desk, rooms, lost, retired, retired_at: Instant::now(), metrics }
    }

    /// Runs until stopped.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(LOOK_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => {}
            }
            if self.look().await.is_err() {
                self.rooms.rooms.load().values().for_each(|room| room.beside.write_soon());
                self.rooms.stir.notify_one();
            } else if self.retired_at.elapsed() >= RETIRE_EVERY {
                self.retired_at = Instant::now();
                if let Err(error) = self.retire().await {
                    tracing::debug!(%error, "failed to delete rooms that are over; retrying in 5 s");
                }
            }
        }
    }

    /// Deletes rooms that are over from the memory, once for each epoch: memory is for the sales to come.
    async fn retire(&mut self) -> Result<(), MemoryError> {
        let (rooms, at) = (self.rooms.rooms.load_full(), self.rooms.reader.now());
        self.retired.retain(|concert, _| rooms.contains_key(concert));
        let (mut deleted, mut asked) = (0, 0);
        for (concert, room) in rooms.iter() {
            if deleted == RETIRED_AT_ONCE || asked == ASKED_AT_ONCE {
                break;
            }
            let (epoch, issued) = (room.snapshot().room.blocks.epoch, room.issued());
            if epoch == 0 || self.retired.get(concert) == Some(&epoch) || !room.is_over(at) {
                continue;
            }
            asked += 1;
            if self.memory.retire(*concert, epoch, issued).await? {
                tracing::info!(concert.id = %concert, "deleted the places of a room that is over");
                self.metrics.retired.inc();
                deleted += 1;
            }
            self.retired.insert(*concert, epoch);
        }
        Ok(())
    }

    /// Looks at every room in which somebody waits.
    async fn look(&mut self) -> Result<(), MemoryError> {
        let rooms = self.rooms.rooms.load_full();
        for (concert, room) in rooms.iter() {
            let snapshot = room.snapshot();
            let blocks = &snapshot.room.blocks;
            if room.is_beyond(room.beside.shown_beyond().max(room.beside.issued())) {
                self.count_lost(*concert, room).await;
                continue;
            }
            if blocks.epoch == 0 {
                continue;
            }
            let reinstated = room.beside.take_to_reinstate(blocks);
            if !reinstated.is_empty() {
                self.reinstate(*concert, reinstated).await;
            }
            let issued = snapshot.room.issued.max(room.beside.issued());
            if snapshot.room.waiting_up_to(issued) > 0 {
                self.look_at(*concert, room, blocks.epoch).await?;
                self.restore(*concert, room).await?;
            }
        }
        Ok(())
    }

    async fn look_at(&mut self, concert: ConcertId, room: &Arc<LiveRoom>, epoch: u64) -> Result<(), MemoryError> {
        let known = room.beside.issued_in(epoch).max(room.snapshot().room.issued);
        let state = self.memory.state(concert).await?;
        if state.epoch >= epoch {
            let before = room.beside.issued();
            room.beside.handed_out(state.epoch, state.mark.issued);
            let (after, to) = state.missing;
            room.beside.missing(after, to);
            if before < state.mark.issued {
                self.rooms.stir.notify_one();
            }
        }
        let went_back = state.epoch == epoch && state.mark.issued < known;
        let is_ahead = epoch < state.epoch || room.is_beyond(state.mark.block_end);
        if state.epoch < epoch || went_back || is_ahead {
            self.count_lost(concert, room).await;
        } else {
            self.lost.remove(&concert);
        }
        Ok(())
    }

    /// Memory and database do not agree on a room. If that lasts, the room is opened anew; the opener asks the database
    /// first, so that a room that is only known late here stays as it is.
    async fn count_lost(&mut self, concert: ConcertId, room: &Arc<LiveRoom>) {
        let looks = self.lost.entry(concert).or_default();
        *looks += 1;
        if *looks >= LOST_LOOKS {
            self.lost.remove(&concert);
            let before = room.snapshot().room.blocks.epoch;
            let mut opener = Opener::new(concert, room, self.memory.clone(), self.desk.clone());
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
            let tokens = room.beside.take_to_restore(RESTORED_AT_ONCE);
            if tokens.is_empty() {
                return Ok(());
            }
            let asked: Vec<_> = tokens.iter().map(|token| (token.clone(), None)).collect();
            match self.memory.restore(concert, &asked).await {
                Ok(held) => {
                    self.metrics.restored.inc_by(held.len() as u64);
                    for (token, held) in tokens.into_iter().zip(held) {
                        if held.place != token.place {
                            self.settle(concert, room, token, held).await?;
                        }
                    }
                }
                Err(error) => {
                    room.beside.restore_later(tokens);
                    return Err(error);
                }
            }
        }
    }

    /// One user has one place. Of two, the earlier one counts, if it still stands: its bearer has waited longer.
    async fn settle(&self, concert: ConcertId, room: &LiveRoom, token: Token, other: Held) -> Result<(), MemoryError> {
        let at = self.rooms.reader.now();
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
        // Where the database is away the second place stays: it is found out again when its turn comes.
        let _ = self.desk.submit_patiently(Leave(given_up)).await;
        Ok(())
    }
}
