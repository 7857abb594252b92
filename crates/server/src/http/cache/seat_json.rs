//! Seat maps as JSON. Each part of a hall is written once for each change of it, and all answers share the text.
//!
//! A whole answer is put together from these texts, so serde writes only seats and the members before them: a change
//! of one seat costs the JSON of its part, not of the hall.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::civil::Date;
use onsale_app::catalogue::Showing;
use onsale_app::seat_map::{Chunk, SeatStatus, ViewCache, Which};
use serde::Serialize;

use super::Written;
use crate::http::reply::{append_json, to_json};
use crate::http::routes::concert::{SeatShown, SeatsOfDate, SeatsOfPerformance, ShownStatus};
use crate::http::values::{Day, Id, Instant};

type SeatView = onsale_app::seat_map::SeatView<SeatTexts>;

/// The JSON of one seat map, kept with its view.
#[derive(Debug, Default)]
pub(crate) struct SeatTexts {
    all: OnceLock<Written>,
    available: OnceLock<Written>,
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
        [&self.all, &self.available].into_iter().filter_map(OnceLock::get).map(Written::cost_nanos).sum()
    }
}

/// The seats of the only performance of a date, as nearly all dates have one: all answers share the whole text. The date is that of
/// the view, which may be of a later revision than the catalogue that the caller has read.
pub(crate) fn seats_of(view: &SeatView, which: Which) -> &Written {
    let write = || {
        let mut text = open_date(view.showing.date);
        write_performance(&mut text, view, which);
        close(&mut text);
        text.into()
    };
    // The first caller writes the text; callers that come meanwhile wait for it.
    view.cache.get(which).get_or_init(|| Written::new(write))
}

/// The seats of all performances of a date.
pub(crate) fn seats_of_date(date: Date, views: &[Arc<SeatView>], which: Which) -> Bytes {
    let mut text = open_date(date);
    for (index, view) in views.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write_performance(&mut text, view, which);
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

fn write_performance(text: &mut Vec<u8>, view: &SeatView, which: Which) {
    // Of the view: the catalogue may know another revision of the performance than the map.
    let showing = &*view.showing;
    text.extend(open(&SeatsOfPerformance {
        performance_id: Id(showing.id),
        starts_at: Instant(showing.starts_at),
        remaining: view.remaining,
        seats: Vec::new(),
    }));
    let mut first = true;
    // Of a cancelled performance no seat can be taken, whatever its status is.
    let has_none = view.is_cancelled && which == Which::Available;
    let chunks = if has_none { &[][..] } else { &view.chunks };
    for chunk in chunks {
        let seats = chunk.text(which, |chunk| write_seats(showing, chunk, which));
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

fn write_seats(showing: &Showing, chunk: &Chunk, which: Which) -> Bytes {
    let mut text = Vec::new();
    for (seat, status) in chunk.seats(which) {
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
        append_json(&mut text, &SeatShown { seat, grade: &section.grade, price: section.price, status });
    }
    text.into()
}
