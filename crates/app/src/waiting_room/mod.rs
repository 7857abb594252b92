//! The waiting rooms of this process: polls are answered from memory, and a driver admits users.
//!
//! [`Rooms`] holds one [`LiveRoom`] for each concert. [`Rooms::placement`] answers where a token stands, [`home`] hands out
//! places, and [`Driver`] submits the steps that admit users.

mod availability;
mod change;
mod drawing;
mod driver;
mod estimate;
mod follow;
mod forecast;
mod handed_out;
pub mod home;
mod leaving;
mod live;
mod outlook;
mod pace;
mod poll_interval;
mod pressure;
mod promises;
mod retire;
mod rivals;
mod scan;
#[cfg(test)]
mod simulation;
mod standing;
mod stated;
mod turn;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use onsale_domain::ids::ConcertId;
use onsale_domain::rows::Rows;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::PlaceStanding;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Mutex, Notify};

use crate::desk::Observer;
use crate::store::news::News;
use crate::store::{Announced, Reader, RoomRecord, StoreError, Unit};
use change::Change;
use follow::Follower;
use leaving::Leavings;
use retire::PlacesOfRooms;
use rivals::Rivals;

pub use driver::Driver;
pub use estimate::EstimateMetrics;
pub use leaving::Leaver;
pub use live::{LiveRoom, Snapshot};
pub use retire::OVER_AFTER_MILLIS;
pub use standing::{Look, Placement, Purpose, Standing, Wait};

/// All rooms that are in memory, by concert. A retired room is not.
pub struct Rooms {
    reader: Arc<dyn Reader>,
    /// Replaced as a whole when a room is added or dropped, and when all rooms are read again. Polls load it without a lock.
    rooms: ArcSwap<HashMap<ConcertId, Arc<LiveRoom>>>,
    handed_out: PlacesOfRooms,
    /// Wakes the driver before its next regular visit.
    driver_wake: Notify,
    /// Wakes the task that rewrites extended holds before its next regular run.
    extended: Notify,
    /// Changes whenever a line may have moved, for event streams.
    moved: tokio::sync::watch::Sender<u64>,
    /// The target of polls a second, for all clients in line of one room together.
    polls_per_second: u32,
    /// Reads what other instances change; `None` if no other process can change this database.
    follower: Option<Follower>,
    /// How often all rooms were read. Each [`LiveRoom`] carries the number of its reading.
    readings: AtomicU64,
    /// One reading of all rooms at a time: its number must be that of the rooms that it stores.
    /// Holds when the last reading that succeeded began.
    reading: Mutex<Option<Instant>>,
    /// Whether Redis hands out places. Set once, before the first request.
    are_places_from_redis: AtomicBool,
    /// Rooms that another Redis opens in turns with that of this process.
    rivals: Arc<Rivals>,
    /// Clients that announced to leave.
    leavings: Leavings,
    /// How good the estimates of waiting were.
    pub estimates: EstimateMetrics,
    /// Users admitted by units of work of this process.
    pub admitted: Counter,
}

impl Rooms {
    /// Reads all rooms. No turn ends because of silence while no process ran.
    ///
    /// # Errors
    /// `StoreError` if the database cannot be read.
    pub async fn load(
        reader: Arc<dyn Reader>,
        news: Option<Arc<dyn News>>,
        polls_per_second: u32,
    ) -> Result<Self, StoreError> {
        let follower = news.map(|news| Follower::new(news, reader.now()));
        let rooms = Self {
            reader,
            rooms: ArcSwap::default(),
            handed_out: PlacesOfRooms::default(),
            driver_wake: Notify::new(),
            extended: Notify::new(),
            moved: tokio::sync::watch::Sender::new(0),
            polls_per_second,
            follower,
            readings: AtomicU64::new(0),
            reading: Mutex::default(),
            are_places_from_redis: AtomicBool::new(false),
            rivals: Arc::default(),
            leavings: Leavings::default(),
            estimates: EstimateMetrics::default(),
            admitted: Counter::default(),
        };
        rooms.reload().await?;
        Ok(rooms)
    }

    /// Reads all rooms again, and replaces every [`LiveRoom`].
    async fn reload(&self) -> Result<(), StoreError> {
        let arrived = Instant::now();
        let mut last_began = self.reading.lock().await;
        // One outage may send several lanes here. A reading that began since this call has seen what it has to see.
        if last_began.is_some_and(|began| arrived < began) {
            return Ok(());
        }
        let began = Instant::now();
        let records = self.reader.rooms().await?;
        let performances = self.reader.performances().await?;
        let at = self.reader.now();
        let before = self.rooms.load();
        let reading = self.readings() + 1;
        let live = |record: RoomRecord| {
            let (concert, mut room) = (record.concert, self.live(record, reading));
            // Places handed out by Redis and measurements stay valid.
            if let Some(known) = before.get(&concert) {
                room.handed_out = known.handed_out.clone();
                room.continue_from(known, at);
            }
            (concert, Arc::new(room))
        };
        let rooms: HashMap<_, _> = records.into_iter().map(live).collect();
        for performance in &performances {
            if let Some(room) = rooms.get(&performance.concert) {
                room.availability.note(performance);
            }
        }
        rooms.values().for_each(|room| room.forgive_silence(at));
        self.rooms.store(Arc::new(rooms));
        // After the store, with release: a caller that sees the new number finds the new rooms.
        self.readings.store(reading, Ordering::Release);
        *last_began = Some(began);
        self.driver_wake.notify_one();
        Ok(())
    }

    /// How often all rooms were read. More often each time that the database may have been set back.
    pub(crate) fn readings(&self) -> u64 {
        // Pairs with the release in `reload`.
        self.readings.load(Ordering::Acquire)
    }

    /// Whether no later reading of all rooms has replaced this value.
    pub(super) fn is_current(&self, room: &LiveRoom) -> bool {
        room.reading == self.readings()
    }

    /// The value that replaced a room in the last reading, or the room itself; `None` if it no longer exists.
    pub fn current(&self, room: &Arc<LiveRoom>) -> Option<Arc<LiveRoom>> {
        if self.is_current(room) { Some(room.clone()) } else { self.get(room.concert()) }
    }

    /// Expects places from Redis from now on.
    pub(crate) fn expect_places_from_redis(&self) {
        self.are_places_from_redis.store(true, Ordering::Relaxed);
    }

    /// The room of a concert, if it is in memory. [`Rooms::find`] also finds others.
    pub fn get(&self, concert: ConcertId) -> Option<Arc<LiveRoom>> {
        self.rooms.load().get(&concert).cloned()
    }

    /// Subscribes to moves of all lines.
    pub fn follow(&self) -> tokio::sync::watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// The number of rooms in memory.
    pub fn count(&self) -> usize {
        self.rooms.load().len()
    }

    /// The users in line and the turns, over all rooms.
    pub fn totals(&self) -> (u64, u64) {
        self.rooms.load().values().fold((0, 0), |(waiting, active), room| {
            (waiting + room.waiting(), active + u64::from(room.snapshot().room.active))
        })
    }

    /// The free turns of rooms in which users wait, over all rooms. A sale that is not open has none; a paused room has.
    pub fn free_turns(&self) -> u64 {
        let at = self.now();
        let rooms = self.rooms.load();
        let waited_for = rooms.values().filter(|room| room.waiting() > 0);
        let free = |room: &Arc<LiveRoom>| {
            let snapshot = room.snapshot();
            let room = &snapshot.room;
            let is_open = room.is_opened(at) && !room.settings.sale.is_closed(at);
            if is_open { u64::from(room.settings.max_active.saturating_sub(room.active)) } else { 0 }
        };
        waited_for.map(free).sum()
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
        let row = rows.concerts.changed().find(|(id, _)| **id == concert).and_then(|(_, row)| row);
        let announced = row.map(Announced::of).unwrap_or_default();
        self.insert(RoomRecord { concert, room, given_up, turns, holds: Vec::new(), announced });
    }

    fn live(&self, record: RoomRecord, reading: u64) -> LiveRoom {
        let handed_out = self.handed_out.of(record.concert);
        let mut room = LiveRoom::new(record, self.polls_per_second, self.estimates.clone(), self.reader.now());
        (room.handed_out, room.reading) = (handed_out, reading);
        room.keep_for_redis(self.reader.now());
        room
    }

    /// Adds a room, unless it is in memory.
    fn insert(&self, record: RoomRecord) {
        let concert = record.concert;
        self.insert_live(concert, self.live(record, self.readings()));
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
        for extension in &rows.extensions {
            changes.entry(extension.concert).or_default().extensions.push(extension.clone());
        }
        for (concert, place) in &rows.ends_in_doubt {
            changes.entry(*concert).or_default().paid.push(*place);
        }
        for (id, concert) in rows.concerts.changed() {
            changes.entry(*id).or_default().announced = concert.map(Announced::of);
        }
        changes
    }

    /// Waits until this process has extended holds.
    pub(crate) async fn holds_extended(&self) {
        self.extended.notified().await;
    }

    /// The present time, by the clock of the database.
    pub(super) fn now(&self) -> Timestamp {
        self.reader.now()
    }

    /// Makes the driver visit all rooms now.
    pub(super) fn wake_driver(&self) {
        self.driver_wake.notify_one();
    }

    fn wake_driver_if_needed(&self, room: &LiveRoom, has_ended: bool, at: Timestamp) {
        if has_ended || room.snapshot().room.admissible(at) > 0 {
            self.driver_wake.notify_one();
        }
    }
}

#[async_trait]
impl Observer for Rooms {
    fn committed(&self, unit: &Unit) {
        for (concert, _) in unit.rows.concerts.added() {
            self.add(*concert, unit);
        }
        self.admitted.inc_by(unit.rows.turns.added().count() as u64);
        let rooms = self.rooms.load();
        for (_, performance) in unit.rows.performances.changed() {
            if let Some(performance) = performance
                && let Some(room) = rooms.get(&performance.concert)
            {
                room.availability.note(performance);
            }
        }
        if !unit.rows.extensions.is_empty() {
            self.extended.notify_one();
        }
        for token in &unit.rows.disputes {
            tracing::warn!(concert.id = %token.concert, place = token.place, user = %token.user,
                "a second token was shown for a place; it is refused, and `onsale audit` reports it");
            if let Some(room) = rooms.get(&token.concert) {
                room.reject(token);
            }
        }
        if let Some(follower) = &self.follower {
            // The order of commits is the database's: changes of rooms come with the next refresh, those of other instances
            // and of this one alike.
            self.apply_seen(&unit.rows);
            follower.request_refresh();
            return;
        }
        let mut moved = false;
        for (concert, change) in Self::changes(&unit.rows) {
            let Some(room) = rooms.get(&concert) else {
                self.add(concert, unit);
                self.driver_wake.notify_one();
                continue;
            };
            let has_ended = !change.ended.is_empty();
            moved |= has_ended || !change.turns.is_empty() || !change.given_up.is_empty();
            moved |= !change.extensions.is_empty() || change.announced.is_some();
            room.commit(change, unit.at);
            self.wake_driver_if_needed(room, has_ended, unit.at);
        }
        if moved {
            self.moved.send_modify(|count| *count += 1);
        }
    }

    async fn recover(&self) -> Result<(), StoreError> {
        self.reload().await
    }
}
