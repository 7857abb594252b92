//! Cancellations: each marks its performance, has its event, and leaves no seat held or sold when it is done.

use onsale_domain::cancellation::Cancellation;
use onsale_domain::time::Timestamp;
use serde_json::{Value, json};

use super::source::{EventRow, PaymentRow, PerformanceRow};
use crate::calendar::rfc3339;

/// What is wrong with the cancellation of a performance, or with the mark of a performance that has none.
pub(super) fn what_is_wrong(row: &PerformanceRow, forgotten: Timestamp) -> Option<&'static str> {
    let performance = &row.performance;
    let Some((cancellation, event)) = &row.cancelled else {
        return performance.cancelled_at.map(|_| "it is marked as cancelled without a cancellation");
    };
    // The task that deletes old events may have deleted this one.
    let is_told = event.as_ref().map_or(cancellation.cancelled_at < forgotten, |event| is_of(event, cancellation));
    let (is_through, is_done) = (cancellation.progress.is_through, cancellation.progress.is_done);
    if performance.cancelled_at != Some(cancellation.cancelled_at) {
        Some("it is not marked with the instant of its cancellation")
    } else if cancellation.concert != performance.concert || cancellation.version > performance.version {
        Some("its cancellation names another concert or a later version")
    } else if !is_told {
        Some("the event of its cancellation is missing or differs")
    } else if performance.open_payments > cancellation.payments || performance.refunded < cancellation.refunded_before {
        Some("something was paid since, or points were taken back again")
    } else if (is_through && (row.holds > 0 || row.held_seats > 0)) || (is_done && (!is_through || row.sold_seats > 0))
    {
        Some("its steps have passed a seat that is held, or are done and a seat is sold")
    } else if is_through && row.failed_open != row.open_payments {
        // No step tries it again.
        Some("its steps have passed a payment that is neither refunded nor listed as failed")
    } else if !is_counted(row, cancellation) {
        Some("it names another number of payments than were open at its cancellation")
    } else {
        None
    }
}

/// Whether the payments that a cancellation names are those that are still open, and those that were refunded in full since. No
/// time decides that, because a clock may have been set back: its own steps came after it, and any other refund perhaps.
fn is_counted(row: &PerformanceRow, cancellation: &Cancellation) -> bool {
    let settled = u64::from(cancellation.payments.saturating_sub(row.performance.open_payments));
    let (by_steps, all) = row.refunded_payments;
    (by_steps..=all).contains(&settled)
}

fn is_of(event: &EventRow, cancellation: &Cancellation) -> bool {
    let performance = cancellation.performance.to_string();
    let data = json!({
        "performanceId": performance, "concertId": cancellation.concert.to_string(), "reason": &*cancellation.reason,
        "cancelledAt": rfc3339(cancellation.cancelled_at),
    });
    event.kind == "onsale.performance.cancelled.v1"
        && event.subject == performance
        && event.version == cancellation.version
        && serde_json::from_str::<Value>(&event.data).is_ok_and(|found| found == data)
}

/// Whether a payment came after the cancellation of its performance: by its instant, or by the order of their events. A cancellation
/// is never dated before an earlier payment, whatever the clock was set to.
pub(super) fn is_paid_after(row: &PaymentRow) -> bool {
    row.cancelled.is_some_and(|(cancelled_at, version)| {
        row.payment.paid_at > cancelled_at || row.event.as_ref().is_some_and(|event| event.version > version)
    })
}
