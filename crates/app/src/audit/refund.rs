//! Refunds: each with its seats, its ledger entry, its event and, if a member of the staff made it, its entry of the admin log.

use onsale_domain::refund::{By, Refund};
use onsale_domain::time::Timestamp;
use onsale_domain::wallet::EntryKind;
use serde_json::{Value, json};

use super::Finding;
use super::source::{AuditSource, EventRow, PaymentRow, RefundRow};
use crate::calendar::rfc3339;
use crate::event::by;
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Finding, StoreError> {
    let mut finding =
        Finding::new("every refund has one ledger entry and one event, and one log entry if it is by staff");
    let mut refunds = source.refunds();
    while let Some(row) = refunds.recv().await {
        let row = row?;
        let wrong = what_is_wrong(&row, forgotten);
        finding.check(wrong.is_none(), || format!("{}: {}", row.refund.id, wrong.unwrap_or_default()));
    }
    Ok(finding)
}

fn what_is_wrong(row: &RefundRow, forgotten: Timestamp) -> Option<&'static str> {
    let RefundRow { refund, entry, event, logged, marked } = row;
    let is_entered = entry.as_ref().is_some_and(|entry| {
        (entry.kind, entry.amount, entry.balance_after) == (EntryKind::Refund, refund.amount, refund.balance_after)
            && entry.reference == Some(refund.payment)
    });
    // The task that deletes old events may have deleted this one.
    let is_told = event.as_ref().map_or(refund.refunded_at < forgotten, |event| is_of_refund(event, row));
    let sorted = |seats: &[u32]| {
        let mut sorted = seats.to_vec();
        sorted.sort_unstable();
        sorted
    };
    if sorted(marked) != sorted(&refund.seats) {
        Some("other seats are marked as refunded by it")
    } else if !is_entered {
        Some("its ledger entry is missing or differs")
    } else if !is_told {
        Some("its event is missing or differs")
    } else if *logged != u64::from(refund.by == By::Staff) {
        Some("its number of log entries is wrong")
    } else {
        None
    }
}

fn is_of_refund(event: &EventRow, row: &RefundRow) -> bool {
    let refund = &row.refund;
    let performance = refund.performance.to_string();
    let data = json!({
        "refundId": refund.id.to_string(), "paymentId": refund.payment.to_string(),
        "reservationId": refund.reservation.to_string(), "performanceId": performance, "userId": refund.user.as_str(),
        "seats": refund.seats.to_vec(), "amount": refund.amount, "fee": refund.fee, "by": by(refund.by),
        "refundedAt": rfc3339(refund.refunded_at),
    });
    event.kind == "onsale.payment.refunded.v1"
        && event.subject == performance
        && serde_json::from_str::<Value>(&event.data).is_ok_and(|found| found == data)
}

/// What is wrong with the refunds of a payment: what was paid is the price of the seats that are left, and of those that were
/// refunded, each once.
pub(super) fn of_payment(row: &PaymentRow) -> Option<&'static str> {
    let PaymentRow { payment, reservation, refunds, .. } = row;
    let Some(reservation) = reservation else { return Some("its reservation is missing") };
    let mut refunded: Vec<u32> = refunds.iter().flat_map(|refund| refund.seats.iter().copied()).collect();
    let mut noted = reservation.refunded.clone();
    refunded.sort_unstable();
    noted.sort_unstable();
    let price = |seats: &[u32]| seats.iter().map(|seat| payment.price_of(*seat)).sum::<Option<i64>>();
    let is_priced = refunds.iter().all(|refund| price(&refund.seats) == Some(refund.amount + refund.fee));
    let left: Vec<u32> = payment.seats.iter().copied().filter(|seat| !refunded.contains(seat)).collect();
    let given: i64 = refunds.iter().map(|refund| refund.amount + refund.fee).sum();
    let mut entries: Vec<u64> = refunds.iter().map(|refund| refund.entry_version).collect();
    entries.sort_unstable();
    // Since the cancellation of its performance any refund is in full.
    let is_full = |refund: &Refund| refund.fee == 0 || row.cancelled.is_none_or(|(at, _)| refund.refunded_at <= at);
    let is_same = |refund: &Refund| {
        (refund.reservation, refund.performance) == (payment.reservation, payment.performance)
            && refund.user == payment.user
    };
    if refunded.windows(2).any(|pair| pair[0] == pair[1]) {
        Some("a seat was refunded twice")
    } else if entries.windows(2).any(|pair| pair[0] == pair[1]) {
        Some("two refunds name one ledger entry")
    } else if !refunds.iter().all(is_full) {
        Some("a refund after the cancellation kept a fee")
    } else if refunded != noted {
        Some("its reservation names other seats as refunded")
    } else if !refunds.iter().all(is_same) {
        Some("a refund names another reservation, performance or user")
    } else if !is_priced {
        Some("a refund and its fee are not the price of its seats")
    } else if price(&left).is_none_or(|kept| kept + given != payment.amount) {
        Some("the amount is not what is kept, refunded and charged as fees")
    } else {
        None
    }
}
