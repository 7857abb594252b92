//! Seat maps as JSON. Each part of a hall is written once for each change of it, and all answers share the text.
//!
//! A whole answer is put together from these texts, so serde writes only seats and the members before them: a change
//! of one seat costs the JSON of its part, not of the hall.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::civil::Date;
use onsale_app::catalogue::Showing;
use onsale_app::seat_map::{Chunk, Frame, FrameKind, Part, Position, SeatStatus, ViewCache, Which};
use onsale_domain::concert::LaidSection;
use serde::Serialize;

use super::Written;
use crate::http::reply::{append_json, to_json};
use crate::http::routes::concert::{SeatShown, SeatsOfDate, SeatsOfPerformance, ShownStatus};
use crate::http::routes::seat_events::{Reset, SeatChanges};
use crate::http::routes::section::LaidSectionShown;
use crate::http::values::{Day, EventId, Id, Instant};

type SeatView = onsale_app::seat_map::SeatView<SeatTexts>;

/// The JSON of one seat map, kept with its view.
#[derive(Debug, Default)]
pub(crate) struct SeatTexts {
    all: OnceLock<Written>,
    available: OnceLock<Written>,
    sections: OnceLock<Written>,
}

impl SeatTexts {
    fn get(&self, which: Which) -> &OnceLock<Written> {
        match which {
            Which::All => &self.all,
            Which::Available => &self.available,
        }
    }
}

impl ViewCache for SeatTexts {
    fn cost_nanos(&self) -> u64 {
        [&self.all, &self.available, &self.sections]
            .into_iter()
            .filter_map(OnceLock::get)
            .map(Written::cost_nanos)
            .sum()
    }
}

/// The seats of the only performance of a date, as nearly all dates have one: all answers share the whole text. The date is that of
/// the view, which may be of a later revision than the catalogue that the caller has read.
pub(crate) fn seats_of(view: &SeatView, which: Which) -> &Written {
    let write = || {
        let mut text = open_date(view.showing.date);
        write_performance(&mut text, view, which, None);
        close(&mut text);
        text.into()
    };
    // The first caller writes the text; callers that come meanwhile wait for it.
    view.cache.get(which).get_or_init(|| Written::new(write))
}

/// The seats of all performances of a date, or those of one section.
pub(crate) fn seats_of_date(date: Date, views: &[Arc<SeatView>], which: Which, section: Option<&str>) -> Bytes {
    let mut text = open_date(date);
    for (index, view) in views.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write_performance(&mut text, view, which, section);
    }
    close(&mut text);
    text.into()
}

fn open_date(date: Date) -> Vec<u8> {
    open(&SeatsOfDate { date: Day(date), performances: Vec::new() })
}

/// The JSON of a struct whose last member is an empty list, up to the place of the first element.
fn open<T: Serialize>(with_empty_list: &T) -> Vec<u8> {
    let mut text = to_json(with_empty_list);
    text.truncate(text.len().saturating_sub(CLOSING.len()));
    text
}

/// The end of the last list and of the object that [`open`] began.
fn close(text: &mut Vec<u8>) {
    text.extend_from_slice(CLOSING);
}

const CLOSING: &[u8] = b"]}";

fn write_performance(text: &mut Vec<u8>, view: &SeatView, which: Which, section: Option<&str>) {
    // Of the view: the catalogue may know another revision of the performance than the map.
    let showing = &*view.showing;
    text.extend(open(&SeatsOfPerformance {
        performance_id: Id(showing.id),
        starts_at: Instant(showing.starts_at),
        remaining: view.remaining,
        version: view.version,
        seats: Vec::new(),
    }));
    let mut first = true;
    // Of a cancelled performance no seat can be taken, whatever its status is.
    let has_none = view.is_cancelled && which == Which::Available;
    let chunks = if has_none { &[][..] } else { &view.chunks };
    for chunk in chunks {
        let of_section;
        let seats = match section {
            None => chunk.text(which, |chunk| write_seats(showing, chunk, which, None)),
            Some(_) => {
                of_section = write_seats(showing, chunk, which, section);
                &of_section
            }
        };
        if seats.is_empty() {
            continue;
        }
        if !first {
            text.push(b',');
        }
        first = false;
        text.extend_from_slice(seats);
    }
    close(text);
}

/// The sections of a performance, each with its free seats.
pub(crate) fn sections_of(view: &SeatView) -> &Written {
    view.cache.sections.get_or_init(|| Written::new(|| write_sections(view)))
}

fn write_sections(view: &SeatView) -> Bytes {
    let Some(layout) = view.showing.layout.as_deref() else { return to_json::<[(); 0]>(&[]).into() };
    let mut free = vec![0_u32; layout.sections().len()];
    let is_on_sale = !view.is_closed && !view.is_cancelled;
    for (seat, _) in view.chunks.iter().filter(|_| is_on_sale).flat_map(|chunk| chunk.seats(Which::Available)) {
        if let Some(count) = layout.section_of(seat).and_then(|section| free.get_mut(section)) {
            *count += 1;
        }
    }
    let shown = layout.sections().iter().zip(free).map(|(section, free)| show_section(view, section, free));
    to_json(&shown.collect::<Vec<_>>()).into()
}

fn show_section<'a>(view: &SeatView, section: &'a LaidSection, free: u32) -> LaidSectionShown<'a> {
    let range = section.first_seat().and_then(|seat| view.showing.seating.section_of(seat));
    LaidSectionShown {
        section: &section.name,
        grade: &section.grade,
        price: range.map_or(0, |range| range.price),
        accessible: section.accessible,
        capacity: section.seats(),
        free,
    }
}

fn write_seats(showing: &Showing, chunk: &Chunk, which: Which, only: Option<&str>) -> Bytes {
    let mut text = Vec::new();
    for (seat, status) in chunk.seats(which) {
        let place = showing.layout.as_ref().and_then(|layout| layout.place_of(seat));
        if only.is_some() && only != place.map(|(section, _)| &*section.name) {
            continue;
        }
        let Some(section) = showing.seating.section_of(seat) else { continue };
        let status = match status {
            SeatStatus::Available => ShownStatus::Available,
            SeatStatus::Held => ShownStatus::Held,
            SeatStatus::Sold => ShownStatus::Sold,
            SeatStatus::Blocked => ShownStatus::Blocked,
        };
        if !text.is_empty() {
            text.push(b',');
        }
        let (grade, price) = (&*section.grade, section.price);
        let (section, row) = (place.map(|(section, _)| &*section.name), place.map(|(_, row)| &*row.name));
        append_json(&mut text, &SeatShown { seat, section, row, grade, price, status });
    }
    text.into()
}

/// A frame as a server-sent event for the listeners of a part, who share the bytes; `None` if they do not need it.
pub(crate) fn event_of(frame: &Frame, part: Part) -> Option<Bytes> {
    frame.text(part, |frame| write_event(frame, part))
}

fn write_event(frame: &Frame, part: Part) -> Bytes {
    let id = EventId(Position { history: Some(frame.history), version: frame.version });
    let (version, as_of) = (frame.version, Instant(frame.as_of));
    let (name, data) = match frame.kind {
        FrameKind::Reset => ("event: reset\n", to_json(&Reset { version, as_of })),
        FrameKind::Changes | FrameKind::Beat => {
            let ranges = |status| frame.ranges(part, status);
            let changes = SeatChanges {
                version,
                as_of,
                available: ranges(SeatStatus::Available),
                held: ranges(SeatStatus::Held),
                sold: ranges(SeatStatus::Sold),
                blocked: ranges(SeatStatus::Blocked),
            };
            ("", to_json(&changes))
        }
    };
    let mut text = format!("{name}id: {id}\ndata: ").into_bytes();
    text.extend_from_slice(&data);
    text.extend_from_slice(b"\n\n");
    text.into()
}
