//! Where added seats are in the layout of their performance.

use std::sync::Arc;

use super::{
    AddSeats, AddedRange, GRADE_DEFAULT, LAID_SECTIONS_MAX, Layout, PRICE_DEFAULT, Performance, SEGMENTS_MAX, Seating,
    Section,
};
use crate::Refusal;

/// The layout with the added seats, if the performance has one, and the added seats with their grades and prices.
///
/// # Errors
/// [`Refusal::Misplaced`] for the first range that does not fit the layout, or names a place although there is none;
/// [`Refusal::SectionLimit`] if the layout gets too large.
pub(super) fn place(
    request: &AddSeats,
    before: &Performance,
    layout: Option<&Arc<Layout>>,
) -> Result<(Option<Layout>, Seating), Refusal> {
    let Some(layout) = layout else {
        let placed = |range: &AddedRange| range.section.is_some() || range.row.is_some();
        return match request.places.iter().position(placed) {
            Some(index) => {
                let field = if request.places[index].section.is_some() { "section" } else { "row" };
                Err(Refusal::Misplaced { index, field, why: "the performance has no layout" })
            }
            None => Ok((None, request.seats.clone())),
        };
    };
    if request.places.is_empty() {
        return Err(Refusal::Misplaced {
            index: 0,
            field: "section",
            why: "is required: the performance has a layout",
        });
    }
    let mut layout = Layout::clone(layout);
    let mut ranges = Vec::with_capacity(request.places.len());
    for (index, added) in request.places.iter().enumerate() {
        let wrong = |field, why| Refusal::Misplaced { index, field, why };
        let section = added.section.as_ref().ok_or(wrong("section", "is required: the performance has a layout"))?;
        let row = added.row.as_ref().ok_or(wrong("row", "is required: the performance has a layout"))?;
        let (grade, price) =
            offer(added, section, before, &layout, &ranges).map_err(|(field, why)| wrong(field, why))?;
        layout = layout.with(section, &grade, row, added.from..=added.to);
        ranges.push(Section { from: added.from, to: added.to, grade, price });
    }
    if layout.sections().len() > LAID_SECTIONS_MAX || layout.segments() > SEGMENTS_MAX {
        return Err(Refusal::SectionLimit);
    }
    // The request was checked when it was read: its ranges are in bounds and share no seat.
    let added = Seating::new(ranges).map_err(|_| Refusal::SectionLimit)?;
    Ok((Some(layout), added))
}

/// Grade and price of an added range: those of its section, if that exists.
fn offer(
    added: &AddedRange,
    section: &Arc<str>,
    before: &Performance,
    layout: &Layout,
    earlier: &[Section],
) -> Result<(Arc<str>, i64), (&'static str, &'static str)> {
    let (grade, price) = (added.grade.clone(), added.price);
    let Some(known) = layout.section(section) else {
        return Ok((grade.unwrap_or(GRADE_DEFAULT.into()), price.unwrap_or(PRICE_DEFAULT)));
    };
    // The seats of a section have one price: its first seat may be one that this request adds.
    let first = known.first_seat().unwrap_or_default();
    let price_of = |range: &Section| range.price;
    let own = before.seating.section_of(first).map(price_of);
    let own = own.or_else(|| earlier.iter().find(|range| (range.from..=range.to).contains(&first)).map(price_of));
    if grade.is_some_and(|grade| grade != known.grade) {
        return Err(("grade", "is not the grade of this section"));
    }
    match (price, own) {
        (Some(price), Some(own)) if price != own => Err(("price", "is not the price of this section")),
        (price, own) => Ok((known.grade.clone(), own.or(price).unwrap_or(PRICE_DEFAULT))),
    }
}
