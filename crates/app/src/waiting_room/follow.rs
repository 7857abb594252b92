//! Following a database that other instances change too: one query for all rooms, shared by all callers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::rows::Rows;
use onsale_domain::time::Timestamp;
use tokio::sync::{Mutex, Notify};

use super::change::{Change, SeenRows};
use super::{LiveRoom, Rooms};
use crate::store::news::{News, RoomNews, RoomsKnown, RoomsNews};
use crate::store::{HoldRecord, StoreError};

/// Interval at which a refresh also reads which performances have unsold seats.
const AVAILABILITY_EVERY: Duration = Duration::from_secs(1);

/// After this long without a refresh, settled turns that were missed may be deleted: everything is read again.
const NEWS_MISSED: Duration = Duration::from_secs(30);

/// After this long without a refresh, in milliseconds of the database, performances may have been added or revised that refreshes
/// do not name any more. They name what was revised in the last two days, and what was added with a start of at most a day before.
const CATALOGUE_MISSED_MILLIS: i64 = 12 * 3_600_000;

/// What a process keeps to follow the other instances.
pub(super) struct Follower {
    news: Arc<dyn News>,
    /// One refresh at a time. It is held over the query: callers that wait for it share the result.
    refreshes: Mutex<Refreshes>,
    /// What the last refresh that also read availability named, until the background task takes it: any caller's refresh may be
    /// that one. Held only to replace the list.
    named: parking_lot::Mutex<Named>,
    /// The database's time of the last refresh, in milliseconds.
    refreshed_at: AtomicI64,
    /// Whether the last refreshes were more than [`CATALOGUE_MISSED_MILLIS`] apart, and no [`Rooms::note_catalogue_read`] came since.
    has_missed: AtomicBool,
    /// Signals the background task to refresh immediately.
    refresh_request: Notify,
}

#[derive(Default)]
struct Refreshes {
    /// When the last refresh that succeeded began.
    succeeded_at: Option<Instant>,
    /// When the last refresh that failed began.
    failed_at: Option<Instant>,
    /// When the last refresh began that also read which performances have unsold seats.
    availability_at: Option<Instant>,
    /// The value of [`News::server_changes`] when all rooms were last read because of it. Another value means that the rooms in
    /// memory may be newer than the database.
    server_changes: u64,
}

impl Follower {
    pub(super) fn new(news: Arc<dyn News>, at: Timestamp) -> Self {
        let refreshes = Refreshes { succeeded_at: Some(Instant::now()), ..Refreshes::default() };
        Self {
            news,
            refreshes: Mutex::new(refreshes),
            named: parking_lot::Mutex::default(),
            refreshed_at: AtomicI64::new(at.as_millis()),
            has_missed: AtomicBool::new(false),
            refresh_request: Notify::new(),
        }
    }

    fn refreshed_at(&self) -> Timestamp {
        // Pairs with the release in `note_refresh`: the rooms are never older than this instant.
        Timestamp::from_millis(self.refreshed_at.load(Ordering::Acquire))
    }

    /// Called after the rooms were updated. Swapped, a poll would return an instant that its position does not include.
    fn note_refresh(&self, at: Timestamp) {
        if self.refreshed_at().millis_until(at) > CATALOGUE_MISSED_MILLIS {
            self.has_missed.store(true, Ordering::Release);
        }
        if self.refreshed_at().is_ahead_of(at) {
            // The database's clock was set back.
            self.refreshed_at.store(at.as_millis(), Ordering::Release);
        }
        self.refreshed_at.fetch_max(at.as_millis(), Ordering::AcqRel);
    }

    pub(super) fn request_refresh(&self) {
        self.refresh_request.notify_one();
    }
}

/// Performances that a refresh named, each with its revision.
pub(crate) type Named = Vec<(PerformanceId, u64)>;

impl Rooms {
    /// The instant of the last refresh; `None` if no other process changes the rooms.
    pub(super) fn refreshed_at(&self) -> Option<Timestamp> {
        self.follower.as_ref().map(Follower::refreshed_at)
    }

    /// The room of a concert, also if it is retired, or if another instance has just made it. `None` if there is no such
    /// concert.
    ///
    /// # Errors
    /// `StoreError` if the room is not in memory and the database cannot be read.
    pub async fn find(&self, concert: ConcertId) -> Result<Option<Arc<LiveRoom>>, StoreError> {
        match self.get(concert) {
            Some(room) => Ok(Some(room)),
            None => self.wake(concert).await,
        }
    }

    /// Applies everything that other instances committed until now. Single flight: callers that arrive during a query share
    /// the next one.
    ///
    /// # Errors
    /// `StoreError` if the database cannot be read.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.refresh_since(Instant::now()).await
    }

    /// The performances that refreshes named since the last call, with the revisions of the newest list.
    pub(crate) fn take_named(&self) -> Named {
        self.follower.as_ref().map(|follower| std::mem::take(&mut *follower.named.lock())).unwrap_or_default()
    }

    /// Whether refreshes may have missed performances, so that all of them must be read.
    pub(crate) fn has_missed_performances(&self) -> bool {
        self.follower.as_ref().is_some_and(|follower| follower.has_missed.load(Ordering::Acquire))
    }

    /// Notes that all performances were read after [`Self::has_missed_performances`].
    pub(crate) fn note_catalogue_read(&self) {
        if let Some(follower) = &self.follower {
            follower.has_missed.store(false, Ordering::Release);
        }
    }

    /// Waits until a unit of work of this process requests a refresh.
    pub(crate) async fn refresh_requested(&self) {
        match &self.follower {
            Some(follower) => follower.refresh_request.notified().await,
            None => std::future::pending().await,
        }
    }

    /// The concerts whose rooms are in memory, each with its version.
    pub fn concerts(&self) -> Vec<(ConcertId, u64)> {
        self.rooms.load().iter().map(|(concert, room)| (*concert, room.snapshot().announced.version)).collect()
    }

    /// Refreshes, unless a refresh began after the caller arrived.
    ///
    /// # Errors
    /// `StoreError` if the database cannot be read. Callers that arrived before a query that failed share its failure.
    pub(crate) async fn refresh_since(&self, arrived: Instant) -> Result<(), StoreError> {
        let Some(follower) = &self.follower else { return Ok(()) };
        // Waits while a query runs. That one may have begun before the caller arrived, which the instants below
        // decide.
        let mut refreshes = follower.refreshes.lock().await;
        if refreshes.succeeded_at.is_some_and(|at| at > arrived) {
            return Ok(());
        }
        // Without this, callers would run one query after another, each for seconds, while the database is away.
        if refreshes.failed_at.is_some_and(|at| at > arrived) {
            return Err(StoreError::Unavailable("failed to read the changes of other instances".to_owned()));
        }
        let began = Instant::now();
        let refreshed = self.refresh_now(follower, &mut refreshes, began).await;
        if refreshed.is_err() {
            refreshes.failed_at = Some(began);
        }
        refreshed
    }

    async fn refresh_now(
        &self,
        follower: &Follower,
        refreshes: &mut Refreshes,
        began: Instant,
    ) -> Result<(), StoreError> {
        if refreshes.succeeded_at.is_none_or(|at| at.elapsed() > NEWS_MISSED) {
            self.reload().await?;
        }
        let known = self.known(refreshes.availability_at.is_none_or(|at| at.elapsed() >= AVAILABILITY_EVERY));
        let news = follower.news.rooms(&known).await?;
        // When it began, not when it ended: it may lack what was committed in between.
        refreshes.succeeded_at = Some(began);
        if known.with_availability {
            refreshes.availability_at = Some(began);
        }
        // A standby took over that may lack the last commits, or the database was set back by other means.
        let server_changes = follower.news.server_changes();
        if refreshes.server_changes != server_changes || self.is_behind(&news) {
            tracing::warn!("the database may be older than the rooms in memory; reading all rooms again");
            self.reload().await?;
            refreshes.server_changes = server_changes;
            return Ok(());
        }
        let at = news.at;
        if known.with_availability {
            *follower.named.lock() = news.availability.iter().map(|of| (of.id, of.revision)).collect();
        }
        self.apply(news, &known.holds_of);
        follower.note_refresh(at);
        Ok(())
    }

    fn known(&self, with_availability: bool) -> RoomsKnown {
        let at = self.reader.now();
        let rooms = self.rooms.load();
        RoomsKnown {
            versions: rooms.iter().map(|(concert, room)| (*concert, room.snapshot().room.version)).collect(),
            holds_of: rooms
                .iter()
                .flat_map(|(concert, room)| room.holds_to_read(at).into_iter().map(|place| (*concert, place)))
                .collect(),
            with_availability,
            whole: Vec::new(),
            // Rooms that other instances made or woke are found by key at their first use; all others are found each second.
            only_known: !with_availability,
        }
    }

    fn is_behind(&self, news: &RoomsNews) -> bool {
        let rooms = self.rooms.load();
        let known = |concert| rooms.get(&concert).map(|room| room.snapshot().room.version);
        news.rooms.iter().any(|news| known(news.record.concert).is_some_and(|known| news.record.room.version < known))
    }

    /// `asked` are the places whose holds were read.
    fn apply(&self, news: RoomsNews, asked: &[(ConcertId, u64)]) {
        let at = news.at;
        let mut moved = !news.rooms.is_empty();
        // Rooms first: the ends and holds below belong to turns that the rooms bring.
        for room in news.rooms {
            self.apply_to_room(room, at);
        }
        let rooms = self.rooms.load();
        for (concert, place) in news.ended {
            let is_new = rooms.get(&concert).is_some_and(|room| room.end(place));
            if is_new {
                // A turn that ended leaves room for the next user in line.
                moved = true;
                self.driver_wake.notify_one();
            }
        }
        for (concert, (places, holds)) in by_room(asked, news.holds) {
            if let Some(room) = rooms.get(&concert) {
                moved |= room.read_holds(&places, holds, at);
            }
        }
        for performance in news.availability {
            if let Some(room) = rooms.get(&performance.concert) {
                room.availability.set(performance.id, performance.starts_at, performance.is_unsold);
            }
        }
        if moved {
            self.moved.send_modify(|count| *count += 1);
        }
    }

    fn apply_to_room(&self, news: RoomNews, at: Timestamp) {
        let RoomNews { record, settled } = news;
        let Some(room) = self.get(record.concert) else {
            // Another instance made the room, or woke it.
            return self.insert(record);
        };
        let ended = record.turns.iter().filter(|(_, _, ended)| *ended).map(|(place, ..)| *place).collect();
        let began = record.turns.into_iter().map(|(place, turn, _)| (place, Some(turn)));
        let turns = began.chain(settled.into_iter().map(|place| (place, None))).collect();
        let are_holds_extended = room.snapshot().room.extensions != record.room.extensions;
        let (room_row, given_up, announced) = (Some(record.room), record.given_up, Some(record.announced));
        room.commit(Change { room: room_row, given_up, turns, ended, announced, ..Change::default() }, at);
        if are_holds_extended {
            room.read_holds_again();
        }
        self.wake_driver_if_needed(&room, false, at);
    }

    /// Applies what a unit of work of this process saw of rooms that other instances change too.
    pub(super) fn apply_seen(&self, rows: &Rows) {
        let mut seen: HashMap<ConcertId, SeenRows> = HashMap::new();
        for ((concert, place), turn) in rows.turns.values() {
            seen.entry(*concert).or_default().turns.push((*place, turn.clone()));
        }
        for ((concert, place), _) in rows.ends.values() {
            seen.entry(*concert).or_default().ended.push(*place);
        }
        for (_, reservation) in rows.reservations.values() {
            seen.entry(reservation.concert).or_default().reservations.push(reservation.clone());
        }
        for extension in &rows.extensions {
            seen.entry(extension.concert).or_default().extensions.push(extension.clone());
        }
        for (concert, place) in &rows.ends_in_doubt {
            seen.entry(*concert).or_default().paid.push(*place);
        }
        let rooms = self.rooms.load();
        for (concert, seen) in seen {
            if let Some(room) = rooms.get(&concert) {
                room.apply_seen(&seen);
            }
        }
    }
}

/// Places whose holds were read and the holds that were found, by room.
type HoldsOfRooms = HashMap<ConcertId, (Vec<u64>, Vec<HoldRecord>)>;

fn by_room(asked: &[(ConcertId, u64)], holds: Vec<(ConcertId, HoldRecord)>) -> HoldsOfRooms {
    let mut rooms = HoldsOfRooms::new();
    for (concert, place) in asked {
        rooms.entry(*concert).or_default().0.push(*place);
    }
    for (concert, hold) in holds {
        rooms.entry(concert).or_default().1.push(hold);
    }
    rooms
}
