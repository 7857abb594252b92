//! One waiting room as this process knows it. Polls are answered from it without I/O.
//!
//! A room is split by who reads it: [`Published`] by every poll, [`Turns`] by the calls of admitted users, [`Admission`]
//! by the driver.
//!
//! Locks are taken in this order, and never in another: the scan of the turns ([`super::scan::Scans`]), then either the
//! turns or the forecaster (never both), then one of those that hold no other lock: the promises, the pressure, the
//! disputed tokens of one turn, the estimates, the performances of [`Availability`], the lists of [`HandedOut`].
//! None is held over an await. A poll of a client in line takes no lock at all. A call of an admitted user takes the turns
//! for reading.

mod admission;
mod drawn;
mod published;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_holds;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use onsale_domain::ids::ConcertId;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Line, Room, Step, Token};

use super::availability::Availability;
use super::change::{Change, SeenRows};
use super::estimate::EstimateMetrics;
use super::handed_out::HandedOut;
use super::retire::KeptUntil;
use super::standing::{Instants, Placement, Purpose, Standing};
use crate::store::{HoldRecord, RoomRecord};
use admission::Admission;
pub(super) use drawn::Drawn;
use drawn::Number;
pub use published::Snapshot;
use published::{Committed, Published};
use turns::{Shown, Turns};

/// A client at a position up to this one may just have been admitted by another instance, so its call is refused only after
/// a refresh.
const NEAR_FRONT: u64 = 10_000;

/// Such a refresh starts at most this often, for all clients together.
const REFUSED_EVERY: Duration = Duration::from_millis(20);

/// A user who enters at a position up to this one gets an answer that includes the changes of other instances until then.
/// Further back, the answer is as of the last refresh.
const NEAR_FRONT_AT_ENTRY: u64 = 32;

/// Another instance may have changed the standing: refresh after this pause, then read it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutdatedAfter(pub(super) Duration);

/// A room as this process knows it.
pub struct LiveRoom {
    concert: ConcertId,
    /// The number of the reading of all rooms that made this value. It shows whether a later reading replaced it.
    pub(super) reading: u64,
    published: Published,
    turns: Turns,
    pub(super) admission: Admission,
    pub(super) availability: Availability,
    /// Places that Redis handed out. Shared with the room's queue of entrants, which outlives a retired room.
    pub(super) handed_out: Arc<HandedOut>,
    pub(super) kept: KeptUntil,
    /// The order of a draw.
    pub(super) drawn: Drawn,
}

impl LiveRoom {
    /// A room as it was read at this time. Its waiting clients make `polls_per_second` polls a second together.
    pub(super) fn new(record: RoomRecord, polls_per_second: u32, metrics: EstimateMetrics, at: Timestamp) -> Self {
        let RoomRecord { concert, room, given_up, turns, holds, announced } = record;
        let mut line = Line::new(room.issued, room.served, given_up);
        line.account_for(&room.blocks);
        let turns = Turns::new(turns, holds);
        // As of the last change: turns did not end while no process ran.
        let running = turns.running(room.settings.claim_seconds, at.min(room.updated_at));
        Self {
            concert,
            reading: 0,
            published: Published::new(room, line, running, polls_per_second, at)
                .announcing(announced)
                .measured_by(metrics),
            turns,
            admission: Admission::default(),
            availability: Availability::default(),
            handed_out: Arc::default(),
            kept: KeptUntil::default(),
            drawn: Drawn::default(),
        }
    }

    /// For simulations, in which computing takes no time.
    #[cfg(test)]
    pub(super) fn in_virtual_time(self) -> Self {
        Self { turns: self.turns.in_virtual_time(), ..self }
    }

    /// The concert whose room this is.
    pub fn concert(&self) -> ConcertId {
        self.concert
    }

    /// The room as of its last commit.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.snapshot()
    }

    /// Reads where a token stands, with one read of the snapshot and one computation of the position.
    ///
    /// # Errors
    /// [`OutdatedAfter`] if another instance may have changed the standing since the last refresh.
    pub(super) fn placement(
        &self,
        token: &Token,
        purpose: Purpose,
        instants: Instants,
    ) -> Result<Placement, OutdatedAfter> {
        let Instants { now, as_of, may_be_outdated } = instants;
        // The snapshot before the turns: a commit writes the turns first, so an admitted place always finds its turn.
        let snapshot = self.published.load();
        let Room { settings, blocks, updated_at, .. } = &snapshot.room;
        let placement = |standing, as_of| Placement {
            standing,
            as_of,
            is_sold_out: self.availability.is_sold_out(now),
            is_paused: settings.paused,
            is_closed: settings.sale.is_closed(now),
            opens_at: settings.sale.opens_at,
            draw_at: settings.draw_at,
            closes_at: settings.sale.closes_at,
            notice: snapshot.announced.notice.clone(),
        };
        let resolved;
        let token = match self.number(token.place, &snapshot.room) {
            Number::Place(place) if place == token.place => token,
            Number::Place(place) => {
                resolved = Token { place, ..token.clone() };
                &resolved
            }
            Number::Unknown if snapshot.is_listed(token.place) => {
                let poll_after_seconds = snapshot.poll_undrawn_after_seconds(token, self.waiting(), now);
                let early = Standing::Early { position: None, wait: None, poll_after_seconds };
                return Ok(placement(early, as_of.not_before(*updated_at)));
            }
            Number::Unknown | Number::Over => return Ok(placement(Standing::Expired, now)),
        };
        let is_drawn = snapshot.room.is_drawn_place(token.place);
        let is_from_redis = blocks.epoch > 0;
        if let Some(position) = snapshot.line.position(token.place) {
            let is_shown = matches!(purpose, Purpose::Poll | Purpose::Stream);
            if may_be_outdated && !is_shown && position <= NEAR_FRONT {
                let age = Duration::from_millis(as_of.millis_until(now).max(0).unsigned_abs());
                return Err(OutdatedAfter(REFUSED_EVERY.saturating_sub(age)));
            }
            // Redis never handed out a drawn place, and does not learn of it.
            if is_from_redis && !is_drawn {
                self.handed_out.shown(token, &snapshot.line);
            }
            // The end of a pause is not known. Before the opening the wait is that from there on.
            let is_stopped = settings.paused || settings.sale.is_closed(now);
            let wait = (!is_stopped).then(|| snapshot.wait(position).after(u64::from(snapshot.room.opens_in(now))));
            let poll_after_seconds = snapshot.poll_after_seconds(position, token.id.uuid().as_bytes()[15]);
            let standing = match snapshot.room.is_early() {
                true => Standing::Early { position: Some(position), wait, poll_after_seconds },
                false => Standing::Waiting { position, wait, poll_after_seconds },
            };
            return Ok(placement(standing, as_of.not_before(*updated_at)));
        }
        match self.turns.show(token, purpose, &snapshot.room, instants) {
            Shown::Runs(until, claim_before) => Ok(placement(Standing::Active { until, claim_before }, now)),
            Shown::JustEnded(until, claim_before) => {
                Ok(placement(Standing::Active { until, claim_before }, until.plus_millis(-1)))
            }
            Shown::Over => Ok(placement(Standing::Expired, now)),
            Shown::Unsure => Err(OutdatedAfter(Duration::ZERO)),
        }
    }

    /// Whether the client of a turn made a call after this instant, at this process.
    pub(super) fn was_called_after(&self, token: &Token, at: Timestamp) -> bool {
        self.turns.was_called_after(&self.resolved(token.clone()), at)
    }

    /// Whether nothing is left in the concert and no hold can come back.
    pub fn is_sold_out(&self, at: Timestamp) -> bool {
        self.availability.is_sold_out(at)
    }

    /// Whether there is any turn that is not settled.
    pub(super) fn has_turns(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Whether a place is in line, or an entry whose place is not known here.
    pub(super) fn is_waiting(&self, token: &Token) -> bool {
        let snapshot = self.published.load();
        match self.number(token.place, &snapshot.room) {
            Number::Place(place) => snapshot.line.position(place).is_some(),
            Number::Unknown => snapshot.is_listed(token.place),
            Number::Over => false,
        }
    }

    /// Whether a place lies beyond all that was ever handed out or reserved, as far as this process knows.
    pub(super) fn is_beyond(&self, place: u64) -> bool {
        let room = &self.published.load().room;
        room.issued.max(room.blocks.reserved_to) < place
    }

    /// Whether the last performance has started, and no user waits or has a turn.
    pub(super) fn is_over(&self, at: Timestamp) -> bool {
        self.availability.has_started(at) && self.waiting() == 0 && self.turns.is_empty()
    }

    /// Whether a place is in line, or its turn runs. Unlike [`Self::placement`], this is no sign of life.
    pub(super) fn stands(&self, token: &Token, at: Timestamp) -> bool {
        self.is_waiting(token) || self.turns.runs(&self.resolved(token.clone()), at)
    }

    /// The number of users in line, as far as this process knows.
    pub fn waiting(&self) -> u64 {
        let room = &self.published.load().room;
        room.waiting_up_to(self.issued_in(room))
    }

    /// The last place that was handed out, as far as this process knows.
    pub fn issued(&self) -> u64 {
        self.issued_in(&self.published.load().room)
    }

    /// When the last place in line is expected to be admitted; `None` if the line is empty, or if it does not move: a pause, or a sale that is not open.
    pub fn line_ends_at(&self, at: Timestamp) -> Option<Timestamp> {
        let snapshot = self.published.load();
        let waiting = snapshot.room.waiting_up_to(self.issued_in(&snapshot.room));
        let moves = snapshot.room.admits(at);
        let seconds = u32::try_from(snapshot.wait(waiting).seconds).unwrap_or(u32::MAX);
        (moves && waiting > 0).then(|| at.plus_seconds(seconds))
    }

    fn issued_in(&self, room: &Room) -> u64 {
        room.issued.max(self.handed_out.issued().min(room.blocks.reserved_to))
    }

    /// Whether changes of other instances may matter to the answer that a new place gets.
    pub(super) fn is_near_front(&self, place: u64) -> bool {
        self.published.load().line.position(place).is_none_or(|position| position <= NEAR_FRONT_AT_ENTRY)
    }

    /// If a place is among those that can be admitted now: the last place that is known to be handed out.
    pub(super) fn can_be_admitted(&self, place: u64, at: Timestamp) -> Option<u64> {
        let snapshot = self.published.load();
        // The place was just handed out, so at least the places up to it were.
        let issued = self.issued_in(&snapshot.room).max(place);
        let admissible = snapshot.room.admissible_of(snapshot.room.waiting_up_to(issued), at);
        let position = snapshot.line.position(place)?;
        (position <= u64::from(admissible)).then_some(issued)
    }

    /// The number of users that can be admitted now, as far as this process knows.
    pub(super) fn admissible(&self, at: Timestamp) -> u32 {
        let room = &self.published.load().room;
        room.admissible_of(room.waiting_up_to(self.issued_in(room)), at)
    }

    /// Places whose holds the next refresh reads, because other instances may have taken or extended some.
    pub(super) fn holds_to_read(&self, at: Timestamp) -> Vec<u64> {
        self.turns.holds_to_read(at)
    }

    /// The step that this room needs now, if any.
    pub(super) fn next_step(&self, at: Timestamp) -> Option<Step> {
        let snapshot = self.published.load();
        let claims = snapshot.room.claims();
        let mut step = Step::of(self.concert);
        // Not beyond the reserved blocks: the database may have been set back behind Redis.
        let issued = self.handed_out.issued().min(snapshot.room.blocks.reserved_to);
        let admissible = self.admissible(at);
        if issued > snapshot.room.issued && (admissible > 0 || self.handed_out.is_write_due(at)) {
            self.handed_out.writing(at);
            step.issued = issued;
        }
        if let Some(running) = self.turns.report(&mut step, claims, at) {
            self.published.count(running);
        }
        let is_idle = step.seen.is_empty() && step.claimed.is_empty() && step.due.is_empty() && step.paid.is_empty();
        // The opening is stored also if no place can be admitted.
        let has_news = step.issued > 0
            || !step.shown_tokens.is_empty()
            || snapshot.room.opens_now(at)
            || snapshot.room.closes_now(at);
        (!is_idle || has_news || admissible > 0).then_some(step)
    }

    /// Puts tokens back to be checked by the next step, after the step that should have checked them failed.
    pub(super) fn check_again(&self, tokens: Vec<Token>) {
        self.turns.check_again(tokens);
    }

    /// Applies what a unit of work changed. Turns come before the snapshot: a poll that finds its place admitted in the new
    /// snapshot must find the turn too.
    pub(super) fn commit(&self, change: Change, at: Timestamp) {
        let Change { room, given_up, turns, ended, reservations, extensions, paid, announced } = change;
        let forgiveness = |last| self.published.forgiveness(last, at);
        let seen = SeenRows { turns: Vec::new(), ended, reservations, extensions, paid };
        let settled = self.turns.commit(turns, &seen, forgiveness, at);
        if let Some(room) = room {
            let committed = Committed { room, given_up, settled, redis_issued: self.handed_out.issued(), announced };
            self.published.replace(committed, self.admission.share(), at);
        }
    }

    /// Updates estimates and poll intervals while no commit does.
    pub(super) fn update_outlook(&self, at: Timestamp) {
        self.published.update_outlook(self.waiting(), self.issued(), self.admission.share(), at);
    }

    /// Takes over the measurements and estimates from the value that this one replaces.
    pub(super) fn continue_from(&mut self, known: &Self, at: Timestamp) {
        let (issued, share) = (self.issued(), self.admission.share());
        self.published.continue_from(&known.published, issued, share, at);
        self.drawn = known.drawn.copy();
    }

    /// Silence before now ends no turn: this process did not receive polls. Neither does silence within an interval that
    /// a client was given before.
    pub(super) fn forgive_silence(&self, at: Timestamp) {
        self.turns.forgive_silence(|last| self.published.forgiveness(last, at), at);
    }

    /// Applies what a unit of work of this process saw in a room that other instances change too. Whatever has to arrive in
    /// the database's order comes with the next refresh instead.
    pub(super) fn apply_seen(&self, seen: &SeenRows) {
        self.turns.apply_seen(seen);
    }

    /// Notes all unsettled holds of these places, as they were read. Returns whether the end of a turn moved.
    pub(super) fn read_holds(&self, places: &[u64], holds: Vec<HoldRecord>, at: Timestamp) -> bool {
        self.turns.read_holds(places, holds, at)
    }

    /// Another instance extended holds: those of all turns are read again.
    pub(super) fn read_holds_again(&self) {
        self.turns.read_holds_again();
    }

    /// Notes that a turn has ended. Returns whether that is new.
    pub(super) fn end(&self, place: u64) -> bool {
        self.turns.end(place)
    }

    /// Notes that the place of a token belongs to another token.
    pub(super) fn reject(&self, token: &Token) {
        self.turns.reject(token);
    }
}
