//! Joining a waiting list, and leaving it.

use std::sync::Arc;

use super::list::{add, take};
use super::serve::record_end;
use super::{Entry, EntryEnd, SEATS_WAITLISTED_MAX, State};
use crate::concert::{self, Ending, Performance, Status, Wish};
use crate::event::Happening;
use crate::ids::{ConcertId, EventId, PerformanceId, ReservationId, UserId, WaitlistId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// Adds a user at the end of the waiting list of a performance.
#[derive(Clone, Debug)]
pub struct Join {
    /// The concert that the request names.
    pub concert: ConcertId,
    /// The performance to wait for.
    pub performance: PerformanceId,
    /// The user who joins.
    pub user: UserId,
    /// How many seats, and which of them will do.
    pub wish: Wish,
}

/// An entry that joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The entry, which waits.
    pub entry: Entry,
    /// Number of users who wait, this one included.
    pub position: u32,
}

/// Takes a user off the waiting list of a performance, or gives the offered seats back. Without an entry that waits or an offer that
/// lives it changes nothing.
#[derive(Clone, Debug)]
pub struct Leave {
    /// The concert that the request names.
    pub concert: ConcertId,
    /// The performance of the list.
    pub performance: PerformanceId,
    /// The user who leaves.
    pub user: UserId,
    /// The offered reservation, as the entry had it when it was read.
    pub offer: Option<ReservationId>,
}

impl Command for Join {
    type Output = Joined;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
        keys.layouts.insert(self.performance);
        keys.halls.insert(self.performance);
        keys.holders.insert((self.concert, self.user.clone()));
        keys.seat_waits.insert((self.performance, self.user.clone()));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Joined, Refusal> {
        let at = self.judge(rows, cx)?;
        let last = rows.performances.get(&self.performance).map_or(cx.at, |own| own.updated_at);
        let id = WaitlistId::new(cx.ids.next(last.max(cx.at)));
        let number = rows.performances.get(&self.performance).map_or(0, |own| own.version + 1);
        let entry = Entry {
            id,
            concert: self.concert,
            performance: self.performance,
            user: self.user.clone(),
            wish: self.wish.clone(),
            number,
            joined_at: at,
            state: State::Waiting,
            reservation: None,
        };
        add(rows, entry.clone());
        let position = rows.performances.get(&self.performance).map_or(1, |own| own.waitlisted);
        concert::record(rows, self.performance, EventId::new(id.uuid()), cx.at, || Happening::WaitlistJoined {
            entry: entry.clone(),
            position,
        });
        Ok(Joined { entry, position })
    }
}

impl Join {
    /// All checks, in the order of the contract. Changes nothing but the preparation of the hall.
    fn judge(&self, rows: &mut Rows, cx: &Context<'_>) -> Result<Timestamp, Refusal> {
        let id = self.performance;
        let performance = find(rows, self.concert, id)?.clone();
        let at = cx.at.not_before(performance.updated_at);
        if performance.cancelled_at.is_some() {
            return Err(Refusal::PerformanceCancelled);
        }
        if performance.closed || performance.starts_at <= at {
            return Err(Refusal::PerformanceClosed);
        }
        if !concert::is_known(rows.layouts.get(&id).map(Arc::as_ref), &performance.seating, &self.wish) {
            return Err(Refusal::SectionUnknown);
        }
        if self.owned(rows, at) + self.wish.count as usize > performance.seats_per_user as usize {
            return Err(Refusal::SeatLimit);
        }
        if self.waits(rows, at) {
            return Err(Refusal::OnSeatList);
        }
        // Out of the rows, because the preparation reads the other rows.
        let mut hall = rows.halls.remove(&id).unwrap_or_default();
        hall.prepare(at, |seat| concert::can_settle(&performance, seat, rows));
        let fits = concert::best_seats(&hall, rows.layouts.get(&id).map(Arc::as_ref), &performance.seating, &self.wish);
        let has_free = hall.has_free();
        rows.halls.insert(id, hall);
        let is_open = performance.waitlisted > 0 || !has_free && performance.held == performance.offered;
        if !is_open || fits.is_some() {
            return Err(Refusal::SeatsAvailable);
        }
        if performance.waitlisted >= SEATS_WAITLISTED_MAX {
            return Err(Refusal::WaitlistFull);
        }
        Ok(at)
    }

    /// Seats of the performance that the user holds now or has bought and not given back.
    fn owned(&self, rows: &Rows, at: Timestamp) -> usize {
        rows.open_reservations_of(self.concert, &self.user)
            .filter(|own| own.performance == self.performance && (own.is_live(at) || own.status == Status::Paid))
            .map(|own| own.seats.len() - own.refunded.len())
            .sum()
    }

    /// Whether the user waits, or has an offer that can still be paid.
    fn waits(&self, rows: &Rows, at: Timestamp) -> bool {
        let Some(entry) = rows.seat_waits.get(&(self.performance, self.user.clone())) else { return false };
        let is_offered = |id: &ReservationId| {
            rows.open_reservations_of(self.concert, &self.user).any(|own| own.id == *id && own.is_live(at))
        };
        match entry.state {
            State::Waiting => true,
            State::Offered => entry.reservation.as_ref().is_some_and(is_offered),
            State::Left | State::Ended => false,
        }
    }
}

impl Command for Leave {
    type Output = ();

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
        keys.seat_waits.insert((self.performance, self.user.clone()));
        keys.reservations.extend(self.offer);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let last_change = find(rows, self.concert, self.performance)?.updated_at;
        let cx = &mut cx.not_before(Some(last_change));
        let key = (self.performance, self.user.clone());
        let entry = rows.seat_waits.get(&key).ok_or(Refusal::WaitlistEntryNotFound)?.clone();
        match entry.state {
            State::Left | State::Ended => {}
            State::Waiting => {
                if take(rows, self.performance, &self.user, State::Left, None).is_some() {
                    record_end(rows, cx, &entry, EntryEnd::Left);
                }
            }
            State::Offered => {
                // The offer was made after the entry was read. It has to be read again.
                let Some(offer) = entry.reservation.filter(|id| rows.reservations.is_loaded(id)) else {
                    return Err(Refusal::OfferMoved);
                };
                let held = rows.reservations.get(&offer).filter(|own| own.status == Status::Held);
                if let Some(ending) = held.map(|own| own.is_live(cx.at)) {
                    let ending = if ending { Ending::Released } else { Ending::Expired };
                    concert::end_hold(offer, ending, rows, cx);
                }
            }
        }
        Ok(())
    }
}

fn find(rows: &Rows, concert: ConcertId, id: PerformanceId) -> Result<&Performance, Refusal> {
    rows.performances.get(&id).filter(|own| own.concert == concert).ok_or(Refusal::PerformanceNotFound)
}
