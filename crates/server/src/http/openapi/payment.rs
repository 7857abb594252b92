//! Of payments.

use serde_json::{Value, json};

use super::operation::{Operation, sample};
use crate::http::code::Code;
use crate::http::routes::payment::{PayBody, PaymentShown};

const TAG: &str = "Payments";

fn payment() -> Value {
    json!({
        "paymentId": sample::PAYMENT, "reservationId": sample::RESERVATION, "amount": 100_000, "balance": 50_000,
        "seats": [7, 8], "paidAt": "2026-11-22T11:14:13.456Z"
    })
}

pub(crate) fn create_payment(op: Operation) -> Operation {
    op.named(TAG, "createPayment", "Pay a hold from the points")
        .says(
            "The seats are sold and the token ends, unless its user still holds other seats of this concert. Judged \
               in this order: unknown reservation (also another user's), paid already, lapsed or released, too few \
               points (the seats stay held).",
        )
        .turn()
        .body::<PayBody>(json!({"reservationId": sample::RESERVATION}))
        .answers::<PaymentShown>(201, "The seats are sold", payment())
        .codes(&[Code::ReservationNotFound, Code::AlreadyPaid, Code::HoldExpired, Code::InsufficientBalance])
}

pub(crate) fn get_payment(op: Operation) -> Operation {
    op.named(TAG, "getPayment", "See a payment")
        .says("Without `ONSALE_AUTH=jwt` the id, which cannot be guessed, is the key to it.")
        .path_id("paymentId", "The payment")
        .bearer()
        .answers::<PaymentShown>(200, "The payment", payment())
        .codes(&[Code::PaymentNotFound])
}

pub(crate) fn list_user_payments(op: Operation) -> Operation {
    op.named(TAG, "listUserPayments", "List a user's payments, newest first").path_user("userId").paged().answers::<Vec<
        PaymentShown,
    >>(
        200,
        "The payments",
        json!([payment()]),
    )
}
