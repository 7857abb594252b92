//! Of reservations.

use serde_json::{Value, json};

use super::operation::{Operation, sample};
use crate::http::code::Code;
use crate::http::routes::reservation::{HoldBody, ReservationShown};

const TAG: &str = "Reservations";

fn reservation() -> Value {
    json!({
        "reservationId": sample::RESERVATION, "performanceId": sample::PERFORMANCE, "date": "2026-12-19",
        "seats": [7, 8], "amount": 100_000, "status": "HELD", "heldUntil": "2026-11-22T11:17:13.456Z"
    })
}

pub(crate) fn create_reservation(op: Operation) -> Operation {
    op.named(TAG, "createReservation", "Hold seats, all or none")
        .says(
            "For five minutes, or as the server is set. `date` names the performance where that date has just one. \
               Judged in this order: a seat named twice, or `date` and `performanceId` that disagree; unknown \
               performance; started; unknown seat; more than 4 seats of one user; taken. `seat-taken` names the seats \
               and, where they are only held, says in `Retry-After` when they may lapse.",
        )
        .turn()
        .body::<HoldBody>(json!({"performanceId": sample::PERFORMANCE, "seats": [7, 8]}))
        .answers::<ReservationShown>(201, "The seats are held", reservation())
        .codes(&[
            Code::PerformanceNotFound,
            Code::PerformanceAmbiguous,
            Code::PerformanceClosed,
            Code::SeatUnknown,
            Code::SeatLimit,
            Code::SeatTaken,
        ])
}

pub(crate) fn get_reservation(op: Operation) -> Operation {
    op.named(TAG, "getReservation", "See a reservation")
        .says("`status` is as of now: a hold that has lapsed is `EXPIRED`. Without `ONSALE_AUTH=jwt` the id, which cannot be guessed, is the key to it.")
        .path_id("reservationId", "The reservation")
        .bearer()
        .answers::<ReservationShown>(200, "The reservation", reservation())
        .codes(&[Code::ReservationNotFound])
}

pub(crate) fn release_reservation(op: Operation) -> Operation {
    op.named(TAG, "releaseReservation", "Give held seats back")
        .says("Where the hold had ended already, this is so already.")
        .path_id("reservationId", "The reservation")
        .turn()
        .answers_nothing(204, "The seats are not held any more")
        .codes(&[Code::ReservationNotFound, Code::AlreadyPaid])
}

pub(crate) fn list_user_reservations(op: Operation) -> Operation {
    op.named(TAG, "listUserReservations", "List a user's reservations, newest first")
        .path_user("userId")
        .paged()
        .answers::<Vec<ReservationShown>>(200, "The reservations", json!([reservation()]))
}
