//! One turn as this process knows it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use onsale_domain::ids::{ReservationId, TokenId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Token, Turn};

use super::pace::{Running, seconds_between};

/// A sign of life is stored at least this long before silence would end the turn by what was stored before.
const NOTED_BEFORE_LAPSE_MILLIS: i64 = 2_000;

/// The most tokens of one place that are kept apart.
const OTHERS_MAX: usize = 8;

/// Tokens that were shown for one place, if it was handed out twice.
#[derive(Debug, Default)]
struct Others {
    known: Vec<TokenId>,
    to_check: Vec<Token>,
    rejected: Vec<TokenId>,
}

/// What is known of a turn in this process alone, beside its row.
#[derive(Debug)]
pub(super) struct LiveTurn {
    pub(super) turn: Turn,
    /// It has ended, and waits for the room to settle it.
    pub(super) ended: bool,
    /// The last sign of life, in milliseconds; at least what the store knows.
    pub(super) seen: AtomicI64,
    /// Until when silence is not to blame, in milliseconds: nobody could hear. Known here alone, and never stored, as
    /// another process may have heard well.
    pub(super) forgiven: AtomicI64,
    /// It was used, and the store may not know yet.
    pub(super) claimed: AtomicBool,
    /// Holds taken with it that may still be paid.
    pub(super) holds: Vec<(ReservationId, Timestamp)>,
    /// The first token that was shown for the place since the call.
    bearer: OnceLock<Token>,
    /// Whether the turn was used through this process.
    used: AtomicBool,
    /// Whether a token was found not to be the place's own: then `others` is checked.
    is_disputed: AtomicBool,
    /// Guards what is rare: two tokens for one place.
    others: Mutex<Others>,
    /// Whether `others` has tokens to check: asked ten times a second of every turn.
    is_to_check: AtomicBool,
}

impl LiveTurn {
    pub(super) fn new(turn: Turn, ended: bool) -> Self {
        let (seen, claimed) = (AtomicI64::new(turn.seen_at.as_millis()), AtomicBool::new(turn.claimed));
        Self {
            turn,
            ended,
            seen,
            forgiven: AtomicI64::new(i64::MIN),
            claimed,
            holds: Vec::new(),
            bearer: OnceLock::new(),
            used: AtomicBool::new(false),
            is_disputed: AtomicBool::new(false),
            others: Mutex::default(),
            is_to_check: AtomicBool::new(false),
        }
    }

    /// Takes in a newer row, and keeps what only this process knows.
    pub(super) fn update(&mut self, turn: Turn) {
        if turn.seen_at < self.turn.seen_at {
            // Set back with the clock: signs of life that the wrong clock dated do not count.
            self.seen.store(turn.seen_at.as_millis(), Ordering::Relaxed);
            self.forgiven.store(i64::MIN, Ordering::Relaxed);
        }
        self.seen.fetch_max(turn.seen_at.as_millis(), Ordering::Relaxed);
        self.claimed.fetch_or(turn.claimed, Ordering::Relaxed);
        self.turn = turn;
    }

    pub(super) fn lasts_until(&self, at: Timestamp) -> Timestamp {
        let last_hold = self.holds.iter().map(|(_, until)| *until).filter(|until| at < *until).max();
        self.turn.lasts_until(last_hold)
    }

    pub(super) fn runs(&self, at: Timestamp) -> bool {
        !self.ended && at < self.lasts_until(at)
    }

    pub(super) fn seen(&self) -> Timestamp {
        Timestamp::from_millis(self.seen.load(Ordering::Relaxed))
    }

    /// Whether the store should learn of the last sign of life: it is a good part of the allowed silence newer than
    /// what is stored, or silence would soon end the turn by what is stored. Another process may be the one to judge.
    pub(super) fn is_worth_noting(&self, claim_seconds: u32, at: Timestamp) -> bool {
        let (stored, seen) = (self.turn.seen_at, self.seen());
        let stale = stored.plus_millis(i64::from(claim_seconds) * 250) <= seen;
        let lapses_soon = stored.plus_seconds(claim_seconds).plus_millis(-NOTED_BEFORE_LAPSE_MILLIS) <= at;
        stored < seen && (stale || lapses_soon)
    }

    /// Forgets signs of life that a clock dated which was ahead.
    pub(super) fn follow_clock(&self, at: Timestamp) {
        if self.seen().is_ahead_of(at) {
            self.seen.store(at.as_millis(), Ordering::Relaxed);
        }
    }

    /// The first token that was shown since the call.
    pub(super) fn bearer(&self) -> Option<Token> {
        self.bearer.get().cloned()
    }

    /// A token of the place is shown. Costs a comparison, but for the first token, the first use, and a second token.
    pub(super) fn is_shown(&self, token: &Token, is_used: bool) {
        let first = self.bearer.get_or_init(|| token.clone());
        if first.id != token.id {
            let mut others = self.others();
            if !others.known.contains(&token.id) && others.known.len() < OTHERS_MAX {
                others.known.push(token.id);
                others.to_check.extend([first.clone(), token.clone()]);
                self.is_to_check.store(true, Ordering::Release);
            }
        }
        if is_used && !self.used.load(Ordering::Relaxed) && !self.used.swap(true, Ordering::Relaxed) {
            // Another process may have seen another token.
            self.others().to_check.push(token.clone());
            self.is_to_check.store(true, Ordering::Release);
        }
    }

    /// Tokens of which the store should say whether the place is theirs.
    pub(super) fn take_to_check(&self) -> Vec<Token> {
        if !self.is_to_check.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.others().to_check)
    }

    /// The step that should check these tokens did not happen, as far as is known: the next one checks them.
    pub(super) fn check_again(&self, token: Token) {
        self.others().to_check.push(token);
        self.is_to_check.store(true, Ordering::Release);
    }

    /// The place is another token's.
    pub(super) fn reject(&self, token: TokenId) {
        self.others().rejected.push(token);
        self.is_disputed.store(true, Ordering::Release);
    }

    /// Whether the place is known to be another token's.
    pub(super) fn is_rejected(&self, token: &Token) -> bool {
        self.is_disputed.load(Ordering::Acquire) && self.others().rejected.contains(&token.id)
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Silence before this instant does not end the turn: the client may have been given an interval until then.
    pub(super) fn forgive_until(&self, until: Timestamp) {
        self.forgiven.fetch_max(until.as_millis(), Ordering::Relaxed);
    }

    /// Whether the turn was not used and had no sign of life since the call.
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

    /// Whether the room should look at this turn now.
    pub(super) fn is_due(&self, claim_seconds: u32, at: Timestamp) -> bool {
        let seen_at = self.seen().max(Timestamp::from_millis(self.forgiven.load(Ordering::Relaxed)));
        let known = Turn { seen_at, claimed: self.claimed.load(Ordering::Relaxed), ..self.turn.clone() };
        !self.runs(at) || self.turn.is_ahead_of(at) || known.lapses_at(claim_seconds).is_some_and(|silent| silent <= at)
    }
}
