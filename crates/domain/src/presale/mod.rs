//! Presale codes: before a sale is open to all buyers, a code lets a user enter and hold.
//!
//! A code counts the holds that were taken with it. One that lapsed, was released or was refunded counts no longer, and none of
//! the commands that end a hold locks the code. So a code has a number that may be too high: `taken` counts also uses that have
//! ended since. Only if this number reaches the limit, the uses themselves are read.

mod staff;

use std::collections::HashSet;
use std::sync::Arc;

use crate::Refusal;
use crate::concert::{Performance, Reservation, Status};
use crate::ids::{CodeId, ConcertId, PerformanceId, ReservationId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::waiting_room::Token;

pub use staff::{CreateCodes, DeleteCode, NewCode};

/// The highest number of uses of a code. A code that is used up costs each attempt a read of its uses.
pub const USES_MAX: u32 = 100_000;

/// The longest code, in characters.
pub const CODE_MAX: usize = 64;

/// Maximum number of uses of one code that a unit of work reads because they may have ended.
pub const USES_READ_MAX: usize = 1_000;

/// A pay or an extension that was decided before the end of a hold commits within this time after it, in milliseconds.
const COMMITS_WITHIN_MILLIS: i64 = 5_000;

/// The concert of a code, and its text.
pub type CodeKey = (ConcertId, Arc<str>);

/// A presale code of a concert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Id of the code. A code that is deleted and made again has another one, and no uses.
    pub id: CodeId,
    /// The concert that it opens.
    pub concert: ConcertId,
    /// The text: 1 to [`CODE_MAX`] of `A-Z a-z 0-9 _ -`.
    pub text: Arc<str>,
    /// Maximum number of live holds and payments with it, 1 to [`USES_MAX`].
    pub uses: u32,
    /// The same for one user.
    pub uses_per_user: u32,
    /// Before this instant the code is not valid; `None` for no bound.
    pub from: Option<Timestamp>,
    /// From this instant on the code is not valid; `None` for no bound. Later than `from`.
    pub until: Option<Timestamp>,
    /// Number of its uses that are stored. Some of them may have ended.
    pub taken: u32,
    /// Time of the creation.
    pub created_at: Timestamp,
}

impl Code {
    /// The key of its row.
    pub fn key(&self) -> CodeKey {
        (self.concert, self.text.clone())
    }

    /// Whether it is valid at an instant.
    fn is_valid(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

/// A hold that was taken with a code, as its reservation was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The reservation of the hold.
    pub reservation: ReservationId,
    /// The performance of the hold.
    pub performance: PerformanceId,
    /// The user who holds.
    pub user: UserId,
    /// The stored state: a hold past its end stays `Held` until it is settled.
    pub status: Status,
    /// End of the hold, extensions included.
    pub until: Timestamp,
}

impl Use {
    /// The use of a code by a reservation.
    pub fn of(reservation: &Reservation) -> Self {
        Self {
            reservation: reservation.id,
            performance: reservation.performance,
            user: reservation.user.clone(),
            status: reservation.status,
            until: reservation.held_until,
        }
    }

    /// As this unit of work has it.
    fn now(&self, rows: &Rows) -> Self {
        let loaded = rows.reservations.is_loaded(&self.reservation).then(|| rows.reservations.get(&self.reservation));
        loaded.flatten().map_or_else(|| self.clone(), Self::of)
    }

    /// Whether it has ended for good.
    fn has_ended(&self) -> bool {
        !matches!(self.status, Status::Held | Status::Paid)
    }

    /// Whether it counts: the hold is live, or it was paid and not refunded.
    fn counts(&self, at: Timestamp) -> bool {
        self.status == Status::Paid || self.status == Status::Held && at < self.until
    }

    /// Whether a transaction that has not committed yet may have paid or extended the hold before its end. Only the lock of its
    /// performance makes it certain.
    fn is_in_doubt(&self, rows: &Rows, at: Timestamp) -> bool {
        let is_certain = rows.is_alone || rows.performances.is_loaded(&self.performance);
        !is_certain && self.status == Status::Held && at < self.until.plus_millis(COMMITS_WITHIN_MILLIS)
    }
}

/// A code as a read found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The code with its limits.
    pub code: Code,
    /// All uses by the user that have not ended, and up to [`USES_READ_MAX`] uses that may have ended if the code has no free one.
    pub uses: Vec<Use>,
}

/// Names the rows that a hold with a code needs.
pub(crate) fn needs(keys: &mut Keys, token: &Token, code: &Arc<str>) {
    let key = (token.concert, code.clone());
    keys.code_users.insert((key.clone(), token.user.clone()));
    *keys.codes.entry(key).or_default() += 1;
}

/// The refusal of a request without a code.
pub fn required(codes_until: Timestamp, at: Timestamp) -> Refusal {
    Refusal::CodeRequired { codes_until, ends_in_seconds: at.seconds_until(codes_until) }
}

/// Checks the code of a user who enters: `standing` is what a read found, `None` if the concert has no such code. Entering uses
/// nothing.
///
/// # Errors
/// [`Refusal::CodeInvalid`] or [`Refusal::CodeUsedUp`].
pub fn check_entry(standing: Option<&Standing>, user: &UserId, at: Timestamp) -> Result<(), Refusal> {
    let Standing { code, uses } = standing.filter(|own| own.code.is_valid(at)).ok_or(Refusal::CodeInvalid)?;
    let over = uses.iter().filter(|own| !own.counts(at)).count();
    let own = uses.iter().filter(|own| own.user == *user && own.counts(at)).count();
    judge_uses(code, over, own)
}

/// The code that a hold uses; `None` if it needs none.
///
/// # Errors
/// [`Refusal::CodeRequired`], [`Refusal::CodeInvalid`] or [`Refusal::CodeUsedUp`].
pub(crate) fn judge_hold(
    rows: &Rows,
    token: &Token,
    code: Option<&Arc<str>>,
    performance: &Performance,
    at: Timestamp,
) -> Result<Option<CodeKey>, Refusal> {
    let Some(codes_until) = performance.sale.presale(at) else { return Ok(None) };
    let Some(text) = code else { return Err(required(codes_until, at)) };
    let key = (token.concert, text.clone());
    let code = rows.codes.get(&key).filter(|code| code.is_valid(at)).ok_or(Refusal::CodeInvalid)?;
    let uses: Vec<Use> = rows.code_uses.get(&code.id).into_iter().flatten().map(|own| own.now(rows)).collect();
    let counts = |own: &&Use| own.counts(at) || own.is_in_doubt(rows, at);
    let over = uses.iter().filter(|own| !counts(own)).count();
    let own = uses.iter().filter(|own| own.user == token.user).filter(counts).count();
    judge_uses(code, over, own)?;
    Ok(Some(key))
}

/// Whether a code may be used once more, if this many of its stored uses count no longer, and this many are the user's own.
fn judge_uses(code: &Code, over: usize, own: usize) -> Result<(), Refusal> {
    let limit = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
    let used = limit(code.taken).saturating_sub(over);
    if used < limit(code.uses) && own < limit(code.uses_per_user) { Ok(()) } else { Err(Refusal::CodeUsedUp) }
}

/// Adds the use of a code by a new hold, and drops uses that have ended.
pub(crate) fn take(rows: &mut Rows, key: &CodeKey, hold: &Reservation) {
    let Some(id) = rows.codes.get(key).map(|code| code.id) else { return };
    let known = rows.code_uses.remove(&id).unwrap_or_default();
    let ended = known.iter().filter(|own| own.now(rows).has_ended()).map(|own| own.reservation);
    let ended: HashSet<ReservationId> = ended.take(USES_READ_MAX).collect();
    let mut left: Vec<Use> = known.into_iter().filter(|own| !ended.contains(&own.reservation)).collect();
    left.push(Use::of(hold));
    rows.code_uses.insert(id, left);
    if let Some(code) = rows.codes.change(key) {
        code.taken = code.taken.saturating_sub(u32::try_from(ended.len()).unwrap_or(u32::MAX)) + 1;
    }
    rows.added_uses.push((id, hold.id));
    rows.ended_uses.extend(ended);
}
