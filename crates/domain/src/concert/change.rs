//! Changes of a concert and of a performance: texts, the hours of the sale, limits, start, prices, further seats, and refund
//! policies.

use std::sync::Arc;

use super::hold::SEATS_NAMED_MAX;
use super::{Concert, GradePrice, Performance, SECTIONS_MAX, Sale, Seating, adding, record};
use crate::event::{Event, Happening};
use crate::ids::{ConcertId, EventId, PerformanceId};
use crate::refund::Policy;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal, waiting_room};

/// A text for all users who wait or buy, in one or two languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Korean: 1 to 200 characters.
    pub ko: Option<Arc<str>>,
    /// English: 1 to 200 characters.
    pub en: Option<Arc<str>>,
}

/// Changes a concert. Returns it as it is afterwards. Fields that are `None` stay.
#[derive(Clone, Debug)]
pub struct Change {
    /// The concert to change.
    pub concert: ConcertId,
    /// 1 to 200 characters.
    pub title: Option<Arc<str>>,
    /// 1 to 200 characters.
    pub venue: Option<Arc<str>>,
    /// The notice from now on; `Some(None)` removes it.
    pub notice: Option<Option<Arc<Notice>>>,
    /// Whether the sale is closed.
    pub closed: Option<bool>,
    /// Before this instant the sale is not open; `Some(None)` lifts the bound.
    pub opens_at: Option<Option<Timestamp>>,
    /// From this instant on the sale is closed; `Some(None)` lifts the bound.
    pub closes_at: Option<Option<Timestamp>>,
    /// Before this instant a user needs a presale code; `Some(None)` ends the presale.
    pub codes_until: Option<Option<Timestamp>>,
    /// Seats of one performance for one user, 1 to 20. A lower limit takes no seat away.
    pub seats_per_user: Option<u32>,
}

impl Change {
    /// A change of this concert that changes nothing.
    pub fn of(concert: ConcertId) -> Self {
        Self {
            concert,
            title: None,
            venue: None,
            notice: None,
            closed: None,
            opens_at: None,
            closes_at: None,
            codes_until: None,
            seats_per_user: None,
        }
    }

    /// The concert after the change, with the same version.
    fn apply(&self, before: &Concert) -> Concert {
        let sale = Sale {
            closed: self.closed.unwrap_or(before.sale.closed),
            opens_at: self.opens_at.unwrap_or(before.sale.opens_at),
            closes_at: self.closes_at.unwrap_or(before.sale.closes_at),
            codes_until: self.codes_until.unwrap_or(before.sale.codes_until),
        };
        Concert {
            title: self.title.clone().unwrap_or_else(|| before.title.clone()),
            venue: self.venue.clone().unwrap_or_else(|| before.venue.clone()),
            notice: self.notice.clone().unwrap_or_else(|| before.notice.clone()),
            sale,
            seats_per_user: self.seats_per_user.unwrap_or(before.seats_per_user),
            ..before.clone()
        }
    }
}

/// Changes a performance. Returns it as it is afterwards.
#[derive(Clone, Debug)]
pub struct ChangePerformance {
    /// The performance to change.
    pub performance: PerformanceId,
    /// Whether its holds are closed.
    pub closed: Option<bool>,
    /// The rules by which buyers get points back.
    pub refund_policy: Option<Policy>,
    /// The start, earlier or later. Holds and payments stay.
    pub starts_at: Option<Timestamp>,
    /// New prices, no two for one grade. Holds and payments keep the prices of their seats.
    pub prices: Vec<GradePrice>,
}

impl ChangePerformance {
    /// A change of nothing yet.
    pub fn of(performance: PerformanceId) -> Self {
        Self { performance, closed: None, refund_policy: None, starts_at: None, prices: Vec::new() }
    }
}

/// Adds seats to a performance, with grades and prices. Returns the performance as it is afterwards.
#[derive(Clone, Debug)]
pub struct AddSeats {
    /// The performance that gets them.
    pub performance: PerformanceId,
    /// The seats to add.
    pub seats: Seating,
    /// The same ranges, as the request lists them, with their places. Empty if it names no place.
    pub places: Vec<AddedRange>,
}

/// A range of seats to add, with its place in the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedRange {
    /// The first seat number.
    pub from: u32,
    /// The last seat number.
    pub to: u32,
    /// The section, which may be new.
    pub section: Option<Arc<str>>,
    /// The row, which may be new.
    pub row: Option<Arc<str>>,
    /// That of the section if it is not named.
    pub grade: Option<Arc<str>>,
    /// Points; that of the section if it is not named.
    pub price: Option<i64>,
}

impl Command for Change {
    type Output = Concert;

    fn needs(&self, keys: &mut Keys) {
        keys.rooms.insert(self.concert);
        keys.concerts.insert(self.concert);
        if self.opens_at.is_some() {
            keys.draws.insert(self.concert);
        }
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Concert, Refusal> {
        let before = rows.concerts.get(&self.concert).ok_or(Refusal::ConcertNotFound)?.clone();
        let after = self.apply(&before);
        if let Some(field) = after.sale.contradiction() {
            // The field that the request names, so that the client finds what it wrote.
            let is_named = if field == "closesAt" { self.closes_at.is_some() } else { self.codes_until.is_some() };
            return Err(Refusal::SaleHours { field: if is_named { field } else { "opensAt" } });
        }
        rows.rooms.get(&self.concert).map_or(Ok(()), |room| room.judge_sale(&after.sale, cx.at))?;
        if before.sale.opens_at != after.sale.opens_at {
            waiting_room::judge_beacon(rows, self.concert, &after.sale)?;
        }
        if after == before {
            return Ok(before);
        }
        let after = Concert { version: before.version + 1, ..after };
        rows.concerts.put(self.concert, after.clone());
        if (after.sale, after.seats_per_user) != (before.sale, before.seats_per_user) {
            // With the performances, so that a hold reads no other row and never commits after a close.
            for id in rows.performances_of(self.concert) {
                let Some(own) = rows.performances.change(&id) else { continue };
                (own.sale, own.seats_per_user) = (after.sale, after.seats_per_user);
            }
        }
        if after.sale != before.sale {
            waiting_room::set_sale(rows, self.concert, after.sale, cx.at);
        } else {
            // Other instances find the new texts by the room's version.
            waiting_room::announce(rows, self.concert, cx.at);
        }
        let at = rows.rooms.get(&self.concert).map_or(cx.at, |room| room.updated_at.max(cx.at));
        let (id, version, concert) = (EventId::new(cx.ids.next(at)), after.version, after.clone());
        rows.events.push(Event { id, at, version, happening: Happening::ConcertChanged { concert } });
        Ok(after)
    }
}

impl Command for ChangePerformance {
    type Output = Performance;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Performance, Refusal> {
        let before = rows.performances.get(&self.performance).ok_or(Refusal::PerformanceNotFound)?.clone();
        if before.cancelled_at.is_some() {
            return Err(Refusal::PerformanceCancelled);
        }
        let seating = before.seating.priced(&self.prices).map_err(|index| Refusal::GradeUnknown { index })?;
        let after = Performance {
            closed: self.closed.unwrap_or(before.closed),
            refund_policy: self.refund_policy.clone().unwrap_or_else(|| before.refund_policy.clone()),
            starts_at: self.starts_at.unwrap_or(before.starts_at),
            seating,
            ..before.clone()
        };
        Ok(change(&before, after, rows, cx))
    }
}

impl Command for AddSeats {
    type Output = Performance;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
        keys.layouts.insert(self.performance);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Performance, Refusal> {
        let id = self.performance;
        let before = rows.performances.get(&id).ok_or(Refusal::PerformanceNotFound)?.clone();
        if before.cancelled_at.is_some() {
            return Err(Refusal::PerformanceCancelled);
        }
        let (layout, added) = adding::place(self, &before, rows.layouts.get(&id))?;
        let seating = before.seating.with(&added, SEATS_NAMED_MAX);
        let seating = seating.map_err(|seats| Refusal::SeatExists { seats })?;
        if layout.is_none() && seating.sections().len() > SECTIONS_MAX {
            return Err(Refusal::SectionLimit);
        }
        if let Some(layout) = layout {
            rows.layouts.put(id, Arc::new(layout));
        }
        if let Some(hall) = rows.halls.get_mut(&id) {
            added.sections().iter().for_each(|range| hall.add(range.from..=range.to));
        }
        let after = Performance { seating, ..before.clone() };
        Ok(change(&before, after, rows, cx))
    }
}

/// Replaces a performance and records the change, if there is one. Returns the performance as it is afterwards.
fn change(before: &Performance, mut after: Performance, rows: &mut Rows, cx: &mut Context<'_>) -> Performance {
    if after == *before {
        return after;
    }
    let id = after.id;
    if (after.starts_at, &after.seating) != (before.starts_at, &before.seating) {
        // The version that the event below gets.
        after.revision = before.version + 1;
        rows.revised.insert(id);
        let further = after.revision - before.revision;
        rows.dates.entry(after.concert).and_modify(|dates| dates.revisions += further);
    }
    if after.refund_policy != before.refund_policy {
        rows.new_policies.insert(id);
    }
    rows.performances.put(id, after.clone());
    let event = EventId::new(cx.ids.next(before.updated_at.max(cx.at)));
    record(rows, id, event, cx.at, || Happening::PerformanceChanged { performance: after.clone() });
    rows.performances.get(&id).cloned().unwrap_or(after)
}
