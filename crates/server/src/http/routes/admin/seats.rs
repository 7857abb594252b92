//! All seats of a performance, as staff see them: with who holds or bought them, or why they are blocked.

use std::sync::Arc;

use axum::extract::State;
use futures_util::stream;
use onsale_app::store::{SeatRecord, SeatTaken};
use onsale_domain::concert::{Layout, Performance};
use onsale_domain::ids::{PaymentId, PerformanceId, ReservationId, UserId};
use onsale_domain::time::Timestamp;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::performance::find;
use crate::http::App;
use crate::http::input::staff::{ReadSale, Staff};
use crate::http::input::{Path, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::Streamed;
use crate::http::reply::problem::Problem;
use crate::http::routes::concert::ShownStatus;
use crate::http::values::{Id, Instant};

/// Number of seats that are read and sent together.
const PART: usize = 1_000;

/// A seat as staff see it. A member that the status does not have is absent.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdminSeat {
    seat: u32,
    /// The section and the row; null if the performance has no layout.
    section: Option<String>,
    row: Option<String>,
    grade: String,
    /// Points.
    price: i64,
    status: ShownStatus,
    /// The user who holds or bought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Id<UserId>")]
    user_id: Option<Id<UserId>>,
    /// The reservation of the hold or of the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Id<ReservationId>")]
    reservation_id: Option<Id<ReservationId>>,
    /// The end of the hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instant")]
    held_until: Option<Instant>,
    /// The payment of a sold seat.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Id<PaymentId>")]
    payment_id: Option<Id<PaymentId>>,
    /// Why an organiser blocked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    block_reason: Option<String>,
}

impl AdminSeat {
    fn new(number: u32, performance: &Performance, layout: Option<&Layout>) -> Self {
        let place = layout.and_then(|layout| layout.place_of(number));
        let section = performance.seating.section_of(number);
        Self {
            seat: number,
            section: place.map(|(section, _)| section.name.to_string()),
            row: place.map(|(_, row)| row.name.to_string()),
            grade: section.map_or_else(String::new, |section| section.grade.to_string()),
            price: section.map_or(0, |section| section.price),
            status: ShownStatus::Available,
            user_id: None,
            reservation_id: None,
            held_until: None,
            payment_id: None,
            block_reason: None,
        }
    }

    /// A hold that has lapsed leaves the seat available, whether or not it is settled.
    fn take(&mut self, record: SeatRecord, now: Timestamp) {
        match record.taken {
            SeatTaken::Blocked(reason) => {
                (self.status, self.block_reason) = (ShownStatus::Blocked, Some(reason.to_string()));
            }
            SeatTaken::Owned(seat, _) if seat.is_lapsed(now) => {}
            SeatTaken::Owned(seat, payment) => {
                self.status = if seat.sold { ShownStatus::Sold } else { ShownStatus::Held };
                self.user_id = record.user.map(Id);
                self.reservation_id = Some(Id(seat.reservation));
                self.held_until = (!seat.sold).then_some(Instant(seat.held_until));
                self.payment_id = payment.map(Id);
            }
        }
    }
}

impl Sample for AdminSeat {
    fn sample() -> Value {
        json!({
            "seat": 7, "section": null, "row": null, "grade": "R", "price": 50_000, "status": "HELD", "userId": "42",
            "reservationId": sample::RESERVATION, "heldUntil": "2026-11-22T11:17:13.456Z"
        })
    }
}

/// List all seats of a performance, with who holds or bought them
///
/// The whole list, in parts that are each as of one moment. No queue token is needed. If the database fails, the key is deleted or
/// the session ends meanwhile, or the client takes longer than 15 minutes, the answer ends without its closing bracket.
#[operation(tag = Administration, returns = "The seats", codes(PerformanceNotFound))]
pub(crate) async fn list_performance_seats(
    State(app): State<App>,
    staff: Staff<ReadSale>,
    path: Path<PerformanceId>,
    mut query: Query,
) -> Result<Streamed<AdminSeat>, Problem> {
    query.read()?;
    let performance = Arc::new(find(&app, path.id()?).await?);
    let layouts = app.read(app.reader.layouts(Some(&[performance.id]))).await?;
    let layout = layouts.into_iter().next().map(|(_, layout)| layout);
    let numbers: Vec<u32> = performance.seating.seats().map(|(number, _)| number).collect();
    let mut parts: Vec<Vec<u32>> = numbers.chunks(PART).map(<[u32]>::to_vec).collect();
    parts.reverse();
    // Before the status: a database that does not answer is a 503.
    let first = parts.pop().unwrap_or_default();
    let first = read(&app, &performance, layout.as_deref(), &first).await?;
    let rest =
        stream::try_unfold((app.clone(), performance, layout, parts), async |(app, performance, layout, mut parts)| {
            let Some(part) = parts.pop() else { return Ok(None) };
            let seats = read(&app, &performance, layout.as_deref(), &part).await?;
            Ok(Some((seats, (app, performance, layout, parts))))
        });
    Ok(Streamed::of(first, rest).map_body(|body| staff.lasting().guard(&app, body)))
}

/// The seats with these numbers, which ascend.
async fn read(
    app: &App,
    performance: &Performance,
    layout: Option<&Layout>,
    numbers: &[u32],
) -> Result<Vec<AdminSeat>, Problem> {
    let mut seats: Vec<AdminSeat> = numbers.iter().map(|number| AdminSeat::new(*number, performance, layout)).collect();
    let (Some(from), Some(to)) = (numbers.first(), numbers.last()) else { return Ok(seats) };
    let records = app.read(app.reader.taken_seats(performance.id, *from..=*to)).await?;
    let now = app.reader.now();
    for record in records {
        // A seat that was added meanwhile is not in this list.
        if let Ok(index) = numbers.binary_search(&record.number) {
            seats[index].take(record, now);
        }
    }
    Ok(seats)
}
