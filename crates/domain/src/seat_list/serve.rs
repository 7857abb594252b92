//! Which users on a waiting list are offered which seats.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use super::list::{SeatList, take};
use super::{Entry, EntryEnd, OFFER_PLACE, OFFERED_TOGETHER_MAX, State};
use crate::concert::{self, Hall, Layout, Performance, Reservation, Seat, Seating, Status, Wish};
use crate::event::Happening;
use crate::ids::{EventId, PerformanceId, ReservationId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// A user who waits, as a choice of offers sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// The user.
    pub user: UserId,
    /// The number of the entry. Waiters come in ascending order.
    pub number: u64,
    /// What the user wishes for.
    pub wish: Wish,
    /// Whether the offer would give the user more seats than the limit allows. Then the user is skipped.
    pub is_over_limit: bool,
}

/// What a choice of offers reads.
pub struct Front<'a, S> {
    /// The seats, prepared for the instant of the choice.
    pub hall: &'a mut Hall,
    /// The layout of the performance, if it has one.
    pub layout: Option<&'a Layout>,
    /// The seats of the performance with their grades.
    pub seating: &'a Seating,
    /// Wishes of users who are not among the waiters, each with the number of the last waiter who stands before them.
    pub further: &'a HashMap<Wish, u64, S>,
    /// The most offers.
    pub at_most: usize,
}

/// Chooses offers: of the waiters, in order, each gets the best seats that fit, as a choice of the best available seats would find
/// them. Seats are not saved up for a wish that does not fit, and a user over the limit is skipped.
///
/// Returns the offers, each with the index of its waiter and its seats, and whether seats are left that fit the wish of a user who
/// got no offer but may have one.
pub fn choose_offers<'w, S: BuildHasher>(
    front: Front<'w, S>,
    waiters: &'w [Waiter],
) -> (Vec<(usize, Arc<[u32]>)>, bool) {
    let Front { hall, layout, seating, further, at_most } = front;
    // Seats only get fewer in the choice, so a wish that does not fit once does not fit later.
    let mut unfit: HashSet<&Wish> = HashSet::new();
    let mut find = |hall: &Hall, wish: &'w Wish| {
        let seats = if unfit.contains(wish) { None } else { concert::best_seats(hall, layout, seating, wish) };
        if seats.is_none() {
            unfit.insert(wish);
        }
        seats
    };
    let mut offers = Vec::new();
    for (index, waiter) in waiters.iter().enumerate() {
        if waiter.is_over_limit {
            continue;
        }
        let Some(seats) = find(hall, &waiter.wish) else { continue };
        // A user who is not loaded, and who stands before this one, comes first.
        let mut before = further.iter().filter(|(_, last)| **last < waiter.number);
        if offers.len() == at_most || before.any(|(wish, _)| find(hall, wish).is_some()) {
            return (offers, true);
        }
        // Taken from the choice. The caller writes the end of the hold.
        seats.iter().for_each(|seat| hall.close(*seat));
        offers.push((index, seats));
    }
    let is_pending = further.keys().any(|wish| find(hall, wish).is_some());
    (offers, is_pending)
}

/// Offers free seats to the users on the waiting lists of the loaded performances. Called before and after each command of a unit of
/// work, so that no command sees a free seat that fits a wish, and none is committed. Without a list it does nothing.
pub fn serve(rows: &mut Rows, cx: &mut Context<'_>) {
    if rows.seat_lists.is_empty() {
        return;
    }
    let listed: Vec<PerformanceId> = rows.seat_lists.keys().copied().collect();
    for id in listed {
        serve_one(rows, cx, id);
    }
}

fn serve_one(rows: &mut Rows, cx: &mut Context<'_>, id: PerformanceId) {
    let Some(performance) = rows.performances.get(&id).filter(|own| own.waitlisted > 0) else {
        // No user waits, so each seat is free for any user.
        if let Some(list) = rows.seat_lists.get_mut(&id) {
            list.is_pending = false;
        }
        return;
    };
    let at = cx.at.not_before(performance.updated_at);
    if performance.starts_at <= at || !performance.offers(at) {
        return;
    }
    let performance = performance.clone();
    // Out of the rows for the choice, because it reads the other rows while it prepares the hall.
    let (Some(mut hall), Some(mut list)) = (rows.halls.remove(&id), rows.seat_lists.remove(&id)) else { return };
    hall.prepare(at, |seat| concert::can_settle(&performance, seat, rows));
    list.is_pending = false;
    if !hall.has_free() {
        rows.halls.insert(id, hall);
        rows.seat_lists.insert(id, list);
        return;
    }
    let waiters = waiters(rows, &list, &performance, at);
    let further = list.wishes.iter().filter(|(_, own)| own.all > own.loaded);
    let further: HashMap<Wish, u64> = further.map(|(wish, own)| (wish.clone(), own.last)).collect();
    // The choice closes the seats that it gives away, so it has a copy.
    let mut chosen = hall.clone();
    let front = Front {
        hall: &mut chosen,
        layout: rows.layouts.get(&id).map(Arc::as_ref),
        seating: &performance.seating,
        further: &further,
        at_most: OFFERED_TOGETHER_MAX.saturating_sub(list.done),
    };
    let (offers, is_pending) = choose_offers(front, &waiters);
    list.is_pending = is_pending;
    list.done += offers.len();
    rows.halls.insert(id, hall);
    rows.seat_lists.insert(id, list);
    for (index, seats) in offers {
        if let Some(waiter) = waiters.get(index) {
            offer(rows, cx, &performance, (&waiter.user, seats), at);
        }
    }
}

/// The loaded users who wait, in order.
fn waiters(rows: &Rows, list: &SeatList, performance: &Performance, at: Timestamp) -> Vec<Waiter> {
    let entries = list.front.values().filter_map(|user| rows.seat_waits.get(&(performance.id, user.clone())));
    let waiting = entries.filter(|entry| entry.state == State::Waiting);
    let limit = performance.seats_per_user as usize;
    waiting
        .map(|entry| Waiter {
            user: entry.user.clone(),
            number: entry.number,
            wish: entry.wish.clone(),
            is_over_limit: owned(rows, list, entry, at) + entry.wish.count as usize > limit,
        })
        .collect()
}

/// Seats of the performance that a user who waits holds now or has bought and not given back.
fn owned(rows: &Rows, list: &SeatList, entry: &Entry, at: Timestamp) -> usize {
    let open = |row: &Reservation| {
        let counts = row.is_live(at) || row.status == Status::Paid;
        if counts { row.seats.len() - row.refunded.len() } else { 0 }
    };
    let stored = list.owned.get(&entry.user).into_iter().flatten();
    let stored = stored.map(|(id, seats)| match rows.reservations.is_loaded(id) {
        true => rows.reservations.get(id).map_or(0, open),
        false => *seats,
    });
    let added = rows.reservations.added().map(|(_, row)| row);
    let added = added.filter(|row| row.performance == entry.performance && row.user == entry.user).map(open);
    stored.chain(added).sum()
}

/// Makes an offer: a hold with a token of its own.
fn offer(
    rows: &mut Rows,
    cx: &mut Context<'_>,
    performance: &Performance,
    (user, seats): (&UserId, Arc<[u32]>),
    at: Timestamp,
) {
    let written_at = rows.performances.get(&performance.id).map_or(cx.at, |own| cx.at.max(own.updated_at));
    let prices: Arc<[i64]> =
        seats.iter().filter_map(|seat| performance.seating.section_of(*seat)).map(|s| s.price).collect();
    let reservation = Reservation {
        id: ReservationId::new(cx.ids.next(written_at)),
        concert: performance.concert,
        performance: performance.id,
        user: user.clone(),
        place: OFFER_PLACE,
        seats,
        amount: prices.iter().sum(),
        prices,
        refund_policy: performance.refund_policy.clone(),
        held_at: at,
        held_until: at.plus_seconds(performance.offer_seconds).min(performance.starts_at),
        extended: performance.extensions,
        status: Status::Held,
        refunded: Vec::new(),
        end_event: None,
    };
    let Some(entry) = take(rows, performance.id, user, State::Offered, Some(reservation.id)) else { return };
    for seat in reservation.seats.iter() {
        // The hall has no row of a free seat.
        if !rows.seats.is_loaded(&(performance.id, *seat)) {
            rows.seats.load((performance.id, *seat), None::<Seat>);
        }
    }
    concert::settle_lapsed(&reservation, rows, cx);
    concert::put_hold(&reservation, rows);
    let event = EventId::new(cx.ids.next(written_at));
    concert::record(rows, performance.id, event, at, || Happening::WaitlistOffered {
        waitlist: entry.id,
        claim: reservation.claim(),
        held_until: reservation.held_until,
    });
}

/// Whether free seats of a performance may go to users on its list, whom this unit of work did not serve.
pub(crate) fn is_pending(rows: &Rows, id: PerformanceId) -> bool {
    rows.seat_lists.get(&id).is_some_and(|list| list.is_pending)
}

impl Performance {
    /// Whether free seats are offered to users on its list. Its start is compared by the caller.
    pub fn offers(&self, at: Timestamp) -> bool {
        self.cancelled_at.is_none() && !self.closed && self.sale.is_open(at)
    }
}

/// One step of a waiting list: offers free seats, at most [`OFFERED_TOGETHER_MAX`] times; or, after the start or a cancellation, ends
/// as many entries. Any instance may do it at any time.
#[derive(Clone, Debug)]
pub struct OfferSeats {
    /// A performance. Nothing changes unless a user waits for it.
    pub performance: PerformanceId,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// How many offers the unit of work made, and how many entries it ended.
    pub done: usize,
    /// Whether a further step has something to do now.
    pub goes_on: bool,
}

impl Command for OfferSeats {
    type Output = Offered;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
        keys.seat_lists.insert(self.performance);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Offered, Refusal> {
        let id = self.performance;
        let performance = rows.performances.get(&id).ok_or(Refusal::PerformanceNotFound)?;
        let at = cx.at.not_before(performance.updated_at);
        let end = match performance.cancelled_at {
            Some(_) => Some(EntryEnd::Cancelled),
            None => (performance.starts_at <= at).then_some(EntryEnd::Started),
        };
        // The offers were made before this decision, as in each unit of work.
        if let Some(end) = end {
            end_entries(rows, cx, id, end);
        }
        let done = rows.seat_lists.get(&id).map_or(0, |list| list.done);
        let waits = rows.performances.get(&id).is_some_and(|own| own.waitlisted > 0);
        Ok(Offered { done, goes_on: waits && (end.is_some() || is_pending(rows, id)) })
    }
}

/// Ends entries from the front, as many as one unit of work may.
fn end_entries(rows: &mut Rows, cx: &mut Context<'_>, id: PerformanceId, end: EntryEnd) {
    let Some(list) = rows.seat_lists.get(&id) else { return };
    let left = OFFERED_TOGETHER_MAX.saturating_sub(list.done);
    let users: Vec<UserId> = list.users().take(left).cloned().collect();
    for user in users {
        let Some(entry) = take(rows, id, &user, State::Ended, None) else { continue };
        if let Some(list) = rows.seat_lists.get_mut(&id) {
            list.done += 1;
        }
        record_end(rows, cx, &entry, end);
    }
}

/// Records the end of an entry that waited.
pub(super) fn record_end(rows: &mut Rows, cx: &mut Context<'_>, entry: &Entry, end: EntryEnd) {
    let last = rows.performances.get(&entry.performance).map_or(cx.at, |own| own.updated_at);
    let event = EventId::new(cx.ids.next(last.max(cx.at)));
    concert::record(rows, entry.performance, event, cx.at, || Happening::WaitlistEnded {
        performance: entry.performance,
        user: entry.user.clone(),
        waitlist: Some(entry.id),
        reservation: None,
        end,
    });
}

/// Records the end of the entry of an offer: it was paid, ran out, or was given back.
pub(crate) fn record_offer_end(rows: &mut Rows, cx: &mut Context<'_>, offer: &Reservation, end: EntryEnd) {
    let last = rows.performances.get(&offer.performance).map_or(cx.at, |own| own.updated_at);
    let event = EventId::new(cx.ids.next(last.max(cx.at)));
    concert::record(rows, offer.performance, event, cx.at, || Happening::WaitlistEnded {
        performance: offer.performance,
        user: offer.user.clone(),
        waitlist: None,
        reservation: Some(offer.id),
        end,
    });
}
