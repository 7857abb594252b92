//! One waiting room as this process knows it: what a poll is answered from, without any I/O.

mod commit;
mod steps;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use onsale_domain::concert::{Reservation, Status};
use onsale_domain::ids::{ConcertId, ReservationId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Line, Room, Token};

use super::beside::Beside;
use super::change::Glimpse;
use super::estimate::{EstimateMetrics, Estimates};
use super::glance::Glances;
use super::outlook::{Forecaster, Outlook};
use super::pace::Running;
use super::pressure::Pressure;
use super::promises::Promises;
use super::retire::Kept;
use super::stock::Stock;
use super::turn::LiveTurn;
use crate::store::RoomRecord;

/// Around the end of a turn's own time its holds are asked for: another process may have taken them.
const HOLDS_ASKED_BEFORE_MILLIS: i64 = 2_000;

/// Before somebody near the front is refused, others are asked; at most this often, and once for all who wait for it.
const REFUSED_EVERY: Duration = Duration::from_millis(20);

/// Who stands this near the front may have been called by another process in this moment.
const NEAR_FRONT: u64 = 10_000;

/// Who enters this near the front is told of others' doings at once; further back, at the next news.
const NEAR_FRONT_AT_DOOR: u64 = 32;

/// Counters and line of a room, as of one commit.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Settings and counters.
    pub room: Room,
    /// Who stands where.
    pub line: Line,
    /// Estimates and poll intervals.
    outlook: Arc<Outlook>,
}

impl Snapshot {
    /// The longest poll interval of a position, in seconds.
    pub(super) fn longest_interval(&self, position: u64) -> f64 {
        self.outlook.longest_interval(position)
    }
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
    /// Also guards the snapshot's replacement: each follows from the one before.
    forecaster: Mutex<Forecaster>,
    glances: Glances,
    promises: Mutex<Promises>,
    estimates: Estimates,
    estimate_metrics: EstimateMetrics,
    pub(super) stock: Stock,
    /// How admission is held back while the database is slow.
    pub(super) pressure: Mutex<Pressure>,
    /// Where places are handed out beside the database.
    pub(super) beside: Arc<Beside>,
    /// Whether a step is on its way.
    pub(super) stepping: AtomicBool,
    /// Until when it stays in memory though it may be over.
    pub(super) kept: Kept,
}

impl LiveRoom {
    /// A room as it was read at this time. Its waiting clients make `polls_per_second` polls a second together.
    pub(super) fn new(
        record: RoomRecord,
        polls_per_second: u32,
        estimate_metrics: EstimateMetrics,
        at: Timestamp,
    ) -> Self {
        let RoomRecord { concert, room, given_up, turns, holds } = record;
        let mut line = Line::new(room.issued, room.served, given_up);
        line.account_for(&room.blocks);
        let mut live: HashMap<u64, LiveTurn> =
            turns.into_iter().map(|(place, turn, ended)| (place, LiveTurn::new(turn, ended))).collect();
        for (place, reservation, until) in holds {
            if let Some(turn) = live.get_mut(&place) {
                turn.holds.push((reservation, until));
            }
        }
        // As of the last change: turns did not end while no process ran.
        let running = steps::running(&live, room.settings.claim_seconds, at.min(room.updated_at));
        let promises = Promises::started(&room, polls_per_second, at);
        let (forecaster, outlook) = Forecaster::new(&room, &line, running, polls_per_second, at);
        Self {
            concert,
            snapshot: ArcSwap::from_pointee(Snapshot { room, line, outlook: Arc::new(outlook) }),
            turns: RwLock::new(live),
            forecaster: Mutex::new(forecaster),
            glances: Glances::default(),
            promises: Mutex::new(promises),
            estimates: Estimates::default(),
            estimate_metrics,
            stock: Stock::default(),
            pressure: Mutex::default(),
            beside: Arc::default(),
            stepping: AtomicBool::new(false),
            kept: Kept::default(),
        }
    }

    /// For simulations, in which computing takes no time.
    #[cfg(test)]
    pub(super) fn in_virtual_time(self) -> Self {
        Self { glances: Glances::without_rest(), ..self }
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
            if snapshot.room.blocks.epoch > 0 {
                self.beside.shown(token, &snapshot.line);
            }
            let estimated_wait_seconds = snapshot.outlook.estimated_wait_seconds(position);
            let poll_after_seconds = snapshot.outlook.poll_after_seconds(position, token.id.uuid().as_bytes()[15]);
            let changed_at = snapshot.room.updated_at;
            return Standing::Waiting { position, estimated_wait_seconds, poll_after_seconds, changed_at };
        }
        match self.read_turns().get(&token.place) {
            Some(turn) if turn.runs(at) && !turn.is_rejected(token) => {
                turn.seen.fetch_max(at.as_millis(), Ordering::Relaxed);
                if snapshot.room.blocks.epoch > 0 {
                    turn.is_shown(token, how == Look::Use);
                }
                if how == Look::Use {
                    turn.claimed.store(true, Ordering::Relaxed);
                }
                Standing::Active { until: turn.lasts_until(at), may_hold: at < turn.turn.active_until }
            }
            _ => Standing::Expired,
        }
    }

    /// Whether there is any turn that is not settled.
    pub(super) fn has_turns(&self) -> bool {
        !self.read_turns().is_empty()
    }

    /// Whether a place is in line.
    pub(super) fn is_waiting(&self, token: &Token) -> bool {
        self.snapshot.load().line.position(token.place).is_some()
    }

    /// Whether a place lies beyond all that was ever handed out or reserved, as far as this process knows.
    pub(super) fn is_beyond(&self, place: u64) -> bool {
        let room = &self.snapshot.load().room;
        room.issued.max(room.blocks.reserved_to) < place
    }

    /// Whether the last performance has started, and no user waits or has a turn.
    pub(super) fn is_over(&self, at: Timestamp) -> bool {
        self.stock.has_started(at) && self.waiting() == 0 && self.read_turns().is_empty()
    }

    /// Whether a place is in line, or its turn runs. No sign of life.
    pub(super) fn stands(&self, token: &Token, at: Timestamp) -> bool {
        let runs = |turn: &LiveTurn| turn.runs(at) && !turn.is_rejected(token);
        self.is_waiting(token) || self.read_turns().get(&token.place).is_some_and(runs)
    }

    /// How many people wait, as far as this process knows.
    pub fn waiting(&self) -> u64 {
        let room = &self.snapshot.load().room;
        room.waiting_up_to(self.issued())
    }

    /// The last place that was handed out, as far as this process knows.
    pub fn issued(&self) -> u64 {
        let room = &self.snapshot.load().room;
        room.issued.max(self.beside.issued().min(room.blocks.reserved_to))
    }

    /// Whether a new place is so near the front that others' doings may matter to it, as far as is known here.
    pub(super) fn is_near_front(&self, place: u64) -> bool {
        self.snapshot.load().line.position(place).is_none_or(|position| position <= NEAR_FRONT_AT_DOOR)
    }

    /// Whether a place is among those that can be called now; then how far places are known to be handed out.
    pub(super) fn can_be_called(&self, place: u64, at: Timestamp) -> Option<u64> {
        let snapshot = self.snapshot.load();
        let issued = self.issued().max(place);
        let admissible = snapshot.room.admissible_of(snapshot.room.waiting_up_to(issued), at);
        let position = snapshot.line.position(place)?;
        (position <= u64::from(admissible)).then_some(issued)
    }

    /// After how long others are to be asked where this token stands, because they may have changed it; `None` where
    /// that does not matter to the answer. `as_of` is the moment of the last news.
    pub(super) fn doubt(&self, token: &Token, stake: Stake, at: Timestamp, as_of: Timestamp) -> Option<Duration> {
        let snapshot = self.snapshot.load();
        if token.place > snapshot.room.issued.max(snapshot.room.blocks.reserved_to) {
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
        let ends_soon =
            |(place, turn): (&u64, &LiveTurn)| (!turn.ended && turn.turn.active_until <= soon).then_some(*place);
        self.glances.ending(at, || self.read_turns().iter().filter_map(ends_soon).collect())
    }

    /// How many can be called now, as far as is known here.
    pub(super) fn admissible(&self, at: Timestamp) -> u32 {
        let room = &self.snapshot.load().room;
        room.admissible_of(room.waiting_up_to(self.issued()), at)
    }

    /// Silence before now ends no turn: this process did not receive polls. Neither does silence within an interval
    /// that was given before.
    pub(super) fn forgive_silence(&self, at: Timestamp) {
        let claim_seconds = self.snapshot.load().room.settings.claim_seconds;
        let turns = self.read_turns();
        let Some(last_called) = turns.keys().max() else { return };
        let promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, before_start) = (promises.latest(*last_called, at).max(at), promises.before_start());
        for (place, turn) in turns.iter() {
            turn.forgive_until(until.max(before_start.forgiven_until(*place, claim_seconds)));
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

    /// Takes in that a place with a turn is another token's.
    pub(super) fn reject(&self, token: &Token) {
        self.read_turns().get(&token.place).into_iter().for_each(|turn| turn.reject(token.id));
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
