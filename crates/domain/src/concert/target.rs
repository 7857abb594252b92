//! What a hold is for: the performance as the request names it, and whether its seats can be held.

use std::sync::Arc;

use super::Performance;
use crate::ids::PerformanceId;
use crate::presale::CodeKey;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::waiting_room::{self, Token};
use crate::{Context, Refusal, presale};

/// The performance that a hold is for, as the request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The performance with this id, which may not exist.
    Performance(PerformanceId),
    /// The performance with this id, if it starts in this period: from the first instant, and before the second. The request names
    /// a date, and the performance may have been moved since.
    Dated(PerformanceId, Timestamp, Timestamp),
    /// The request names a date without a performance.
    NoneOnDate,
    /// The request names a date with several performances.
    SeveralOnDate,
}

/// The dates of a concert, as of a state of its performances. Performances are never removed, and each move gives one of them
/// a higher revision, so equal values have the same dates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    /// Number of performances of the concert.
    pub performances: u64,
    /// Sum of their revisions.
    pub revisions: u64,
}

impl Target {
    /// The performance, if the request names one.
    pub fn performance(self) -> Option<PerformanceId> {
        match self {
            Self::Performance(id) | Self::Dated(id, ..) => Some(id),
            Self::NoneOnDate | Self::SeveralOnDate => None,
        }
    }

    /// Whether this start agrees with the date of the request.
    fn agrees(self, starts_at: Timestamp) -> bool {
        match self {
            Self::Dated(_, from, until) => from <= starts_at && starts_at < until,
            Self::Performance(_) | Self::NoneOnDate | Self::SeveralOnDate => true,
        }
    }
}

/// What a request names besides the seats, whether it names these or lets the server choose.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) token: &'a Token,
    pub(super) target: Target,
    pub(super) dates: Option<Dates>,
    pub(super) code: Option<&'a Arc<str>>,
}

/// A performance whose seats can be held.
pub(super) struct Open<'a> {
    pub(super) performance: &'a Performance,
    /// The instant at which holds are judged.
    pub(super) at: Timestamp,
    /// The presale code that the hold uses.
    pub(super) code: Option<CodeKey>,
}

impl Asked<'_> {
    /// Names the rows that each hold reads.
    pub(super) fn needs(self, keys: &mut Keys) {
        self.token.needs(keys);
        if self.dates.is_some() {
            keys.dates.insert(self.token.concert);
        }
        if let Some(code) = self.code {
            presale::needs(keys, self.token, code);
        }
        keys.performances.extend(self.target.performance());
    }
}

/// The performance, if its seats can be held. These checks come first in each hold.
pub(super) fn find_open<'a>(asked: Asked<'_>, rows: &'a Rows, cx: &Context<'_>) -> Result<Open<'a>, Refusal> {
    let Asked { token, target, dates, code } = asked;
    waiting_room::may_hold(rows, token, cx.at)?;
    // Before the target is judged: a refusal may be kept, so it has to be that of the dates as they are.
    if dates.is_some_and(|dates| rows.dates_of(token.concert) != dates) {
        return Err(Refusal::DateMoved);
    }
    let id = match target {
        Target::Performance(id) | Target::Dated(id, ..) => id,
        Target::NoneOnDate => return Err(Refusal::PerformanceNotFound),
        Target::SeveralOnDate => return Err(Refusal::PerformanceAmbiguous),
    };
    let performance = rows
        .performances
        .get(&id)
        .filter(|performance| performance.concert == token.concert)
        .ok_or(Refusal::PerformanceNotFound)?;
    if !target.agrees(performance.starts_at) {
        return Err(Refusal::DateMoved);
    }
    let at = cx.at.not_before(performance.updated_at);
    // A turn shows that the sale had opened at its admission, whatever the clock is since.
    performance.sale.judge(waiting_room::admitted_at(rows, token).map_or(at, |admitted_at| at.max(admitted_at)))?;
    let code = presale::judge_hold(rows, token, code, performance, at)?;
    if performance.cancelled_at.is_some() {
        return Err(Refusal::PerformanceCancelled);
    }
    if performance.closed || performance.starts_at <= at {
        return Err(Refusal::PerformanceClosed);
    }
    Ok(Open { performance, at, code })
}
