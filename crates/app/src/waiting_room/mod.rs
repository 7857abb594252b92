//! The waiting rooms of this process: answered from memory, moved on by their driver.

mod asking;
mod beside;
mod change;
pub mod door;
mod driver;
mod estimate;
mod follow;
mod forecast;
mod glance;
mod live;
mod outlook;
mod pace;
mod pressure;
mod promises;
mod retire;
#[cfg(test)]
mod simulation;
mod stated;
mod stock;
mod turn;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use onsale_domain::ids::ConcertId;
use onsale_domain::rows::Rows;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{PlaceStanding, Token};
use tokio::sync::Notify;

use crate::desk::Observer;
use crate::store::news::News;
use crate::store::{Reader, RoomRecord, StoreError, Unit};
use change::Change;
use follow::Following;
use retire::Besides;

pub use driver::Driver;
pub use estimate::EstimateMetrics;
pub use live::{LiveRoom, Look, Snapshot, Stake, Standing};
pub use retire::OVER_AFTER_MILLIS;

/// All rooms, by concert, but those that are retired.
pub struct Rooms {
    reader: Arc<dyn Reader>,
    rooms: ArcSwap<HashMap<ConcertId, Arc<LiveRoom>>>,
    besides: Besides,
    /// A room may have to move on now, sooner than its driver looks by itself.
    stir: Notify,
    /// Changes whenever a line moved, for those who follow one.
    moved: tokio::sync::watch::Sender<u64>,
    /// How often all who wait in a room are to ask together, a second.
    polls_per_second: u32,
    /// Where other processes change the rooms too.
    following: Option<Following>,
    /// How often all rooms were read.
    reads: AtomicU64,
    /// Whether a memory beside the database hands out places.
    is_beside: AtomicBool,
    /// How good the estimates of waiting were.
    pub estimates: EstimateMetrics,
}

impl Rooms {
    /// Reads all rooms. Whoever was called and not heard of while no process ran gets a fresh chance.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn load(
        reader: Arc<dyn Reader>,
        news: Option<Arc<dyn News>>,
        polls_per_second: u32,
    ) -> Result<Self, StoreError> {
        let (rooms, stir, moved) = (ArcSwap::default(), Notify::new(), tokio::sync::watch::Sender::new(0));
        let following = news.map(|news| Following::new(news, reader.now()));
        let estimates = EstimateMetrics::default();
        let (reads, is_beside) = (AtomicU64::new(0), AtomicBool::new(false));
        let besides = Besides::default();
        let rooms =
            Self { reader, rooms, besides, stir, moved, following, polls_per_second, estimates, reads, is_beside };
        rooms.reload().await?;
        Ok(rooms)
    }

    /// Reads all rooms again.
    async fn reload(&self) -> Result<(), StoreError> {
        let records = self.reader.rooms().await?;
        let performances = self.reader.performances().await?;
        let at = self.reader.now();
        let before = self.rooms.load();
        let live = |record: RoomRecord| {
            let (concert, mut room) = (record.concert, self.live(record));
            // Places handed out by Redis and measurements stay valid.
            if let Some(known) = before.get(&concert) {
                room.beside = known.beside.clone();
                room.keep_outlook(known, at);
            }
            (concert, Arc::new(room))
        };
        let rooms: HashMap<_, _> = records.into_iter().map(live).collect();
        for performance in &performances {
            rooms.get(&performance.concert).into_iter().for_each(|room| room.stock.note(performance));
        }
        rooms.values().for_each(|room| room.forgive_silence(at));
        self.rooms.store(Arc::new(rooms));
        self.reads.fetch_add(1, Ordering::AcqRel);
        self.stir.notify_one();
        Ok(())
    }

    /// How often all rooms were read: more often each time that the database may have been set back.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Acquire)
    }

    /// Places are handed out by a memory beside the database from now on.
    pub(crate) fn are_beside(&self) {
        self.is_beside.store(true, Ordering::Release);
    }

    /// The room of a concert.
    pub fn get(&self, concert: ConcertId) -> Option<Arc<LiveRoom>> {
        self.rooms.load().get(&concert).cloned()
    }

    /// Whether a place is still in line, or its turn runs. Others are asked before it is said to be over.
    ///
    /// # Errors
    /// Where the database cannot be read and the answer depends on it.
    pub async fn stands(&self, token: &Token) -> Result<bool, StoreError> {
        let Some(room) = self.find(token.concert).await? else { return Ok(false) };
        if room.is_waiting(token) {
            return Ok(true);
        }
        self.refresh().await?;
        Ok(room.stands(token, self.reader.now()))
    }

    /// Tells whenever a line may have moved.
    pub fn follow(&self) -> tokio::sync::watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// How many rooms are in memory.
    pub fn count(&self) -> usize {
        self.rooms.load().len()
    }

    /// People waiting, and turns running, over all rooms.
    pub fn totals(&self) -> (u64, u64) {
        self.rooms.load().values().fold((0, 0), |(waiting, active), room| {
            let snapshot = room.snapshot();
            (waiting + room.waiting(), active + u64::from(snapshot.room.active))
        })
    }

    /// Adds a room that a unit of work made or changed and that is not in memory: it is new, or was retired, and then it
    /// has no turns but those of the unit.
    fn add(&self, concert: ConcertId, unit: &Unit) {
        let rows = &unit.rows;
        let Some(room) = rows.rooms.get(&concert).cloned() else { return };
        let given_up = rows.given_up.get(&concert).into_iter().flat_map(|given_up| &given_up.ahead);
        let given_up = given_up.copied().filter(|place| room.served < *place).collect();
        let turns = rows.turns.values().filter(|((of, _), _)| *of == concert);
        let turns = turns.map(|((_, place), turn)| (*place, turn.clone(), false)).collect();
        self.insert(RoomRecord { concert, room, given_up, turns, holds: Vec::new() });
    }

    fn live(&self, record: RoomRecord) -> LiveRoom {
        let beside = self.besides.of(record.concert);
        let mut room = LiveRoom::new(record, self.polls_per_second, self.estimates.clone(), self.reader.now());
        room.beside = beside;
        room.keep_for_its_memory(self.reader.now());
        room
    }

    /// Adds a room, unless it is known.
    fn insert(&self, record: RoomRecord) {
        let concert = record.concert;
        self.insert_live(concert, self.live(record));
    }

    fn insert_live(&self, concert: ConcertId, room: LiveRoom) {
        let room = Arc::new(room);
        self.rooms.rcu(|rooms| {
            let mut rooms = HashMap::clone(rooms);
            rooms.entry(concert).or_insert_with(|| room.clone());
            rooms
        });
    }

    fn changes(rows: &Rows) -> HashMap<ConcertId, Change> {
        let mut changes: HashMap<ConcertId, Change> = HashMap::new();
        for (concert, room) in rows.rooms.changed() {
            changes.entry(*concert).or_default().room = room.cloned();
        }
        for ((concert, number), place) in rows.places.changed() {
            if place.is_some_and(|place| place.standing == PlaceStanding::GivenUp) {
                changes.entry(*concert).or_default().given_up.push(*number);
            }
        }
        for ((concert, number), turn) in rows.turns.changed() {
            changes.entry(*concert).or_default().turns.push((*number, turn.cloned()));
        }
        for ((concert, number), end) in rows.ends.changed() {
            if end.is_some() {
                changes.entry(*concert).or_default().ended.push(*number);
            }
        }
        for (_, reservation) in rows.reservations.changed() {
            if let Some(reservation) = reservation {
                changes.entry(reservation.concert).or_default().reservations.push(reservation.clone());
            }
        }
        changes
    }

    fn stir_if_needed(&self, room: &LiveRoom, ended: bool, at: Timestamp) {
        if ended || room.snapshot().room.admissible(at) > 0 {
            self.stir.notify_one();
        }
    }
}

#[async_trait]
impl Observer for Rooms {
    fn committed(&self, unit: &Unit) {
        for concert in &unit.rows.new_concerts {
            self.add(concert.id, unit);
        }
        let rooms = self.rooms.load();
        for (_, performance) in unit.rows.performances.changed() {
            let Some(performance) = performance else { continue };
            rooms.get(&performance.concert).into_iter().for_each(|room| room.stock.note(performance));
        }
        for token in &unit.rows.disputes {
            tracing::warn!(concert.id = %token.concert, place = token.place, user = %token.user,
                "a second token was shown for a place; it is refused, and `onsale audit` reports it");
            rooms.get(&token.concert).into_iter().for_each(|room| room.reject(token));
        }
        if let Some(following) = &self.following {
            self.glimpse(&unit.rows);
            following.wanted.notify_one();
            return;
        }
        let mut moved = false;
        for (concert, change) in Self::changes(&unit.rows) {
            let Some(room) = rooms.get(&concert) else {
                self.add(concert, unit);
                self.stir.notify_one();
                continue;
            };
            let ended = !change.ended.is_empty();
            moved |= ended || !change.turns.is_empty() || !change.given_up.is_empty();
            room.commit(change, unit.at);
            self.stir_if_needed(room, ended, unit.at);
        }
        if moved {
            self.moved.send_modify(|count| *count += 1);
        }
    }

    async fn recover(&self) -> Result<(), StoreError> {
        self.reload().await
    }
}
