//! Cancellations of performances that do not agree with their events, their payments or the admin log.

/// Cancels the performance of carl's hold, without a log entry.
macro_rules! cancelled {
    () => {
        "INSERT INTO cancellations SELECT id(22), id(20), 2, id(97), 2, 'ill', 0, 0, 0, false, 0, false, 0, 0, 0;
         UPDATE performances SET cancelled_at = 2, version = 2, known_version = 2, noted_version = 2
             WHERE performance_id = id(22);
         INSERT INTO events SELECT topic, subject, 2, id(97), 97, 'onsale.performance.cancelled.v1', 2, '{\"performanceId\": \"'
             || subject || '\", \"concertId\": \"' || id(20) || '\", \"reason\": \"ill\", \"cancelledAt\":
             \"1970-01-01T00:00:00.002Z\"}' FROM events WHERE event_id = id(31);"
    };
}

/// Cancels the performance of the payments, without a log entry. Steps have passed all seats, and refunded none.
macro_rules! settled {
    () => {
        "INSERT INTO cancellations SELECT id(21), id(20), 8, id(97), 100, 'ill', 2, 150, 10, true, 2, false, 0, 1, 0;
         UPDATE performances SET cancelled_at = 100, version = 8, known_version = 8, noted_version = 8
             WHERE performance_id = id(21);
         INSERT INTO events SELECT topic, subject, 8, id(97), 97, 'onsale.performance.cancelled.v1', 100, '{\"performanceId\": \"'
             || subject || '\", \"concertId\": \"' || id(20) || '\", \"reason\": \"ill\", \"cancelledAt\":
             \"1970-01-01T00:00:00.100Z\"}' FROM events WHERE event_id = id(30);"
    };
}

const CANCELLED: &str = cancelled!();

/// Statements, each with parts of the texts of the invariants that they break.
pub(crate) const WRONGS: &[(&str, &[&str])] = &[
    // A cancellation that agrees with everything but its log entry, and then further errors of it.
    (CANCELLED, &["every change by staff"]),
    ("UPDATE performances SET cancelled_at = 1 WHERE performance_id = id(22)", &["every cancelled performance", "every change by staff"]),
    (concat!(cancelled!(), "UPDATE performances SET cancelled_at = 3 WHERE performance_id = id(22)"),
        &["every cancelled performance", "every change by staff"]),
    (concat!(cancelled!(), "DELETE FROM events WHERE event_id = id(97)"), &["every cancelled performance", "every change by staff"]),
    (concat!(cancelled!(), "UPDATE cancellations SET reason = 'well'"), &["every cancelled performance", "every change by staff"]),
    (concat!(cancelled!(), "UPDATE cancellations SET version = 1"),
        &["every cancelled performance", "every change by staff"]),
    (concat!(cancelled!(), "UPDATE cancellations SET is_through = true"), &["every cancelled performance", "every change by staff"]),
    (concat!(cancelled!(), "DELETE FROM cancellations"),
        &["every cancelled performance", "every event describes", "every change by staff"]),
    (concat!(settled!(), "INSERT INTO failed_refunds VALUES (id(21), id(40), id(30), 100), (id(21), id(41), id(33), 100)"),
        &["every change by staff"]),
    (concat!(settled!(), "INSERT INTO failed_refunds VALUES (id(21), id(40), id(30), 100), (id(21), id(41), id(33), 100); UPDATE cancellations SET payments = 3"),
        &["every cancelled performance", "every change by staff"]),
    (concat!(settled!(), "INSERT INTO failed_refunds VALUES (id(21), id(40), id(30), 100)"),
        &["every cancelled performance", "every change by staff"]),
    (concat!(settled!(), "INSERT INTO failed_refunds VALUES (id(21), id(40), id(30), 100), (id(21), id(41), id(33), 100);
         UPDATE cancellations SET cancelled_at = 55; UPDATE performances SET cancelled_at = 55 WHERE performance_id = id(21)"),
        &["every cancelled performance", "for every payment", "every change by staff"]),
    (
        "INSERT INTO cancellations SELECT id(21), id(20), 2, id(96), 0, 'ill', 2, 0, 10, true, 0, true, 0, 1, 0;
         UPDATE performances SET cancelled_at = 0 WHERE performance_id = id(21)",
        &["every cancelled performance", "paid after its performance", "for every payment", "every change by staff"],
    ),
];
