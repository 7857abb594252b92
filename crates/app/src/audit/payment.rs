//! Payments: each with its reservation, its ledger entry and its event, each of them exactly once, and with its refunds.

use onsale_domain::concert::Status;
use onsale_domain::time::Timestamp;
use onsale_domain::wallet::{Entry, EntryKind};

use super::seat::matches;
use super::source::{AuditSource, PaymentRow};
use super::{Finding, cancellation, refund};
use crate::calendar::rfc3339;
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut agreement =
        Finding::new("every payment has one paid reservation, one ledger entry and one event that agree with it");
    let mut in_time = Finding::new("no hold was paid after it had lapsed");
    let mut on = Finding::new("nothing was paid after its performance was cancelled");
    let mut shares = Finding::new("for every payment, what was paid is kept, refunded or a fee, each seat once");
    let mut payments = source.payments();
    while let Some(row) = payments.recv().await {
        let row = row?;
        let wrong = what_is_wrong(&row, forgotten);
        agreement.check(wrong.is_none(), || format!("{}: {}", row.payment.id, wrong.unwrap_or_default()));
        let paid_at = row.payment.paid_at;
        let lapsed = row.reservation.as_ref().is_some_and(|reservation| reservation.held_until <= paid_at);
        in_time.check(!lapsed, || format!("{}: reservation {}", row.payment.id, row.payment.reservation));
        let is_late = cancellation::is_paid_after(&row);
        on.check(!is_late, || format!("{}: reservation {}", row.payment.id, row.payment.reservation));
        let wrong = refund::of_payment(&row);
        shares.check(wrong.is_none(), || format!("{}: {}", row.payment.id, wrong.unwrap_or_default()));
    }
    Ok(vec![agreement, in_time, on, shares])
}

fn what_is_wrong(row: &PaymentRow, forgotten: Timestamp) -> Option<&'static str> {
    let PaymentRow { payment, reservation, entries, refunds, event, .. } = row;
    let Some(reservation) = reservation else { return Some("its reservation is missing") };
    let same = reservation.user == payment.user
        && reservation.amount == payment.amount
        && reservation.seats == payment.seats
        && reservation.prices == payment.prices
        && reservation.performance == payment.performance;
    let (used, returned): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|entry| entry.kind != EntryKind::Refund);
    let [entry] = &used[..] else { return Some("it has no ledger entry, or more than one") };
    let entered = entry.user == payment.user
        && entry.kind == EntryKind::Use
        && entry.amount == payment.amount
        && entry.balance_after == payment.balance_after;
    let told = [("paymentId", payment.id.to_string()), ("paidAt", rfc3339(payment.paid_at))];
    if !matches!(reservation.status, Status::Paid | Status::Refunded) {
        Some("its reservation is not paid")
    } else if !same {
        Some("it is not what its reservation asked for")
    } else if !entered {
        Some("its ledger entry differs")
    } else if returned.len() != refunds.len() {
        Some("it has another number of refunds than of entries that give points back")
    } else if event.is_none() && payment.paid_at < forgotten {
        None
    } else if !matches(event.as_ref(), "onsale.payment.completed.v1", reservation, &told) {
        Some("its event is missing or differs")
    } else {
        None
    }
}
