//! Rooms that are over leave memory, and return when they are used.
//!
//! A retired room costs nothing: no loop visits it, and no refresh reads it. Nothing changes in it without a request,
//! because no user waits, no turn runs and no hold lives. A later request reads it through [`Rooms::find`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};

use onsale_domain::ids::ConcertId;
use onsale_domain::time::Timestamp;
use parking_lot::Mutex;

use super::handed_out::HandedOut;
use super::{LiveRoom, Rooms};
use crate::store::StoreError;

/// A concert is over this long after the start of its last performance: one hour. A concert without a performance is over
/// one day after the last change of its room.
pub const OVER_AFTER_MILLIS: i64 = 3_600_000;
const EMPTY_FOR_MILLIS: i64 = 86_400_000;

/// A room that was read for a request stays in memory for at least this long: longer than any request.
const USED_FOR_MILLIS: i64 = 60_000;

/// A room with places in Redis stays in memory for at least this long, so that they can be deleted there.
const IN_REDIS_FOR_MILLIS: i64 = 600_000;

/// The pause before another attempt to retire a room that the database did not retire.
const ATTEMPT_EVERY_MILLIS: i64 = 300_000;

/// Until when a room stays in memory, whether or not it is over.
#[derive(Debug, Default)]
pub(super) struct KeptUntil {
    /// In milliseconds. Relaxed: it only rises, and one attempt more or less does no harm.
    until: AtomicI64,
}

impl KeptUntil {
    fn keep(&self, until: Timestamp) {
        self.until.fetch_max(until.as_millis(), Ordering::Relaxed);
    }
}

impl LiveRoom {
    /// Keeps a room with places in Redis in memory until they were deleted there.
    pub(super) fn keep_for_redis(&self, at: Timestamp) {
        if self.snapshot().room.blocks.epoch > 0 {
            self.kept.keep(at.plus_millis(IN_REDIS_FOR_MILLIS));
        }
    }

    /// Whether the concert is over, as far as this process knows.
    fn is_concert_over(&self, at: Timestamp) -> bool {
        let over_since = match self.availability.last_start() {
            Some(start) => start.plus_millis(OVER_AFTER_MILLIS),
            None => self.snapshot().room.updated_at.plus_millis(EMPTY_FOR_MILLIS),
        };
        over_since <= at
    }

    /// Whether the concert is over and nothing can change in its room without a request, as far as this process knows.
    fn may_retire(&self, at: Timestamp) -> bool {
        let room = &self.snapshot().room;
        self.is_concert_over(at)
            && room.updated_at.plus_millis(USED_FOR_MILLIS) <= at
            && self.kept.until.load(Ordering::Relaxed) <= at.as_millis()
            && room.active == 0
            && self.waiting() == 0
            && !self.has_turns()
    }
}

/// The places of each room in Redis, as long as the room or its queue of entrants uses them. A queue outlives a retired room,
/// and both must count on.
#[derive(Debug, Default)]
pub(super) struct PlacesOfRooms(Mutex<HashMap<ConcertId, Weak<HandedOut>>>);

impl PlacesOfRooms {
    /// The places of a room: those that its queue still uses, else new ones.
    pub(super) fn of(&self, concert: ConcertId) -> Arc<HandedOut> {
        let mut all = self.0.lock();
        let kept = all.entry(concert).or_default();
        kept.upgrade().unwrap_or_else(|| {
            let places = Arc::default();
            *kept = Arc::downgrade(&places);
            places
        })
    }

    fn forget_unused(&self) {
        self.0.lock().retain(|_, places| places.strong_count() > 0);
    }
}

impl Rooms {
    /// Reads a room that is not in memory: it was retired, or another instance made it a moment ago.
    pub(super) async fn wake(&self, concert: ConcertId) -> Result<Option<Arc<LiveRoom>>, StoreError> {
        let Some((record, performances)) = self.reader.room(concert).await? else { return Ok(None) };
        let room = self.live(record, self.readings());
        performances.iter().for_each(|performance| room.availability.note(performance));
        room.kept.keep(self.reader.now().plus_millis(USED_FOR_MILLIS));
        self.insert_live(concert, room);
        Ok(self.get(concert))
    }

    /// The rooms of concerts that are not over, in no order.
    pub(crate) fn on_sale(&self, at: Timestamp) -> Vec<Arc<LiveRoom>> {
        self.rooms.load().values().filter(|room| !room.is_concert_over(at)).cloned().collect()
    }

    /// At most this many rooms that are over as far as this process knows, each with its version. They are not returned again
    /// for five minutes.
    pub(crate) fn over(&self, most: usize, at: Timestamp) -> Vec<(ConcertId, u64)> {
        let rooms = self.rooms.load();
        let over = rooms.iter().filter(|(_, room)| room.may_retire(at)).take(most);
        let over = over.map(|(concert, room)| {
            room.kept.keep(at.plus_millis(ATTEMPT_EVERY_MILLIS));
            (*concert, room.snapshot().room.version)
        });
        over.collect()
    }

    /// Drops rooms that the database has retired. Returns the number of rooms dropped.
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
        self.handed_out.forget_unused();
        dropped
    }
}
