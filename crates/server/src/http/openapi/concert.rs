//! Of concerts.

use serde_json::{Value, json};

use super::operation::{Operation, date, sample, switch};
use crate::http::code::Code;
use crate::http::routes::concert::{ConcertShown, PerformanceShown, SeatsOfDate};

const TAG: &str = "Concerts";

pub(super) fn concert() -> Value {
    json!({
        "concertId": sample::CONCERT, "title": "Night of the Locks", "venue": "Hall of Rows",
        "firstDate": "2026-12-19", "lastDate": "2026-12-20", "soldOut": false
    })
}

pub(super) fn performance() -> Value {
    json!({
        "performanceId": sample::PERFORMANCE, "date": "2026-12-19", "startsAt": "2026-12-19T10:00:00.000Z",
        "capacity": 50, "remaining": 50
    })
}

pub(crate) fn list_concerts(op: Operation) -> Operation {
    op.named(TAG, "listConcerts", "List concerts")
        .paged()
        .answers::<Vec<ConcertShown>>(200, "The concerts", json!([concert()]))
        .conditional()
}

pub(crate) fn list_concert_dates(op: Operation) -> Operation {
    op.named(TAG, "listConcertDates", "List the dates of a concert that have not started")
        .path_id("concertId", "The concert")
        .turn()
        .answers::<Vec<PerformanceShown>>(200, "The dates", json!([performance()]))
        .conditional()
        .codes(&[Code::ConcertNotFound])
}

pub(crate) fn list_concert_seats(op: Operation) -> Operation {
    let seats = json!({
        "date": "2026-12-19",
        "performances": [{
            "performanceId": sample::PERFORMANCE, "startsAt": "2026-12-19T10:00:00.000Z", "remaining": 49,
            "seats": [
                {"seat": 1, "grade": "R", "price": 50000, "status": "AVAILABLE"},
                {"seat": 2, "grade": "R", "price": 50000, "status": "HELD"}
            ]
        }]
    });
    op.named(TAG, "listConcertSeats", "List the seats of a date")
        .path_id("concertId", "The concert")
        .required_query("date", date(), "The date")
        .query("available", switch(), "Only seats that anyone may take")
        .turn()
        .answers::<SeatsOfDate>(200, "The seats", seats)
        .conditional()
        .codes(&[Code::ConcertNotFound])
}
