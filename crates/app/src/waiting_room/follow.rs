//! Following a database that other processes change too: one question for all rooms, shared by all who want to know.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::rows::Rows;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use tokio::sync::{Mutex, Notify};

use super::change::{Change, Glimpse};
use super::{LiveRoom, Rooms, Stake};
use crate::store::StoreError;
use crate::store::news::{News, RoomNews, RoomsKnown, RoomsNews};

/// How often it is asked what is left of each performance.
const STOCK_EVERY: Duration = Duration::from_secs(1);

/// After so long without news the settled turns that were missed may be gone: everything is read again.
const NEWS_MISSED: Duration = Duration::from_secs(30);

/// How often, and how many times, a room is read again that is about to be opened behind a place.
const BEYOND_LOOK_EVERY: Duration = Duration::from_millis(100);
const BEYOND_LOOKS: u32 = 20;

/// What a process knows of the others.
pub(super) struct Following {
    news: Arc<dyn News>,
    asked: Mutex<Asked>,
    /// The database's time of the last news, in milliseconds.
    as_of: AtomicI64,
    /// News are wanted now, sooner than they come by themselves.
    pub(super) wanted: Notify,
}

#[derive(Default)]
struct Asked {
    at: Option<Instant>,
    /// When the last question began that had no answer.
    failed_at: Option<Instant>,
    stock_at: Option<Instant>,
    /// Which of the database's histories is known.
    histories: u64,
}

impl Following {
    pub(super) fn new(news: Arc<dyn News>, as_of: Timestamp) -> Self {
        let asked = Asked { at: Some(Instant::now()), ..Asked::default() };
        let as_of = AtomicI64::new(as_of.as_millis());
        Self { news, asked: Mutex::new(asked), as_of, wanted: Notify::new() }
    }

    pub(super) fn as_of(&self) -> Timestamp {
        Timestamp::from_millis(self.as_of.load(Ordering::Acquire))
    }
}

/// Performances that the last news named.
pub(crate) type Named = Vec<PerformanceId>;

impl Rooms {
    /// The moment of which the answers of [`LiveRoom::look`] are: now, where no other process changes the rooms.
    pub fn as_of(&self) -> Timestamp {
        self.following.as_ref().map_or_else(|| self.reader.now(), Following::as_of)
    }

    /// The room of a concert, also if it is retired, or if another process has just made it.
    ///
    /// # Errors
    /// Where it is not known here, and the database cannot be asked for it.
    pub async fn find(&self, concert: ConcertId) -> Result<Option<Arc<LiveRoom>>, StoreError> {
        match self.get(concert) {
            Some(room) => Ok(Some(room)),
            None => self.wake(concert).await,
        }
    }

    /// Asks what others did where that may matter to how this token stands.
    ///
    /// # Errors
    /// Where the database cannot be read and the answer depends on it.
    pub async fn settle_doubt(&self, token: &Token, stake: Stake) -> Result<(), StoreError> {
        if let Some(following) = &self.following {
            let came = Instant::now();
            match self.get(token.concert) {
                // A room that is not known was made by another process a moment ago.
                None => self.refresh().await?,
                Some(room) => {
                    if let Some(rest) = room.doubt(token, stake, self.reader.now(), following.as_of()) {
                        tokio::time::sleep(rest).await;
                        self.ask(came).await?;
                    }
                }
            }
        }
        self.wait_for_place(token).await
    }

    /// A token is signed. If its place lies beyond all that the database has reserved, the database was set back, and
    /// the room is about to be opened anew behind that place. Until then the token must not be called expired.
    async fn wait_for_place(&self, token: &Token) -> Result<(), StoreError> {
        if !self.is_beside.load(Ordering::Acquire) {
            return Ok(());
        }
        let is_beyond = || self.get(token.concert).filter(|room| room.is_beyond(token.place));
        let Some(room) = is_beyond() else { return Ok(()) };
        room.beside.show_beyond(token.place);
        for _ in 0..BEYOND_LOOKS {
            tokio::time::sleep(BEYOND_LOOK_EVERY).await;
            self.refresh().await?;
            if is_beyond().is_none() {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable("the database is older than a place in line".to_owned()))
    }

    /// Takes in everything that others did until now. Whoever comes while an answer is under way waits for the next
    /// one, and all of them share it.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.ask(Instant::now()).await.map(|_| ())
    }

    /// Waits until a unit of work of this process makes news worth asking for.
    pub(crate) async fn news_wanted(&self) {
        match &self.following {
            Some(following) => following.wanted.notified().await,
            None => std::future::pending().await,
        }
    }

    /// The concerts that have a room here.
    pub(crate) fn concerts(&self) -> Vec<ConcertId> {
        self.rooms.load().keys().copied().collect()
    }

    /// Asks what others did, unless that was asked after somebody came.
    pub(crate) async fn ask(&self, came: Instant) -> Result<Named, StoreError> {
        let Some(following) = &self.following else { return Ok(Vec::new()) };
        let mut asked = following.asked.lock().await;
        if asked.at.is_some_and(|at| at > came) {
            return Ok(Vec::new());
        }
        // Its silence is shared like an answer: else all who wait would ask one after another, each for seconds.
        if asked.failed_at.is_some_and(|at| at > came) {
            return Err(StoreError::Unavailable("what others did is not known".to_owned()));
        }
        let began = Instant::now();
        let told = self.ask_now(following, &mut asked, began).await;
        if told.is_err() {
            asked.failed_at = Some(began);
        }
        told
    }

    async fn ask_now(&self, following: &Following, asked: &mut Asked, began: Instant) -> Result<Named, StoreError> {
        if asked.at.is_none_or(|at| at.elapsed() > NEWS_MISSED) {
            self.reload().await?;
        }
        let known = self.known(asked.stock_at.is_none_or(|at| at.elapsed() >= STOCK_EVERY));
        let news = following.news.rooms(&known).await?;
        asked.at = Some(began);
        if known.with_stock {
            asked.stock_at = Some(began);
        }
        // A standby took over that may not have heard everything, or the database was set back by other means.
        let histories = following.news.histories();
        if asked.histories != histories || self.is_behind(&news) {
            tracing::warn!("the database may be older than what was known of it; reading everything again");
            self.reload().await?;
            asked.histories = histories;
            return Ok(Vec::new());
        }
        let at = news.at.as_millis();
        let named = self.take_in(news);
        // Last: what is known is never older than this says.
        let known = Timestamp::from_millis(following.as_of.load(Ordering::Acquire));
        if known.is_ahead_of(Timestamp::from_millis(at)) {
            // The database's clock was set back.
            following.as_of.store(at, Ordering::Release);
        }
        following.as_of.fetch_max(at, Ordering::AcqRel);
        Ok(named)
    }

    fn known(&self, with_stock: bool) -> RoomsKnown {
        let at = self.reader.now();
        let rooms = self.rooms.load();
        RoomsKnown {
            versions: rooms.iter().map(|(concert, room)| (*concert, room.snapshot().room.version)).collect(),
            holds_of: rooms
                .iter()
                .flat_map(|(concert, room)| room.wants_holds(at).into_iter().map(|place| (*concert, place)))
                .collect(),
            with_stock,
            whole: Vec::new(),
            // Rooms that others made or woke are found by key at their first use; all others are found each second.
            only_known: !with_stock,
        }
    }

    fn is_behind(&self, news: &RoomsNews) -> bool {
        let rooms = self.rooms.load();
        let known = |concert| rooms.get(&concert).map(|room| room.snapshot().room.version);
        news.rooms.iter().any(|told| known(told.record.concert).is_some_and(|known| told.record.room.version < known))
    }

    fn take_in(&self, news: RoomsNews) -> Named {
        let at = news.at;
        let mut moved = !news.rooms.is_empty();
        for told in news.rooms {
            self.take_in_room(told, at);
        }
        let rooms = self.rooms.load();
        for (concert, place) in news.ended {
            let is_new = rooms.get(&concert).is_some_and(|room| room.end(place));
            if is_new {
                moved = true;
                self.stir.notify_one();
            }
        }
        for (concert, place, hold, until) in news.holds {
            rooms.get(&concert).into_iter().for_each(|room| room.add_hold(place, hold, until));
        }
        let named = news.stock.iter().map(|stock| stock.performance).collect();
        for stock in news.stock {
            let Some(room) = rooms.get(&stock.concert) else { continue };
            room.stock.set(stock.performance, stock.starts_at, stock.is_unsold);
        }
        if moved {
            self.moved.send_modify(|count| *count += 1);
        }
        named
    }

    fn take_in_room(&self, told: RoomNews, at: Timestamp) {
        let RoomNews { record, settled } = told;
        let Some(room) = self.get(record.concert) else {
            return self.insert(record);
        };
        let ended = record.turns.iter().filter(|(_, _, ended)| *ended).map(|(place, ..)| *place).collect();
        let began = record.turns.into_iter().map(|(place, turn, _)| (place, Some(turn)));
        let turns = began.chain(settled.into_iter().map(|place| (place, None))).collect();
        let (room_row, given_up) = (Some(record.room), record.given_up);
        room.commit(Change { room: room_row, given_up, turns, ended, reservations: Vec::new() }, at);
        self.stir_if_needed(&room, false, at);
    }

    /// What a unit of work of this process saw of rooms that others change too.
    pub(super) fn glimpse(&self, rows: &Rows) {
        let mut seen: HashMap<ConcertId, Glimpse> = HashMap::new();
        for ((concert, place), turn) in rows.turns.values() {
            seen.entry(*concert).or_default().turns.push((*place, turn.clone()));
        }
        for ((concert, place), _) in rows.ends.values() {
            seen.entry(*concert).or_default().ended.push(*place);
        }
        for (_, reservation) in rows.reservations.values() {
            seen.entry(reservation.concert).or_default().reservations.push(reservation.clone());
        }
        let rooms = self.rooms.load();
        for (concert, glimpse) in seen {
            rooms.get(&concert).into_iter().for_each(|room| room.glimpse(&glimpse));
        }
    }
}
