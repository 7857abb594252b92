//! Changes of refunds and corrections that the audit must find.

use super::{
    Break, CAUSES, FAMILIES, OWNERS, PAYMENTS, POINTS_EVENTS, REFUNDS, RESERVATIONS, SHARES, SOLD, STAFF, broken,
};

#[rustfmt::skip]
pub(crate) const BREAKS: &[Break] = &[
    broken("DELETE FROM refunds WHERE refund_id = $refund", SHARES, "$purchase: its reservation names other seats"),
    broken("UPDATE refunds SET fee = fee + 1 WHERE refund_id = $refund", SHARES, "$purchase: a refund and its fee"),
    broken("INSERT INTO refunds SELECT x'000000000000000000000000000000ff', payment_id, reservation_id, performance_id, user_id, seats, amount, fee, made_by, reason, balance_after, entry_version, refunded_at FROM refunds WHERE refund_id = $refund", SHARES, "$purchase: a seat was refunded twice"),
    broken("UPDATE reservations SET refunded = '[1]' WHERE reservation_id = $bought", SHARES, "$purchase: its reservation names other seats"),
    broken("UPDATE payments SET prices = '[1,2,3]' WHERE payment_id = $purchase", SHARES, "$purchase: a refund and its fee"),
    broken("UPDATE payments SET prices = '[50000,50000,1]' WHERE payment_id = $purchase", SHARES, "$purchase: the amount"),
    broken("UPDATE refunds SET user_id = 'ada', entry_version = 1 WHERE refund_id = $refund", SHARES, "$purchase: a refund names another"),
    broken("UPDATE refunds SET amount = amount - 1 WHERE refund_id = $refund", REFUNDS, "$refund"),
    broken("UPDATE refunds SET entry_version = 1 WHERE refund_id = $last-refund", REFUNDS, "$last-refund"),
    broken("UPDATE ledger SET type = 'CHARGE' WHERE type = 'REFUND' AND user_id = 'lee'", REFUNDS, "$last-refund"),
    broken("UPDATE refunds SET entry_version = (SELECT entry_version FROM refunds WHERE refund_id = $refund) WHERE refund_id = $staff-refund", SHARES, "$purchase: two refunds name one"),
    broken("INSERT INTO ledger SELECT user_id, 99, randomblob(16), type, amount, balance_after, reference, created_at FROM ledger WHERE type = 'REFUND' AND user_id = 'lee'", PAYMENTS, "$return: it has another number of refunds"),
    broken("UPDATE ledger SET type = 'REFUND' WHERE user_id = 'ada' AND version = 1", CAUSES, "ada, entry 1: no payment"),
    broken("DELETE FROM events WHERE type = 'onsale.points.refunded.v1' AND subject = 'lee'", POINTS_EVENTS, "lee"),
    broken("DELETE FROM events WHERE event_id = $refund", REFUNDS, "$refund"),
    broken("UPDATE events SET data = json_set(data, '$.by', 'staff') WHERE event_id = $refund", REFUNDS, "$refund"),
    broken("DELETE FROM admin_log WHERE action = 'payment.refunded'", REFUNDS, "$staff-refund: its number of log entries"),
    broken("DELETE FROM ledger WHERE type = 'REFUND' AND user_id = 'lee'", PAYMENTS, "$return: it has another number of refunds"),
    broken("UPDATE reservations SET prices = '[1,1,1]' WHERE reservation_id = $bought", RESERVATIONS, "$bought: the prices"),
    broken("UPDATE reservations SET status = 'PAID' WHERE reservation_id = $returned", RESERVATIONS, "$returned"),
    broken("UPDATE reservations SET status = 'REFUNDED' WHERE reservation_id = $bought", RESERVATIONS, "$bought"),
    broken("DELETE FROM seats WHERE reservation_id = $bought", RESERVATIONS, "$bought"),
    broken("INSERT INTO seats SELECT performance_id, 1, reservation_id, held_until, sold, 0, NULL FROM seats WHERE reservation_id = $bought", OWNERS, "$bought"),
    broken("DELETE FROM admin_log WHERE action = 'points.adjusted'", CAUSES, "kim"),
    broken("UPDATE admin_log SET after = json_set(after, '$.version', 99) WHERE action = 'points.adjusted'", CAUSES, "kim"),
    broken("INSERT INTO admin_log SELECT randomblob(16), at, key_id, actor, action, subject, before, after, truncated, request_id FROM admin_log WHERE action = 'points.adjusted'", CAUSES, "kim"),
    broken("INSERT INTO admin_log SELECT randomblob(16), at, key_id, actor, action, subject, before, json_set(after, '$.version', 99), truncated, request_id FROM admin_log WHERE action = 'points.adjusted'", FAMILIES, "admin_log without their ledger"),
    broken("DELETE FROM refunded_seats WHERE refund_id = $refund", REFUNDS, "$refund: other seats"),
    broken("INSERT INTO refunded_seats VALUES ($paid, 1, $refund)", FAMILIES, "refunded_seats without their refunds: $refund"),
    broken("UPDATE events SET type = 'onsale.points.charged.v1' WHERE type = 'onsale.points.adjusted.v1'", POINTS_EVENTS, "kim"),
    broken("UPDATE performances SET refund_policy = '1 2' WHERE performance_id = $matinee", STAFF, "$matinee"),
    broken("UPDATE performances SET sold = sold + 1 WHERE performance_id = $matinee", SOLD, "$matinee"),
];
