//! One turn as this process knows it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use onsale_domain::concert::{Extension, HoldEnd};
use onsale_domain::ids::TokenId;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Claims, Token, Turn};
use parking_lot::Mutex;

use super::pace::{Running, seconds_between};
use crate::store::HoldRecord;

/// A sign of life is stored at least this long before silence would end the turn by what was stored before.
const NOTED_BEFORE_LAPSE_MILLIS: i64 = 2_000;

/// A refresh reads the holds of a turn from this long before the end of the turn: another instance may have taken or extended a
/// hold that keeps it running.
const HOLDS_READ_BEFORE_MILLIS: i64 = 2_000;

/// The holds of a turn that runs on after its own time are read again after this long.
const HOLDS_READ_EVERY_MILLIS: i64 = 5_000;

/// A turn that no step has settled is shown as it was just before its end for this long. An extension that was decided before
/// the end commits within this time, unless the database stalls. Decisions do not depend on it: each judges the end by
/// itself. An answer may be 250 ms old.
const SHOWN_AFTER_END_MILLIS: i64 = 200;

/// A hold is committed within this time after its decision, unless the database stalls.
const HOLD_COMMITS_WITHIN_MILLIS: i64 = 5_000;

/// The most tokens of one place that are noted besides the first. A token beyond that is refused when it holds.
const OTHERS_MAX: usize = 8;

/// Tokens that were shown for one place, if it was handed out twice.
#[derive(Debug, Default)]
struct OtherTokens {
    /// Tokens other than the first.
    known: Vec<TokenId>,
    /// Tokens of which the next step finds out whether the place is theirs.
    to_check: Vec<Token>,
    /// Tokens whose place belongs to another one.
    rejected: Vec<TokenId>,
}

/// A turn, with what only this process knows of it. Calls change its atomics under the shared lock of the turns; a commit
/// changes the other fields under the exclusive lock. All atomics are relaxed unless a comment gives another ordering: each stands
/// alone, and a step that sees one a moment later reports it with the next step.
#[derive(Debug)]
pub(super) struct LiveTurn {
    /// The row as it was last read.
    pub(super) turn: Turn,
    /// The turn has ended, and its room has not settled it yet.
    pub(super) ended: bool,
    /// The last sign of life, in milliseconds; at least that of the row.
    seen: AtomicI64,
    /// The last call, in milliseconds: as `seen`, without reads for an open event stream.
    called: AtomicI64,
    /// Silence before this instant does not end the turn, in milliseconds: this process could not receive polls. Never
    /// stored, because another process may have received them.
    forgiven: AtomicI64,
    /// Whether the turn was used. The row may not say so yet.
    claimed: AtomicBool,
    /// Holds taken with it that are not known to be settled.
    pub(super) holds: Vec<HoldRecord>,
    /// When its holds were last read, all of them.
    holds_read_at: Option<Timestamp>,
    /// Holds of the room were extended since.
    pub(super) may_be_extended: bool,
    /// A payment ends the turn, unless another hold of the user is being extended. The next step decides it.
    pub(super) is_paid: bool,
    /// The first token that was shown for the place since the admission.
    first_token: OnceLock<Token>,
    /// Whether the turn was used through this process, so that its token is checked.
    used: AtomicBool,
    /// Whether `others` has rejected tokens. Without one, a call does not take the lock.
    is_disputed: AtomicBool,
    /// Two tokens for one place, which is rare. No other lock is taken while it is held.
    others: Mutex<OtherTokens>,
    /// Whether `others` has tokens to check. Every scan reads it for every turn.
    is_to_check: AtomicBool,
}

impl LiveTurn {
    pub(super) fn new(turn: Turn, ended: bool) -> Self {
        let (seen, claimed) = (AtomicI64::new(turn.seen_at.as_millis()), AtomicBool::new(turn.claimed));
        Self {
            turn,
            ended,
            seen,
            called: AtomicI64::new(i64::MIN),
            forgiven: AtomicI64::new(i64::MIN),
            claimed,
            holds: Vec::new(),
            holds_read_at: None,
            may_be_extended: false,
            is_paid: false,
            first_token: OnceLock::new(),
            used: AtomicBool::new(false),
            is_disputed: AtomicBool::new(false),
            others: Mutex::default(),
            is_to_check: AtomicBool::new(false),
        }
    }

    /// Replaces the row, and keeps what only this process knows.
    pub(super) fn update(&mut self, turn: Turn) {
        if turn.seen_at < self.turn.seen_at {
            // The clock was set back: signs of life that the wrong clock dated do not count.
            self.seen.store(turn.seen_at.as_millis(), Ordering::Relaxed);
            self.forgiven.store(i64::MIN, Ordering::Relaxed);
        }
        self.seen.fetch_max(turn.seen_at.as_millis(), Ordering::Relaxed);
        self.claimed.fetch_or(turn.claimed, Ordering::Relaxed);
        self.turn = turn;
    }

    pub(super) fn lasts_until(&self, at: Timestamp) -> Timestamp {
        let last_hold = self.holds.iter().map(|hold| hold.until).filter(|until| at < *until).max();
        self.turn.lasts_until(last_hold)
    }

    /// The latest instant at which the turn ran or runs, by what this process knows.
    pub(super) fn known_end(&self) -> Timestamp {
        self.turn.lasts_until(self.holds.iter().map(|hold| hold.until).max())
    }

    /// Until when the turn is shown as running if nothing settles it.
    pub(super) fn shown_until(&self) -> Timestamp {
        self.known_end().plus_millis(SHOWN_AFTER_END_MILLIS)
    }

    /// Notes a hold. What is known already may contain more extensions than this.
    pub(super) fn note_hold(&mut self, hold: HoldRecord) {
        match self.holds.iter_mut().find(|known| known.reservation == hold.reservation) {
            Some(known) if known.extended <= hold.extended => *known = hold,
            Some(_) => {}
            None => self.holds.push(hold),
        }
    }

    /// Notes all unsettled holds of the turn, as of an instant.
    pub(super) fn read_holds(&mut self, holds: &[HoldRecord], at: Timestamp) {
        // No new hold is taken after the turn's own time. From then on what the answer lacks is settled. Before, a hold that
        // this process knows may have been committed after the answer was read.
        if self.turn.active_until.plus_millis(HOLD_COMMITS_WITHIN_MILLIS) <= at {
            self.holds.retain(|known| holds.iter().any(|hold| hold.reservation == known.reservation));
        }
        holds.iter().for_each(|hold| self.note_hold(*hold));
        self.holds_read_at = Some(at);
        self.may_be_extended = false;
    }

    /// Whether a refresh reads the holds of the turn: it ends soon, and another instance may have taken or extended a hold
    /// that keeps it running. While holds keep it running, extensions are noticed by the room; the holds are read now and then
    /// all the same, because another instance may have settled them.
    pub(super) fn are_holds_due(&self, at: Timestamp) -> bool {
        let soon = at.plus_millis(HOLDS_READ_BEFORE_MILLIS);
        if self.ended || self.turn.active_until > soon {
            return false;
        }
        // A read that a wrong clock dated does not count.
        let is_older = |than: Timestamp| self.holds_read_at.is_none_or(|read| read < than || read.is_ahead_of(at));
        let is_ending = self.known_end() <= soon && is_older(self.shown_until());
        is_ending || is_older(at.plus_millis(1 - HOLDS_READ_EVERY_MILLIS))
    }

    /// Applies an extension to the holds that were live at its instant and do not contain it.
    pub(super) fn extend(&mut self, extension: &Extension) {
        for hold in &mut self.holds {
            // One that lacks earlier extensions too is read again.
            if hold.performance == extension.performance && hold.extended + 1 == extension.number {
                let end = HoldEnd { until: hold.until, extended: hold.extended };
                let end = end.after([(extension.at, extension.seconds)]);
                (hold.until, hold.extended) = (end.until, end.extended);
            }
        }
    }

    /// Whether the next step ends the turn because its user has paid and holds no other seats.
    pub(super) fn is_paid_off(&self, at: Timestamp) -> bool {
        self.is_paid && !self.ended && self.holds.iter().all(|hold| hold.until <= at)
    }

    pub(super) fn runs(&self, at: Timestamp) -> bool {
        !self.ended && at < self.lasts_until(at)
    }

    pub(super) fn seen(&self) -> Timestamp {
        Timestamp::from_millis(self.seen.load(Ordering::Relaxed))
    }

    /// Whether the last sign of life should be stored: it is newer than the row by a quarter of the allowed silence, or by the
    /// row silence would soon end the turn. The step that ends it may be another instance's.
    pub(super) fn is_worth_noting(&self, claim_seconds: u32, at: Timestamp) -> bool {
        let (stored, seen) = (self.turn.seen_at, self.seen());
        let stale = stored.plus_millis(i64::from(claim_seconds) * 250) <= seen;
        let lapses_soon = stored.plus_seconds(claim_seconds).plus_millis(-NOTED_BEFORE_LAPSE_MILLIS) <= at;
        stored < seen && (stale || lapses_soon)
    }

    /// Corrects a sign of life that was dated by a clock which was ahead.
    pub(super) fn follow_clock(&self, at: Timestamp) {
        if self.seen().is_ahead_of(at) {
            self.seen.store(at.as_millis(), Ordering::Relaxed);
        }
    }

    /// The first token that was shown since the admission.
    pub(super) fn first_token(&self) -> Option<Token> {
        self.first_token.get().cloned()
    }

    pub(super) fn note_sign_of_life(&self, at: Timestamp) {
        self.seen.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    /// Notes a call of the client itself.
    pub(super) fn note_call(&self, at: Timestamp) {
        self.called.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    /// Whether the client made a call after this instant, at this process.
    pub(super) fn was_called_after(&self, at: Timestamp) -> bool {
        at.as_millis() < self.called.load(Ordering::Relaxed)
    }

    pub(super) fn note_use(&self) {
        self.claimed.store(true, Ordering::Relaxed);
    }

    /// Until when silence does not end the turn, by the row: signs of life that only this process knows are lost with it. `None`
    /// once the turn was used.
    pub(super) fn claim_before(&self, claims: Claims) -> Option<Timestamp> {
        (!self.is_claimed()).then(|| self.turn.claim_before(claims.of(&self.turn)))
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Notes that a token was shown for the place. That is one comparison, except for the first token, the first use, and a
    /// second token.
    pub(super) fn note_token(&self, token: &Token, is_use: bool) {
        let first = self.first_token.get_or_init(|| token.clone());
        if first.id != token.id {
            let mut others = self.others.lock();
            if !others.known.contains(&token.id) && others.known.len() < OTHERS_MAX {
                others.known.push(token.id);
                others.to_check.extend([first.clone(), token.clone()]);
                // Release, here and below: pairs with the swap in `take_to_check`. The lock orders the lists themselves.
                self.is_to_check.store(true, Ordering::Release);
            }
        }
        if is_use && !self.used.load(Ordering::Relaxed) && !self.used.swap(true, Ordering::Relaxed) {
            // Another process may have been shown another token.
            self.others.lock().to_check.push(token.clone());
            self.is_to_check.store(true, Ordering::Release);
        }
    }

    /// Tokens of which the next step finds out whether the place is theirs.
    pub(super) fn take_to_check(&self) -> Vec<Token> {
        // Before the list is taken: a token that is added in between sets the flag again. Swapped, it would be lost.
        if !self.is_to_check.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.others.lock().to_check)
    }

    /// Puts a token back, after the step that should have checked it failed.
    pub(super) fn check_again(&self, token: Token) {
        self.others.lock().to_check.push(token);
        self.is_to_check.store(true, Ordering::Release);
    }

    /// Notes that the place belongs to another token.
    pub(super) fn reject(&self, token: TokenId) {
        self.others.lock().rejected.push(token);
        // Pairs with the acquire in `is_rejected`.
        self.is_disputed.store(true, Ordering::Release);
    }

    /// Whether the place is known to belong to another token.
    pub(super) fn is_rejected(&self, token: &Token) -> bool {
        self.is_disputed.load(Ordering::Acquire) && self.others.lock().rejected.contains(&token.id)
    }

    /// Silence before this instant does not end the turn: the client may have been given a poll interval until then.
    pub(super) fn forgive_until(&self, until: Timestamp) {
        self.forgiven.fetch_max(until.as_millis(), Ordering::Relaxed);
    }

    /// Whether the turn was not used and had no sign of life since the admission.
    pub(super) fn was_unused(&self) -> bool {
        !self.ended && !self.claimed.load(Ordering::Relaxed) && self.seen() <= self.turn.admitted_at
    }

    /// Counts this turn among those that run.
    pub(super) fn count(&self, running: &mut Running, claim_seconds: u32, at: Timestamp) {
        if self.ended {
            return;
        }
        let called_at = self.turn.admitted_at;
        let silent_since = called_at.max(Timestamp::from_millis(self.forgiven.load(Ordering::Relaxed)));
        let (age, silence) = (seconds_between(called_at, at), seconds_between(silent_since, at));
        running.note(age, if self.was_unused() { silence } else { 0.0 }, claim_seconds);
    }

    /// Whether the turn may be over, so that the next step should settle it.
    pub(super) fn is_due(&self, claims: Claims, at: Timestamp) -> bool {
        let seen_at = self.seen().max(Timestamp::from_millis(self.forgiven.load(Ordering::Relaxed)));
        let known = Turn { seen_at, claimed: self.claimed.load(Ordering::Relaxed), ..self.turn.clone() };
        !self.runs(at)
            || self.turn.is_ahead_of(at)
            || known.lapses_at(claims.of(&known)).is_some_and(|silent| silent <= at)
    }
}
