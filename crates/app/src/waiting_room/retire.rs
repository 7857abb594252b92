//! Rooms that are over leave memory, and come back at their next use.
//!
//! A retired room costs nothing: no loop reads it, and no news query covers it. Nothing can happen in it by itself, as
//! no user waits, no turn runs and no hold lives. A later request finds it by [`Rooms::find`], which reads it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use onsale_domain::ids::ConcertId;
use onsale_domain::time::Timestamp;

use super::beside::Beside;
use super::{LiveRoom, Rooms};
use crate::store::StoreError;

/// A concert is over so long after its last performance started. A concert without a performance is over so long after
/// the last change of its room.
pub const OVER_AFTER_MILLIS: i64 = 3_600_000;
const EMPTY_FOR_MILLIS: i64 = 86_400_000;

/// A room that was read because a request asked for it stays in memory for at least this long: longer than any request.
const ASKED_FOR_MILLIS: i64 = 60_000;

/// How long a room stays at least whose places lie beside the database.
const BESIDE_FOR_MILLIS: i64 = 600_000;

/// A room that the database would not retire is tried again after this long.
const TRIED_FOR_MILLIS: i64 = 300_000;

/// When a room was last needed, or tried to be retired, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Kept {
    until: AtomicI64,
}

impl Kept {
    fn keep(&self, until: Timestamp) {
        self.until.fetch_max(until.as_millis(), Ordering::Relaxed);
    }
}

impl LiveRoom {
    /// A room whose places were handed out beside the database stays in memory until they can have been deleted there.
    pub(super) fn keep_for_its_memory(&self, at: Timestamp) {
        if self.snapshot().room.blocks.epoch > 0 {
            self.kept.keep(at.plus_millis(BESIDE_FOR_MILLIS));
        }
    }

    /// Whether nothing can happen in this room by itself, as far as this process knows, and its concert is over.
    fn may_retire(&self, at: Timestamp) -> bool {
        let room = &self.snapshot().room;
        let over_since = match self.stock.last_start() {
            Some(start) => start.plus_millis(OVER_AFTER_MILLIS),
            None => room.updated_at.plus_millis(EMPTY_FOR_MILLIS),
        };
        over_since <= at
            && room.updated_at.plus_millis(ASKED_FOR_MILLIS) <= at
            && self.kept.until.load(Ordering::Relaxed) <= at.as_millis()
            && room.active == 0
            && self.waiting() == 0
            && !self.has_turns()
    }
}

/// What each room shares with its door: the door goes on with it while the room is not in memory.
#[derive(Debug, Default)]
pub(super) struct Besides(Mutex<HashMap<ConcertId, Weak<Beside>>>);

impl Besides {
    /// That of a room: the one its door still has, else a new one.
    pub(super) fn of(&self, concert: ConcertId) -> Arc<Beside> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.entry(concert).or_default();
        kept.upgrade().unwrap_or_else(|| {
            let beside = Arc::default();
            *kept = Arc::downgrade(&beside);
            beside
        })
    }

    fn forget_unused(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, beside| beside.strong_count() > 0);
    }
}

impl Rooms {
    /// Reads a room that is not in memory: it was retired, or another process made it a moment ago.
    pub(super) async fn wake(&self, concert: ConcertId) -> Result<Option<Arc<LiveRoom>>, StoreError> {
        let Some((record, performances)) = self.reader.room(concert).await? else { return Ok(None) };
        let room = self.live(record);
        performances.iter().for_each(|performance| room.stock.note(performance));
        room.kept.keep(self.reader.now().plus_millis(ASKED_FOR_MILLIS));
        self.insert_live(concert, room);
        Ok(self.get(concert))
    }

    /// Some rooms that are over as far as this process knows, each with its version. They are not named again soon.
    pub(crate) fn over(&self, most: usize, at: Timestamp) -> Vec<(ConcertId, u64)> {
        let rooms = self.rooms.load();
        let over = rooms.iter().filter(|(_, room)| room.may_retire(at)).take(most);
        let over = over.map(|(concert, room)| {
            room.kept.keep(at.plus_millis(TRIED_FOR_MILLIS));
            (*concert, room.snapshot().room.version)
        });
        over.collect()
    }

    /// Takes rooms out of memory that the database has retired. Returns how many.
    pub(crate) fn drop_retired(&self, retired: &[ConcertId], at: Timestamp) -> usize {
        let is_needed = |room: &LiveRoom| room.waiting() > 0 || room.snapshot().room.updated_at > at;
        let mut dropped = 0;
        self.rooms.rcu(|rooms| {
            let mut rooms = HashMap::clone(rooms);
            let before = rooms.len();
            for concert in retired {
                if rooms.get(concert).is_some_and(|room| !is_needed(room) && !room.has_turns()) {
                    rooms.remove(concert);
                }
            }
            dropped = before - rooms.len();
            rooms
        });
        self.besides.forget_unused();
        dropped
    }
}
