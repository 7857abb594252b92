//! Seats: one owner each, and every reservation in agreement with its seats, its payment and its events.

use std::collections::BTreeSet;

use onsale_domain::concert::{HoldEnd, Layout, Performance, Reservation, Seating, Status};
use onsale_domain::time::Timestamp;
use serde_json::Value;

use super::source::{AuditSource, EventRow, PerformanceRow, ReservationRow, SeatRow};
use super::{Finding, cancellation, change};
use crate::calendar::parse_rfc3339;
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut findings = check_performances(source, forgotten).await?;
    let mut owners = Finding::new("every seat that is held or sold has one owner, who has that seat");
    let mut seats = source.seats();
    while let Some(row) = seats.recv().await {
        let row = row?;
        owners.check(is_owned(&row), || {
            format!("seat {} of {}: not reservation {}'s", row.number, row.performance, row.seat.reservation)
        });
    }
    let mut agreement = Finding::new("every reservation has the seats, payment and events that its status implies");
    let mut reservations = source.reservations();
    while let Some(row) = reservations.recv().await {
        let row = row?;
        let wrong = what_is_wrong(&row, forgotten);
        agreement.check(wrong.is_none(), || format!("{}: {}", row.reservation.id, wrong.unwrap_or_default()));
    }
    findings.extend([owners, agreement]);
    Ok(findings)
}

/// Checks what performances count against their rows, their last event and their cancellation.
async fn check_performances(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut sold = Finding::new(
        "every performance has sold as many seats as it counts, no more than it has, and counts its holds and extensions",
    );
    let mut blocked =
        Finding::new("every performance has blocked as many seats as it counts, and none that is held or sold");
    let mut agreeing = Finding::new("every performance has the hours of its sale, and is as its last event has it");
    let mut figures = Finding::new(
        "every performance counts its held seats, its revenue and what was given back, and knows its capacity",
    );
    let mut open = Finding::new("every performance counts its payments of which seats are left");
    let mut cancelled =
        Finding::new("every cancelled performance has its cancellation, and when that is done no seat held or sold");
    let mut layouts =
        Finding::new("every layout has the seats of its performance, each section with one grade and one price");
    let mut performances = source.performances();
    while let Some(row) = performances.recv().await {
        let row = row?;
        let (id, counted, capacity) = (row.performance.id, row.performance.sold, row.performance.seating.capacity());
        // A performance that a server of an older version has changed does not count them.
        let holds = row.performance.holds.map_or(row.holds, u64::from);
        let extensions = row.performance.extensions;
        let is_counted = u64::from(counted) == row.sold_seats
            && holds == row.holds
            // As many as the highest number: none is missing.
            && row.extensions == (extensions, extensions);
        sold.check(is_counted && counted <= capacity, || {
            format!(
                "{id}: {} seats sold, {counted} counted, capacity {capacity}; {} holds, {holds} counted; {:?} extensions, \
                 {extensions} counted",
                row.sold_seats, row.holds, row.extensions
            )
        });
        let PerformanceRow { blocked_seats, mixed_seats, .. } = row;
        let is_within = row.sold_seats + row.held_seats + blocked_seats <= u64::from(capacity);
        let is_counted = u64::from(row.performance.blocked) == blocked_seats;
        blocked.check(is_counted && is_within && mixed_seats == 0, || {
            format!(
                "{id}: {blocked_seats} seats blocked, {} counted, {mixed_seats} of two kinds or none, capacity {capacity}",
                row.performance.blocked
            )
        });
        open.check(u64::from(row.performance.open_payments) == row.open_payments, || {
            format!("{id}: {} open payments, {} counted", row.open_payments, row.performance.open_payments)
        });
        let wrong = cancellation::what_is_wrong(&row, forgotten);
        cancelled.check(wrong.is_none(), || format!("{id}: {}", wrong.unwrap_or_default()));
        agreeing.check(change::agrees(&row), || {
            let Performance { closed, sale, seats_per_user, .. } = row.performance;
            format!("{id}: closed {closed}, its sale {:?} and {:?}", (sale, seats_per_user), row.sale)
        });
        if let Some(layout) = &row.layout {
            let wrong = wrong_in_layout(layout, &row.performance.seating);
            layouts.check(wrong.is_none(), || format!("{id}: {}", wrong.unwrap_or_default()));
        }
        let Performance { held, revenue, refunded, .. } = row.performance;
        let found = (row.held_seats, row.paid - row.given_back, row.given_back);
        let is_right = (u64::from(held), revenue, refunded) == found && row.stored_capacity == u64::from(capacity);
        figures.check(is_right, || {
            format!(
                "{id}: {held} held, revenue {revenue}, {refunded} refunded, but its rows give {found:?}; capacity {}, but \
                 {capacity} seats",
                row.stored_capacity
            )
        });
    }
    Ok(vec![sold, blocked, agreeing, figures, open, cancelled, layouts])
}

/// What is wrong with a layout.
fn wrong_in_layout(layout: &Layout, seating: &Seating) -> Option<String> {
    let mut price_of: Vec<Option<i64>> = vec![None; layout.sections().len()];
    for (seat, range) in seating.seats() {
        let Some(index) = layout.section_of(seat) else { return Some(format!("seat {seat} has no place")) };
        let price = price_of[index].get_or_insert(range.price);
        if *price != range.price || layout.sections()[index].grade != range.grade {
            return Some(format!("seat {seat} has another grade or price than its section"));
        }
    }
    let laid: u64 = layout.sections().iter().map(|section| u64::from(section.seats())).sum();
    (laid != u64::from(seating.capacity()))
        .then(|| format!("{laid} seats, but the performance has {}", seating.capacity()))
}

fn is_owned(row: &SeatRow) -> bool {
    row.owner.as_ref().is_some_and(|owner| {
        let status = if row.seat.sold { Status::Paid } else { Status::Held };
        let has = owner.seats.contains(&row.number) && !owner.refunded.contains(&row.number);
        owner.performance == row.performance && has && owner.status == status
    })
}

fn what_is_wrong(row: &ReservationRow, forgotten: Timestamp) -> Option<&'static str> {
    let ReservationRow { reservation, seats, payments, held_event, end_event, .. } = row;
    let asked: BTreeSet<u32> = reservation.seats.iter().copied().collect();
    let owned: BTreeSet<u32> = seats.iter().map(|(number, _)| *number).collect();
    let left: BTreeSet<u32> = asked.iter().copied().filter(|seat| !reservation.refunded.contains(seat)).collect();
    let is_refunded = reservation.status == Status::Refunded;
    let all_sold = seats.iter().all(|(_, seat)| seat.sold);
    let none_sold = seats.iter().all(|(_, seat)| !seat.sold);
    let seats_agree = match reservation.status {
        // A seat is sold exactly if it was paid and not refunded.
        Status::Paid | Status::Refunded => owned == left && all_sold && (left.is_empty() == is_refunded),
        Status::Held => owned == asked && none_sold,
        Status::Expired | Status::Released => owned.is_empty(),
    };
    let end = match reservation.status {
        Status::Expired => Some(&["expired"][..]),
        Status::Released => Some(&["released", "cancelled"][..]),
        Status::Held | Status::Paid | Status::Refunded => None,
    };
    let may_be_forgotten = reservation.held_at < forgotten;
    // The task that deletes old events may have deleted this one.
    let no_event = |event: &Option<EventRow>| may_be_forgotten && event.is_none();
    if !seats_agree {
        Some("its seats do not match its status")
    } else if reservation.prices.len() != reservation.seats.len()
        || reservation.prices.iter().sum::<i64>() != reservation.amount
    {
        Some("the prices of its seats are not its amount")
    } else if *payments != u64::from(is_refunded || reservation.status == Status::Paid) {
        Some("it is paid without a payment, or has one without being paid")
    } else if !no_event(held_event) && !matches(held_event.as_ref(), "onsale.seats.held.v1", reservation, &[]) {
        Some("the event of its hold is missing or differs")
    } else if held_event.as_ref().is_some_and(|event| end_of_hold(event, row) != Some(reservation.end())) {
        Some("its end is not that of its event with the extensions while it was live")
    } else if end_event.as_ref().is_some_and(|event| lacks_extension(event, row)) {
        Some("its end lacks an extension that came before it")
    } else if seats.iter().any(|(_, seat)| !seat.sold && seat.held_until != reservation.held_until) {
        Some("a seat has another end")
    } else if !no_event(end_event)
        && (end.is_some() != end_event.is_some()
            || end.is_some_and(|reasons| {
                let has = |reason: &str| [("reason", reason.to_owned())];
                let is_of =
                    |reason: &&str| matches(end_event.as_ref(), "onsale.seats.released.v1", reservation, &has(reason));
                !reasons.iter().any(is_of)
            }))
    {
        Some("the event of its end is missing or differs")
    } else {
        None
    }
}

/// The end that follows from the event of a hold: each extension after it counts, until the hold was settled.
fn end_of_hold(event: &EventRow, row: &ReservationRow) -> Option<HoldEnd> {
    let data: Value = serde_json::from_str(&event.data).ok()?;
    let until = parse_rfc3339(data["heldUntil"].as_str()?)?;
    let before = row.extensions.iter().filter(|extension| extension.version < event.version).count() as u64;
    let extended = row.reservation.extended;
    let later = row.extensions.iter().filter(|extension| before < extension.number && extension.number <= extended);
    Some(later.fold(HoldEnd { until, extended: before }, |end, extension| HoldEnd {
        until: if extension.at < end.until { end.until.plus_seconds(extension.seconds) } else { end.until },
        extended: extension.number,
    }))
}

/// Whether a hold was settled without an extension that came before.
fn lacks_extension(end: &EventRow, row: &ReservationRow) -> bool {
    let extended = row.reservation.extended;
    row.extensions.iter().any(|extension| extension.version < end.version && extended < extension.number)
}

/// Whether an event has a reservation's seats, and these further fields with these values.
pub(super) fn matches(
    event: Option<&EventRow>,
    kind: &str,
    reservation: &Reservation,
    further: &[(&str, String)],
) -> bool {
    let Some(event) = event else { return false };
    let Ok(data) = serde_json::from_str::<Value>(&event.data) else { return false };
    event.kind == kind
        && event.subject == reservation.performance.to_string()
        && data["reservationId"] == reservation.id.to_string()
        && data["performanceId"] == reservation.performance.to_string()
        && data["userId"] == reservation.user.as_str()
        && data["seats"] == Value::from(reservation.seats.to_vec())
        && data["amount"] == reservation.amount
        && further.iter().all(|(field, value)| data[*field] == value.as_str())
}
