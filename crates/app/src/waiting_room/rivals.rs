//! Notices that instances use different Redis servers: each server takes writes, so they open rooms anew in turns.
//!
//! No place is handed out twice, because each epoch has places of its own. But each turn skips places and delays entries.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use onsale_domain::ids::ConcertId;
use parking_lot::Mutex;

use crate::conditions::Reason;

/// If one room is contested twice within this time, it is no failover: the condition holds for this time.
const WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Seen {
    /// When each room was last taken back from another Redis. Older entries than [`WITHIN`] are dropped.
    taken_back: HashMap<ConcertId, Instant>,
    /// When a room was last taken back twice within [`WITHIN`].
    in_turns: Option<Instant>,
}

/// The rooms that another Redis opens in turns with that of this process.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    /// Held for map operations only. Locked when a room is opened anew, and once a second.
    seen: Mutex<Seen>,
}

impl Rivals {
    /// Notes that this process opened a room anew that another Redis had opened, though its own Redis had not failed.
    pub(super) fn note(&self, concert: ConcertId) {
        self.note_at(concert, Instant::now());
    }

    fn note_at(&self, concert: ConcertId, now: Instant) {
        let mut seen = self.seen.lock();
        seen.taken_back.retain(|_, at| now.duration_since(*at) < WITHIN);
        if seen.taken_back.insert(concert, now).is_some() {
            seen.in_turns = Some(now);
        }
    }

    /// Why the condition holds; `None` if it does not.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.are_there_at(Instant::now()).then(|| {
            Reason::new(
                "another instance hands out places from another Redis, so both open rooms anew in turns and entries are \
                 slow: name one primary, or the sentinels, in the ONSALE_REDIS_URL of every instance",
            )
        })
    }

    fn are_there_at(&self, now: Instant) -> bool {
        self.seen.lock().in_turns.is_some_and(|at| now.duration_since(at) < WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_room_that_is_taken_back_twice_in_a_while_is_contested() {
        let (rivals, began) = (Rivals::default(), Instant::now());
        let [one, other] = [1, 2].map(|id| ConcertId::new(Uuid::from_u128(id)));
        let at = |seconds| began + Duration::from_secs(seconds);
        // A failover that this process noticed late: each room once.
        rivals.note_at(one, at(0));
        rivals.note_at(other, at(0));
        rivals.note_at(one, at(30));
        assert!(!rivals.are_there_at(at(30)));
        rivals.note_at(one, at(35));
        assert!(rivals.are_there_at(at(35)) && rivals.are_there_at(at(64)));
        assert!(!rivals.are_there_at(at(65)), "over once no room was taken back for a while");
    }
}
