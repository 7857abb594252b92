//! Of points.

use serde_json::{Value, json};

use super::operation::{Operation, sample};
use crate::http::code::Code;
use crate::http::routes::wallet::{Amount, LedgerEntry, Wallet};

const TAG: &str = "Points";

fn wallet(balance: i64) -> Value {
    json!({"userId": "42", "balance": balance, "updatedAt": "2026-11-22T11:12:13.456Z"})
}

pub(crate) fn charge_points(op: Operation) -> Operation {
    op.named(TAG, "chargePoints", "Put points into a wallet")
        .says("1 to 10,000,000 points at once; a wallet holds at most 1,000,000,000.")
        .path_user("id")
        .strict()
        .body::<Amount>(json!({"amount": 1000}))
        .answers::<Wallet>(200, "The wallet afterwards", wallet(1000))
        .codes(&[Code::AmountOutOfRange, Code::BalanceLimit])
}

pub(crate) fn use_points(op: Operation) -> Operation {
    op.named(TAG, "usePoints", "Take points out of a wallet")
        .says("1 to 10,000,000 points at once; never below zero.")
        .path_user("id")
        .body::<Amount>(json!({"amount": 300}))
        .answers::<Wallet>(200, "The wallet afterwards", wallet(700))
        .codes(&[Code::AmountOutOfRange, Code::InsufficientBalance])
}

pub(crate) fn get_points(op: Operation) -> Operation {
    op.named(TAG, "getPoints", "See what a wallet holds")
        .says("A user never seen has 0 points and `updatedAt: null`.")
        .path_user("id")
        .strict()
        .answers::<Wallet>(200, "The wallet", wallet(700))
}

pub(crate) fn list_point_histories(op: Operation) -> Operation {
    let entry = json!([{
        "id": sample::ENTRY, "type": "USE", "amount": 300, "balanceAfter": 700, "reference": sample::PAYMENT,
        "createdAt": "2026-11-22T11:12:13.456Z"
    }]);
    op.named(TAG, "listPointHistories", "See what moved in a wallet, newest first")
        .says("`reference` is the payment that made the row, else null. `balanceAfter` forms an unbroken chain.")
        .path_user("id")
        .strict()
        .paged()
        .answers::<Vec<LedgerEntry>>(200, "The history", entry)
}
