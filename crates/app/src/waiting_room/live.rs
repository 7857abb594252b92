//! One waiting room as this process knows it: what a poll is answered from, without any I/O.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use onsale_domain::concert::{Reservation, Status};
use onsale_domain::ids::{ConcertId, ReservationId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Line, Room, Step, Token, Turn};

use super::pace::{Pace, estimated_wait_seconds, poll_after_seconds};
use super::stock::Stock;
use crate::store::RoomRecord;

/// A sign of life is stored at least this long before silence would end the turn by what was stored before.
const NOTED_BEFORE_LAPSE_MILLIS: i64 = 2_000;

/// Around the end of a turn's own time its holds are asked for: another process may have taken them.
const HOLDS_ASKED_BEFORE_MILLIS: i64 = 2_000;

/// Before somebody near the front is refused, others are asked; at most this often, and once for all who wait for it.
const REFUSED_EVERY: Duration = Duration::from_millis(20);

/// Who stands this near the front may have been called by another process in this moment.
const NEAR_FRONT: u64 = 10_000;

/// Counters and line of a room, as of one commit.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Settings and counters.
    pub room: Room,
    /// Who stands where.
    pub line: Line,
    /// Places called a second.
    pub(super) per_second: f64,
}

/// Where the bearer of a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In line.
    Waiting {
        /// 1 is the next to be called.
        position: u64,
        /// An estimate.
        estimated_wait_seconds: u64,
        /// When to ask again.
        poll_after_seconds: u64,
        /// The last change of the room that the position takes in.
        changed_at: Timestamp,
    },
    /// Called, with the turn running.
    Active {
        /// Until when, live holds counted.
        until: Timestamp,
        /// Whether a new hold may be taken: the turn's own time is not over.
        may_hold: bool,
    },
    /// Ended, lapsed or given up.
    Expired,
}

/// What is known of a turn in this process alone, beside its row.
#[derive(Debug)]
struct LiveTurn {
    turn: Turn,
    /// It has ended, and waits for the room to settle it.
    ended: bool,
    /// The last sign of life, in milliseconds; at least what the store knows.
    seen: AtomicI64,
    /// Until when silence is not to blame, in milliseconds: nobody could hear. Known here alone, and never stored, as
    /// another process may have heard well.
    forgiven: AtomicI64,
    /// It was used, and the store may not know yet.
    claimed: AtomicBool,
    /// Holds taken with it that may still be paid.
    holds: Vec<(ReservationId, Timestamp)>,
}

impl LiveTurn {
    fn new(turn: Turn, ended: bool) -> Self {
        let (seen, claimed) = (AtomicI64::new(turn.seen_at.as_millis()), AtomicBool::new(turn.claimed));
        Self { turn, ended, seen, forgiven: AtomicI64::new(i64::MIN), claimed, holds: Vec::new() }
    }

    /// Takes in a newer row, and keeps what only this process knows.
    fn update(&mut self, turn: Turn) {
        self.seen.fetch_max(turn.seen_at.as_millis(), Ordering::Relaxed);
        self.claimed.fetch_or(turn.claimed, Ordering::Relaxed);
        self.turn = turn;
    }

    fn lasts_until(&self, at: Timestamp) -> Timestamp {
        let last_hold = self.holds.iter().map(|(_, until)| *until).filter(|until| at < *until).max();
        self.turn.lasts_until(last_hold)
    }

    fn runs(&self, at: Timestamp) -> bool {
        !self.ended && at < self.lasts_until(at)
    }

    fn seen(&self) -> Timestamp {
        Timestamp::from_millis(self.seen.load(Ordering::Relaxed))
    }

    /// Whether the store should learn of the last sign of life: it is a good part of the allowed silence newer than
    /// what is stored, or silence would soon end the turn by what is stored. Another process may be the one to judge.
    fn is_worth_noting(&self, claim_seconds: u32, at: Timestamp) -> bool {
        let (stored, seen) = (self.turn.seen_at, self.seen());
        let stale = stored.plus_millis(i64::from(claim_seconds) * 250) <= seen;
        let lapses_soon = stored.plus_seconds(claim_seconds).plus_millis(-NOTED_BEFORE_LAPSE_MILLIS) <= at;
        stored < seen && (stale || lapses_soon)
    }

    /// Whether the room should look at this turn now.
    fn is_due(&self, claim_seconds: u32, at: Timestamp) -> bool {
        let seen_at = self.seen().max(Timestamp::from_millis(self.forgiven.load(Ordering::Relaxed)));
        let known = Turn { seen_at, claimed: self.claimed.load(Ordering::Relaxed), ..self.turn.clone() };
        !self.runs(at) || known.lapses_at(claim_seconds).is_some_and(|silent| silent <= at)
    }
}

/// How a caller looks at a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Only to know. A sign of life all the same.
    Poll,
    /// To use the turn: from then on silence no longer ends it.
    Use,
}

/// What hangs on an answer where others may have changed how a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stake {
    /// What is told of a place, which may be a moment old.
    Place,
    /// Whether a call is let through: nobody who was called may be refused, whichever process called them.
    Passage,
}

/// A room as this process knows it.
pub struct LiveRoom {
    concert: ConcertId,
    snapshot: ArcSwap<Snapshot>,
    turns: RwLock<HashMap<u64, LiveTurn>>,
    pace: Mutex<Pace>,
    pub(super) stock: Stock,
    /// Whether a step is on its way.
    pub(super) stepping: AtomicBool,
}

impl LiveRoom {
    pub(super) fn new(record: RoomRecord) -> Self {
        let RoomRecord { concert, room, given_up, turns, holds } = record;
        let line = Line::new(room.issued, room.served, given_up);
        let per_second = Pace::default().per_second(&room.settings);
        let mut live: HashMap<u64, LiveTurn> =
            turns.into_iter().map(|(place, turn, ended)| (place, LiveTurn::new(turn, ended))).collect();
        for (place, reservation, until) in holds {
            if let Some(turn) = live.get_mut(&place) {
                turn.holds.push((reservation, until));
            }
        }
        Self {
            concert,
            snapshot: ArcSwap::from_pointee(Snapshot { room, line, per_second }),
            turns: RwLock::new(live),
            pace: Mutex::default(),
            stock: Stock::default(),
            stepping: AtomicBool::new(false),
        }
    }

    /// The room as of its last commit.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Whether nothing is left in this concert and no hold can come back.
    pub fn is_sold_out(&self, at: Timestamp) -> bool {
        self.stock.is_sold_out(at)
    }

    /// Where the bearer of a token stands. No I/O, however long the line.
    pub fn look(&self, token: &Token, how: Look, at: Timestamp) -> Standing {
        let snapshot = self.snapshot.load();
        if let Some(position) = snapshot.line.position(token.place) {
            let estimated_wait_seconds = estimated_wait_seconds(position, snapshot.per_second);
            let spread = token.id.uuid().as_bytes()[15];
            let claim_seconds = snapshot.room.settings.claim_seconds;
            let poll_after_seconds = poll_after_seconds(estimated_wait_seconds, claim_seconds, spread);
            let changed_at = snapshot.room.updated_at;
            return Standing::Waiting { position, estimated_wait_seconds, poll_after_seconds, changed_at };
        }
        match self.read_turns().get(&token.place) {
            Some(turn) if turn.runs(at) => {
                turn.seen.fetch_max(at.as_millis(), Ordering::Relaxed);
                if how == Look::Use {
                    turn.claimed.store(true, Ordering::Relaxed);
                }
                Standing::Active { until: turn.lasts_until(at), may_hold: at < turn.turn.active_until }
            }
            _ => Standing::Expired,
        }
    }

    /// After how long others are to be asked where this token stands, because they may have changed it; `None` where
    /// that does not matter to the answer. `as_of` is the moment of the last news.
    pub(super) fn doubt(&self, token: &Token, stake: Stake, at: Timestamp, as_of: Timestamp) -> Option<Duration> {
        let snapshot = self.snapshot.load();
        if token.place > snapshot.line.issued {
            return Some(Duration::ZERO);
        }
        if let Some(position) = snapshot.line.position(token.place) {
            // Another process may have called it, and said so, since the last news.
            let age = Duration::from_millis(as_of.millis_until(at).max(0).unsigned_abs());
            return (stake == Stake::Passage && position <= NEAR_FRONT).then(|| REFUSED_EVERY.saturating_sub(age));
        }
        // Holds that keep a turn running after its own time were all taken before that.
        let over = |turn: &LiveTurn| !turn.ended && turn.turn.active_until <= at && !turn.runs(at);
        let unsure = |turn: &LiveTurn| over(turn) && as_of < turn.turn.active_until;
        self.read_turns().get(&token.place).is_some_and(unsure).then_some(Duration::ZERO)
    }

    /// Places with turns whose holds may matter now.
    pub(super) fn wants_holds(&self, at: Timestamp) -> Vec<u64> {
        let soon = at.plus_millis(HOLDS_ASKED_BEFORE_MILLIS);
        let turns = self.read_turns();
        turns
            .iter()
            .filter(|(_, turn)| !turn.ended && turn.turn.active_until <= soon)
            .map(|(place, _)| *place)
            .collect()
    }

    /// The step that this room needs now, if any.
    pub(super) fn next_step(&self, at: Timestamp) -> Option<Step> {
        let snapshot = self.snapshot.load();
        let claim_seconds = snapshot.room.settings.claim_seconds;
        let mut step = Step::of(self.concert);
        for (place, live) in self.read_turns().iter() {
            let claimed = live.claimed.load(Ordering::Relaxed);
            if claimed && !live.turn.claimed && step.claimed.len() < Step::PLACES_MAX {
                step.claimed.push(*place);
            }
            if !claimed && live.is_worth_noting(claim_seconds, at) && step.seen.len() < Step::PLACES_MAX {
                step.seen.push((*place, live.seen()));
            }
            if live.is_due(claim_seconds, at) && step.due.len() < Step::PLACES_MAX {
                step.due.push(*place);
            }
        }
        let idle = step.seen.is_empty() && step.claimed.is_empty() && step.due.is_empty();
        (!idle || snapshot.room.admissible(at) > 0).then_some(step)
    }

    /// Judges nobody by the time before now: whoever was silent while the process was down is not to blame.
    pub(super) fn forgive_silence(&self, at: Timestamp) {
        for turn in self.read_turns().values() {
            turn.forgiven.fetch_max(at.as_millis(), Ordering::Relaxed);
        }
    }

    /// Takes in what a unit of work of this process saw, where others change the room too: what it can only learn
    /// from the news, it leaves alone.
    pub(super) fn glimpse(&self, seen: &Glimpse) {
        let mut live = self.write_turns();
        for (place, turn) in &seen.turns {
            live.get_mut(place).into_iter().for_each(|known| known.update(turn.clone()));
        }
        for place in &seen.ended {
            live.get_mut(place).into_iter().for_each(|turn| turn.ended = true);
        }
        note_holds(&mut live, &seen.reservations);
    }

    /// Takes in a live hold.
    pub(super) fn add_hold(&self, place: u64, hold: ReservationId, until: Timestamp) {
        if let Some(turn) = self.write_turns().get_mut(&place) {
            turn.holds.retain(|(id, _)| *id != hold);
            turn.holds.push((hold, until));
        }
    }

    /// Takes in that a turn has ended. `true` where that is new.
    pub(super) fn end(&self, place: u64) -> bool {
        let mut live = self.write_turns();
        live.get_mut(&place).is_some_and(|turn| !std::mem::replace(&mut turn.ended, true))
    }

    /// Takes in what a unit of work changed, turns before counters: nobody who was called may find no turn.
    pub(super) fn commit(&self, change: Change, at: Timestamp) {
        self.commit_turns(change.turns, change.ended, &change.reservations);
        let Some(room) = change.room else { return };
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.snapshot.load_full();
        let room = if known.room.version < room.version { room } else { known.room.clone() };
        let mut line = known.line.clone();
        for place in change.given_up {
            line.give_up(place);
        }
        line.advance(room.issued, room.served);
        pace.observe(at, room.served, room.waiting());
        let per_second = pace.per_second(&room.settings);
        self.snapshot.store(Arc::new(Snapshot { room, line, per_second }));
    }

    fn commit_turns(&self, turns: Vec<(u64, Option<Turn>)>, ended: Vec<u64>, reservations: &[Reservation]) {
        if turns.is_empty() && ended.is_empty() && reservations.is_empty() {
            return;
        }
        let mut live = self.write_turns();
        for (place, turn) in turns {
            match (turn, live.get_mut(&place)) {
                (Some(turn), Some(known)) => known.update(turn),
                (Some(turn), None) => drop(live.insert(place, LiveTurn::new(turn, false))),
                (None, _) => drop(live.remove(&place)),
            }
        }
        for place in ended {
            live.get_mut(&place).into_iter().for_each(|turn| turn.ended = true);
        }
        note_holds(&mut live, reservations);
    }

    fn read_turns(&self) -> RwLockReadGuard<'_, HashMap<u64, LiveTurn>> {
        self.turns.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_turns(&self) -> RwLockWriteGuard<'_, HashMap<u64, LiveTurn>> {
        self.turns.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note_holds(live: &mut HashMap<u64, LiveTurn>, reservations: &[Reservation]) {
    for reservation in reservations {
        let Some(turn) = live.get_mut(&reservation.place) else { continue };
        turn.holds.retain(|(id, _)| *id != reservation.id);
        if reservation.status == Status::Held {
            turn.holds.push((reservation.id, reservation.held_until));
        }
    }
}

/// What a unit of work saw of one room that others change too.
#[derive(Debug, Default)]
pub(super) struct Glimpse {
    pub(super) turns: Vec<(u64, Turn)>,
    pub(super) ended: Vec<u64>,
    pub(super) reservations: Vec<Reservation>,
}

/// What a unit of work changed in one room.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) room: Option<Room>,
    pub(super) given_up: Vec<u64>,
    pub(super) turns: Vec<(u64, Option<Turn>)>,
    pub(super) ended: Vec<u64>,
    pub(super) reservations: Vec<Reservation>,
}
