//! Seat maps as JSON: written once for each part that changed, and then shared by everyone who looks.

use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use jiff::civil::Date;
use onsale_app::calendar::rfc3339;
use onsale_app::catalogue::Showing;
use onsale_app::seat_map::{Chunk, SeatStatus, ViewCache, Which};

use super::Written;

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

/// The seats of the one performance of a date, as nearly always: the whole text is shared.
pub(crate) fn seats_of<'a>(date: Date, showing: &Showing, view: &'a SeatView, which: Which) -> &'a Written {
    let write = || {
        let mut text = open(date);
        write_performance(&mut text, showing, view, which);
        close(text)
    };
    // The first caller writes the text; callers that come meanwhile wait for it.
    view.cache.get(which).get_or_init(|| Written::new(write))
}

/// The seats of all performances of a date.
pub(crate) fn seats_of_date(date: Date, views: &[(&Arc<Showing>, Arc<SeatView>)], which: Which) -> Bytes {
    let mut text = open(date);
    for (index, (showing, view)) in views.iter().enumerate() {
        if index > 0 {
            text.put_u8(b',');
        }
        write_performance(&mut text, showing, view, which);
    }
    close(text)
}

fn open(date: Date) -> BytesMut {
    BytesMut::from(format!(r#"{{"date":"{date}","performances":["#).as_bytes())
}

fn close(mut text: BytesMut) -> Bytes {
    text.put_slice(b"]}");
    text.freeze()
}

fn write_performance(text: &mut BytesMut, showing: &Showing, view: &SeatView, which: Which) {
    let Showing { id, starts_at, .. } = showing;
    let (starts_at, remaining) = (rfc3339(*starts_at), view.remaining);
    let head = format!(r#"{{"performanceId":"{id}","startsAt":"{starts_at}","remaining":{remaining},"seats":["#);
    text.put_slice(head.as_bytes());
    let mut first = true;
    for chunk in &view.chunks {
        let seats = chunk.text(which, |chunk| write_seats(showing, chunk, which));
        if seats.is_empty() {
            continue;
        }
        if !first {
            text.put_u8(b',');
        }
        first = false;
        text.put_slice(seats);
    }
    text.put_slice(b"]}");
}

fn write_seats(showing: &Showing, chunk: &Chunk, which: Which) -> Bytes {
    let mut text = String::new();
    for (number, status) in chunk.seats(which) {
        let Some(section) = showing.seating.section_of(number) else { continue };
        let status = match status {
            SeatStatus::Available => "AVAILABLE",
            SeatStatus::Held => "HELD",
            SeatStatus::Sold => "SOLD",
        };
        if !text.is_empty() {
            text.push(',');
        }
        // A grade is any text, and may hold what JSON escapes.
        let grade = serde_json::to_string(&*section.grade).unwrap_or_default();
        let price = section.price;
        text.push_str(&format!(r#"{{"seat":{number},"grade":{grade},"price":{price},"status":"{status}"}}"#));
    }
    text.into()
}
