//! Subtle changes that the audit must find.

use super::{Break, PAYMENTS, RESERVATIONS, broken};

/// Subtle inconsistencies: in the fields of a single kind of event, and a debit without a payment.
#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("UPDATE events SET data = json_set(data, '$.paymentId', '$held') WHERE event_id = $payment", PAYMENTS, "$payment"),
    broken("UPDATE events SET data = json_set(data, '$.paidAt', '2020-01-01T00:00:00.000Z') WHERE event_id = $payment", PAYMENTS, "$payment"),
    broken("UPDATE events SET data = json_set(data, '$.heldUntil', '2020-01-01T00:00:00.000Z') WHERE event_id = $held", RESERVATIONS, "$held"),
    broken("DELETE FROM payments WHERE payment_id = $payment; DELETE FROM events WHERE event_id = $payment;
            UPDATE reservations SET status = 'HELD' WHERE reservation_id = $paid;
            UPDATE seats SET sold = 0 WHERE reservation_id = $paid; UPDATE performances SET sold = sold - 2 WHERE performance_id = $performance", "", "$payment"),
];
