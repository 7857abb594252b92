//! Best available: the server chooses the seats of a hold.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::best::choose;
use super::hall::Hall;
use super::hold::{Held, Judged, owned, reserve, take};
use super::target::{Asked, Dates, Open, Target, find_open};
use super::{Layout, Performance, Seating};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::waiting_room::Token;
use crate::{Command, Context, Refusal, seat_list};

/// Holds the best adjacent seats that are free: all or none.
#[derive(Clone, Debug)]
pub struct HoldAny {
    /// The token of the user's turn.
    pub token: Token,
    /// The performance, or why the request does not name one.
    pub target: Target,
    /// The dates in which the target was looked up, as in [`super::Hold::dates`].
    pub dates: Option<Dates>,
    /// How many seats, and which of them will do.
    pub wish: Wish,
    /// The presale code of the request, as in [`super::Hold::code`].
    pub code: Option<Arc<str>>,
}

/// The seats that a user wishes for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wish {
    /// Number of adjacent seats, 1 to [`super::SEATS_PER_USER_MAX`].
    pub count: u32,
    /// Only seats of this section.
    pub section: Option<Arc<str>>,
    /// Only seats of this grade.
    pub grade: Option<Arc<str>>,
}

impl HoldAny {
    fn asked(&self) -> Asked<'_> {
        Asked { token: &self.token, target: self.target, dates: self.dates, code: self.code.as_ref() }
    }
}

impl Command for HoldAny {
    type Output = Held;

    fn needs(&self, keys: &mut Keys) {
        self.asked().needs(keys);
        if let Some(performance) = self.target.performance() {
            keys.layouts.insert(performance);
            keys.halls.insert(performance);
        }
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Held, Refusal> {
        // Out of the rows for the decision, because it reads the other rows while it prepares the hall.
        let taken_out = self.target.performance().and_then(|id| rows.halls.remove_entry(&id));
        let Some((id, mut hall)) = taken_out else {
            // There is no such performance, and the refusal is that of the usual order.
            return Err(find_open(self.asked(), rows, cx).err().unwrap_or(Refusal::PerformanceNotFound));
        };
        let judged = judge(self, &mut hall, rows, cx);
        rows.halls.insert(id, hall);
        let judged = judged?;
        for seat in judged.reservation.seats.iter() {
            // The hall has no row of a free seat.
            if !rows.seats.is_loaded(&(id, *seat)) {
                rows.seats.load((id, *seat), None);
            }
        }
        Ok(take(&self.token, judged, rows, cx))
    }
}

/// All checks, in the order of the contract. Changes nothing but the preparation of the hall.
fn judge(request: &HoldAny, hall: &mut Hall, rows: &Rows, cx: &mut Context<'_>) -> Result<Judged, Refusal> {
    let HoldAny { token, wish, .. } = request;
    let Open { performance, at, code } = find_open(request.asked(), rows, cx)?;
    let id = performance.id;
    let layout = rows.layouts.get(&id).map(Arc::as_ref);
    let ranges = layout.map_or_else(|| ranges_of(&performance.seating, wish), |_| Ok(Vec::new()))?;
    let fitting: Vec<&[RangeInclusive<u32>]> = match layout {
        Some(layout) => rows_of_layout(layout, wish)?,
        None => ranges.iter().map(std::slice::from_ref).collect(),
    };
    if owned(rows, token, id, at) + wish.count as usize > performance.seats_per_user as usize {
        return Err(Refusal::SeatLimit);
    }
    hall.prepare(at, |seat| can_settle(performance, seat, rows));
    let refusal = |from: Option<Timestamp>| Refusal::SeatsNotAvailable {
        retry_after_seconds: from.map(|from| at.seconds_until(from)),
    };
    if seat_list::is_pending(rows, id) {
        // Users on the waiting list get the free seats in the next steps.
        return Err(Refusal::SeatsNotAvailable { retry_after_seconds: Some(1) });
    }
    if let Some(from) = hall.refused(wish) {
        return Err(refusal(from));
    }
    let Some(first) = choose(hall, fitting.iter().copied(), wish.count) else {
        let ranges = fitting.iter().copied().flatten();
        let from = ranges.filter_map(|range| hall.fits_from(range.clone(), wish.count)).min();
        hall.note_refused(wish, from);
        return Err(refusal(from));
    };
    let seats: Arc<[u32]> = (first..first + wish.count).collect();
    Ok(Judged { reservation: reserve(token, performance, seats, at, cx), code })
}

/// Whether the rows are loaded that settle the lapsed hold on a seat. A hold that lapsed after they were read counts as live.
pub(crate) fn can_settle(performance: &Performance, seat: u32, rows: &Rows) -> bool {
    let key = (performance.id, seat);
    let holder = rows.seats.is_loaded(&key).then(|| rows.seats.get(&key)).flatten();
    holder.is_some_and(|seat| rows.reservations.is_loaded(&seat.reservation))
}

/// The best seats that are free and fit a wish. The hall is prepared.
pub(crate) fn best_seats(hall: &Hall, layout: Option<&Layout>, seating: &Seating, wish: &Wish) -> Option<Arc<[u32]>> {
    let ranges = layout.map_or_else(|| ranges_of(seating, wish), |_| Ok(Vec::new())).ok()?;
    let fitting: Vec<&[RangeInclusive<u32>]> = match layout {
        Some(layout) => rows_of_layout(layout, wish).ok()?,
        None => ranges.iter().map(std::slice::from_ref).collect(),
    };
    let first = choose(hall, fitting, wish.count)?;
    Some((first..first + wish.count).collect())
}

/// Whether the performance has a section with the wanted name and grade.
pub(crate) fn is_known(layout: Option<&Layout>, seating: &Seating, wish: &Wish) -> bool {
    match layout {
        Some(layout) => rows_of_layout(layout, wish).is_ok(),
        None => ranges_of(seating, wish).is_ok(),
    }
}

/// The rows of the sections that fit.
fn rows_of_layout<'a>(layout: &'a Layout, wish: &Wish) -> Result<Vec<&'a [RangeInclusive<u32>]>, Refusal> {
    let named = |section: &&super::LaidSection| {
        wish.section.as_ref().is_none_or(|name| section.name == *name)
            && wish.grade.as_ref().is_none_or(|grade| section.grade == *grade)
    };
    if !layout.sections().iter().any(|section| named(&section)) {
        return Err(Refusal::SectionUnknown);
    }
    let fitting = layout.sections().iter().filter(named).filter(|own| wish.section.is_some() || !own.accessible);
    Ok(fitting.flat_map(|section| section.rows.iter().map(|row| &row.segments[..])).collect())
}

/// The ranges that fit, of a performance without a layout. It has no section that a request could name.
fn ranges_of(seating: &Seating, wish: &Wish) -> Result<Vec<RangeInclusive<u32>>, Refusal> {
    let fits = |grade: &Arc<str>| wish.grade.as_ref().is_none_or(|wanted| wanted == grade);
    let fitting = seating.sections().iter().filter(|range| wish.section.is_none() && fits(&range.grade));
    let fitting: Vec<_> = fitting.map(|range| range.from..=range.to).collect();
    if fitting.is_empty() { Err(Refusal::SectionUnknown) } else { Ok(fitting) }
}
