//! Changes of a cancelled performance that the audit must find.

use super::{Break, CANCELLED, FAMILIES, ON, OPEN, REFUNDS, RESERVATIONS, SHARES, STAFF, broken};

#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("UPDATE performances SET open_payments = open_payments + 1 WHERE performance_id = $matinee", OPEN, "$matinee"),
    broken("UPDATE performances SET cancelled_at = NULL WHERE performance_id = $off", CANCELLED, "$off: it is not marked"),
    broken("UPDATE performances SET cancelled_at = 1 WHERE performance_id = $performance", CANCELLED, "$performance: it is marked"),
    broken("UPDATE performances SET cancelled_at = cancelled_at + 1 WHERE performance_id = $off", STAFF, "$off: cancelledAt"),
    broken("DELETE FROM cancellations", CANCELLED, "$off"),
    broken("UPDATE cancellations SET reason = 'well'", CANCELLED, "$off: the event"),
    broken("UPDATE cancellations SET payments = payments + 1", CANCELLED, "$off: it names another number of payments"),
    broken("UPDATE cancellations SET version = version + 99", CANCELLED, "$off: its cancellation names"),
    broken("DELETE FROM events WHERE type = 'onsale.performance.cancelled.v1'", CANCELLED, "$off: the event"),
    broken("UPDATE cancellations SET payments = 0; UPDATE performances SET open_payments = 1 WHERE performance_id = $off", CANCELLED, "$off: something was paid"),
    broken("INSERT INTO seats SELECT performance_id, 1, reservation_id, held_until, 1, 0, NULL FROM reservations WHERE reservation_id = $gone", CANCELLED, "$off: its steps"),
    broken("INSERT INTO seats SELECT performance_id, 3, reservation_id, held_until, 0, 0, NULL FROM reservations WHERE reservation_id = $dropped", CANCELLED, "$off: its steps"),
    broken("UPDATE cancellations SET is_through = 0", CANCELLED, "$off: its steps"),
    broken("UPDATE cancellations SET is_done = 0; INSERT INTO seats SELECT performance_id, 1, reservation_id, held_until, 1, 0, NULL FROM reservations WHERE reservation_id = $gone", CANCELLED, "$off: its steps have passed a payment"),
    broken("UPDATE refunds SET fee = 1, amount = amount - 1, refunded_at = refunded_at + 1000 WHERE payment_id = $gone-payment", SHARES, "$gone-payment: a refund after the cancellation"),
    broken("UPDATE reservations SET status = 'HELD' WHERE reservation_id = $dropped", CANCELLED, "$off: its steps"),
    broken("UPDATE payments SET paid_at = paid_at + 3600000 WHERE payment_id = $gone-payment", ON, "$gone-payment"),
    broken("UPDATE events SET version = 99 WHERE event_id = $gone-payment", ON, "$gone-payment"),
    broken("UPDATE refunds SET made_by = 'staff' WHERE payment_id = $gone-payment", REFUNDS, "its event"),
    broken("DELETE FROM admin_log WHERE action = 'performance.cancelled'", STAFF, "$off: cancelledAt"),
    broken("INSERT INTO admin_log SELECT randomblob(16), at, key_id, actor, action, subject, before, after, truncated, request_id FROM admin_log WHERE action = 'performance.cancelled'", STAFF, "$off: cancelledAt"),
    broken("UPDATE events SET data = json_set(data, '$.reason', 'ended') WHERE data LIKE '%$dropped%' AND type LIKE '%released%'", RESERVATIONS, "$dropped"),
    broken("INSERT INTO failed_refunds VALUES ($off, x'000000000000000000000000000000ff', $gone, 1)", FAMILIES, "failed_refunds"),
];
