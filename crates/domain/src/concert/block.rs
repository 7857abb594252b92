//! Blocked seats: an organiser takes free seats from sale, and puts them on sale again.
//!
//! A blocked seat has a row of its own without a reservation, so that a hold finds it where it looks for other holds.

use std::sync::Arc;

use super::Ending;
use super::hold::{SEATS_NAMED_MAX, end_hold, judge_free, record, seat_numbers};
use crate::event::Happening;
use crate::ids::{EventId, PerformanceId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// Maximum number of seats that one request blocks or unblocks.
pub const SEATS_AT_ONCE_MAX: usize = 1_000;

/// Takes free seats from sale: all or none. A seat that is blocked already stays as it is.
#[derive(Clone, Debug)]
pub struct Block {
    /// The performance of the seats.
    pub performance: PerformanceId,
    /// Seat numbers as the client wrote them, none twice, at most [`SEATS_AT_ONCE_MAX`].
    pub seats: Arc<[i64]>,
    /// Why: 1 to 200 characters.
    pub reason: Arc<str>,
}

/// Puts blocked seats on sale again: all or none. A seat that is free already stays as it is.
#[derive(Clone, Debug)]
pub struct Unblock {
    /// The performance of the seats.
    pub performance: PerformanceId,
    /// Seat numbers as the client wrote them, none twice, at most [`SEATS_AT_ONCE_MAX`].
    pub seats: Arc<[i64]>,
    /// Why: 1 to 200 characters.
    pub reason: Arc<str>,
}

/// What a call changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The seats that it blocked or unblocked, in the order of the request.
    pub seats: Arc<[u32]>,
    /// Number of blocked seats of the performance afterwards.
    pub blocked: u32,
}

impl Command for Block {
    type Output = Blocked;

    fn needs(&self, keys: &mut Keys) {
        needs(self.performance, &self.seats, keys);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Blocked, Refusal> {
        let id = self.performance;
        let (seats, at) = judge(id, &self.seats, rows, cx)?;
        let cx = &mut cx.not_before(rows.performances.get(&id).map(|performance| performance.updated_at));
        let free: Arc<[u32]> = seats.iter().copied().filter(|seat| rows.block_of((id, *seat)).is_none()).collect();
        for number in free.iter() {
            // The events of the lapsed holds come before the event of the block.
            if let Some(seat) = rows.seats.get(&(id, *number)) {
                assert!(seat.is_lapsed(at), "a seat that is held or sold was blocked");
                end_hold(seat.reservation, Ending::Expired, rows, cx);
            }
            rows.block_seat((id, *number), self.reason.clone());
        }
        if !free.is_empty()
            && let Some(performance) = rows.performances.change(&id)
        {
            performance.blocked += count(&free);
        }
        Ok(change(id, free, rows, cx, |seats| Happening::SeatsBlocked {
            performance: id,
            seats,
            reason: self.reason.clone(),
        }))
    }
}

impl Command for Unblock {
    type Output = Blocked;

    fn needs(&self, keys: &mut Keys) {
        needs(self.performance, &self.seats, keys);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Blocked, Refusal> {
        let id = self.performance;
        let (seats, _) = judge(id, &self.seats, rows, cx)?;
        let cx = &mut cx.not_before(rows.performances.get(&id).map(|performance| performance.updated_at));
        let freed: Arc<[u32]> = seats.iter().copied().filter(|seat| rows.block_of((id, *seat)).is_some()).collect();
        freed.iter().for_each(|number| rows.unblock_seat(&(id, *number)));
        if !freed.is_empty()
            && let Some(performance) = rows.performances.change(&id)
        {
            let many = count(&freed);
            assert!(performance.blocked >= many, "a performance unblocked more seats than it counts as blocked");
            performance.blocked -= many;
        }
        Ok(change(id, freed, rows, cx, |seats| Happening::SeatsUnblocked {
            performance: id,
            seats,
            reason: self.reason.clone(),
        }))
    }
}

fn needs(performance: PerformanceId, seats: &[i64], keys: &mut Keys) {
    keys.performances.insert(performance);
    keys.seats.extend(seat_numbers(seats).map(|seat| (performance, seat)));
}

/// All checks, in the order of the contract. Changes nothing. Returns the seats, and the instant at which holds are judged.
fn judge(id: PerformanceId, seats: &[i64], rows: &Rows, cx: &Context<'_>) -> Result<(Arc<[u32]>, Timestamp), Refusal> {
    let performance = rows.performances.get(&id).ok_or(Refusal::PerformanceNotFound)?;
    if performance.cancelled_at.is_some() {
        return Err(Refusal::PerformanceCancelled);
    }
    let at = cx.at.not_before(performance.updated_at);
    let exists = |seat: &i64| u32::try_from(*seat).is_ok_and(|seat| performance.seating.section_of(seat).is_some());
    let unknown: Vec<i64> = seats.iter().copied().filter(|seat| !exists(seat)).take(SEATS_NAMED_MAX).collect();
    if !unknown.is_empty() {
        return Err(Refusal::SeatUnknown { seats: unknown });
    }
    let seats: Arc<[u32]> = seat_numbers(seats).collect();
    let others: Vec<u32> = seats.iter().copied().filter(|seat| rows.block_of((id, *seat)).is_none()).collect();
    judge_free(rows, id, &others, at)?;
    Ok((seats, at))
}

fn count(seats: &[u32]) -> u32 {
    u32::try_from(seats.len()).unwrap_or(u32::MAX)
}

/// Records the change of these seats, if there are any.
fn change(
    id: PerformanceId,
    seats: Arc<[u32]>,
    rows: &mut Rows,
    cx: &mut Context<'_>,
    happening: impl FnOnce(Arc<[u32]>) -> Happening,
) -> Blocked {
    if !seats.is_empty() {
        rows.revised.insert(id);
        let last = rows.performances.get(&id).map_or(cx.at, |performance| performance.updated_at);
        let event = EventId::new(cx.ids.next(last.max(cx.at)));
        record(rows, id, event, cx.at, || happening(seats.clone()));
    }
    let blocked = rows.performances.get(&id).map_or(0, |performance| performance.blocked);
    Blocked { seats, blocked }
}
