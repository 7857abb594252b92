//! The audit on a real Postgres: a correct sale, and the same sale with one error each.

#[path = "postgres_audit/cancellations.rs"]
mod cancellations;
#[path = "postgres_audit/draws.rs"]
mod draws;
#[path = "postgres_audit/waiting.rs"]
mod waiting;

use onsale_adapters::postgres::{PostgresAudit, PostgresUrl, migrate};
use onsale_app::audit::{Finding, audit};
use onsale_testing::postgres::{Database, shared, sql};

const SALE: &str = include_str!("postgres_audit.sql");

async fn sale() -> Database {
    let filled = |url: String| async move {
        migrate(&PostgresUrl::parse(&url).expect("a URL")).await.expect("a schema");
        sql(&url).await.batch_execute(SALE).await.expect("a sale");
    };
    shared().await.database("audited", filled).await
}

async fn open(database: &Database) -> PostgresAudit {
    PostgresAudit::open(&PostgresUrl::parse(&database.url()).expect("a URL")).await.expect("this binary's schema")
}

fn broken(findings: &[Finding]) -> Vec<(&str, u64, &[String])> {
    let broken = findings.iter().filter(|finding| finding.broken > 0);
    broken.map(|finding| (finding.invariant, finding.broken, &finding.examples[..])).collect()
}

/// How many things each invariant compares in the sale.
const CHECKED: [u64; 48] = [
    4, 4, 3, 6, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 4, 4, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0,
    0, 1, 31, 18, 8, 18, 8, 1, 0, 1,
];

#[tokio::test]
async fn the_audit_finds_nothing_in_a_correct_sale() {
    let database = sale().await;
    let findings = audit(&open(&database).await).await.unwrap();
    assert_eq!(broken(&findings), []);
    let checked: Vec<u64> = findings.iter().map(|finding| finding.checked).collect();
    assert_eq!(checked, CHECKED);
}

/// The lecture `two` is closed, with its event and its log entry.
const CHANGED: &str = "UPDATE lectures SET closed = true, changes = 1, version = 1, written_version = 1 WHERE lecture_id = id(11);
    INSERT INTO admin_log SELECT id(66), at, key_id, actor, 'lecture.changed', 'lecture:' || id(11), before, after, truncated, 'r'
        FROM admin_log WHERE log_id = id(62);
    UPDATE admin_log SET before = after, after = before WHERE log_id = id(66);
    INSERT INTO events VALUES ('onsale.lectures', id(11)::text, 1, id(96), 96, 'onsale.lecture.changed.v1', 1,
        json_build_object('lectureId', id(11), 'title', 'two', 'lecturer', null::text, 'startsAt', '1970-01-01T00:00:00.001Z',
            'capacity', 10, 'opensAt', null::text, 'closed', true, 'cancelled', false, 'reason', null::text))";

/// As [`CHANGED`], and the lecture is open again without a change.
const CHANGED_OTHERWISE: &str = "UPDATE lectures SET changes = 1, version = 1, written_version = 1 WHERE lecture_id = id(11);
    INSERT INTO events VALUES ('onsale.lectures', id(11)::text, 1, id(96), 96, 'onsale.lecture.changed.v1', 1,
        json_build_object('lectureId', id(11), 'title', 'two', 'lecturer', null::text, 'startsAt', '1970-01-01T00:00:00.001Z',
            'capacity', 10, 'opensAt', null::text, 'closed', true, 'cancelled', false, 'reason', null::text))";

/// Statements that damage the sale, each with parts of the texts of the invariants that it breaks.
const WRONGS: &[(&str, &[&str])] = &[
    ("INSERT INTO code_uses VALUES (id(33), id(80)); UPDATE codes SET uses = 1, taken = 3", &["no presale code"]),
    ("UPDATE accounts SET balance = 601 WHERE user_id = 'anna'", &["every balance"]),
    ("DELETE FROM accounts WHERE user_id = 'zoe'", &["every balance", "unbroken chain"]),
    ("INSERT INTO accounts VALUES ('yan', 5, 1, 1)", &["every balance", "unbroken chain"]),
    ("DELETE FROM ledger WHERE user_id = 'zoe'", &["every balance", "unbroken chain", "every event describes"]),
    ("DELETE FROM events WHERE event_id = id(1)", &["every ledger entry"]),
    ("UPDATE events SET event_id = id(99) WHERE event_id = id(1)", &["every ledger entry", "every event describes"]),
    (
        "UPDATE events SET topic = 'onsale.lectures' WHERE event_id = id(1)",
        &["every ledger entry", "every event describes"],
    ),
    ("UPDATE lectures SET enrolled = 2 WHERE lecture_id = id(10)", &["over its capacity"]),
    ("DELETE FROM freed_seats", &["no holes"]),
    ("UPDATE lectures SET highest_capacity = 11 WHERE lecture_id = id(10)", &["above the highest capacity"]),
    ("UPDATE applications SET seat_number = 11", &["highest capacity", "no holes", "every lecture's history"]),
    (
        "UPDATE lecture_history SET seat_number = 11 WHERE version = 2;
         UPDATE applications SET seat_number = 11;
         UPDATE lectures SET seats_given = 11, highest_capacity = 11 WHERE lecture_id = id(10)",
        &["above the highest capacity", "no holes", "history has its event"],
    ),
    (
        "UPDATE lectures SET changes = 1, version = 4, written_version = 4 WHERE lecture_id = id(10)",
        &["every change of a lecture"],
    ),
    ("UPDATE lectures SET changes = 1 WHERE lecture_id = id(10)", &["every change of a lecture", "every lecture's history"]),
    (CHANGED, &[]),
    (CHANGED_OTHERWISE, &["every change of a lecture"]),
    ("UPDATE lectures SET closed = true WHERE lecture_id = new_id()", &["every change by staff"]),
    (
        "UPDATE lectures SET cancelled_at = 1, cancel_reason = 'ill', cancelled_applications = 0 WHERE lecture_id = new_id()",
        &["every change by staff"],
    ),
    ("DELETE FROM applications", &["over its capacity", "no holes", "every lecture's history"]),
    (
        "UPDATE lecture_history SET version = 4 WHERE version = 3",
        &["history leads", "history has", "every event describes"],
    ),
    ("DELETE FROM events WHERE event_id = id(13)", &["history has its event"]),
    ("UPDATE performances SET sold = 4 WHERE performance_id = id(21)", &["sold as many seats"]),
    ("UPDATE performances SET holds = 2 WHERE performance_id = id(21)", &["counts its holds"]),
    ("UPDATE performances SET held = 2 WHERE performance_id = id(22)", &["counts its held seats"]),
    ("UPDATE performances SET revenue = 651 WHERE performance_id = id(21)", &["counts its held seats"]),
    ("UPDATE performances SET refunded = 0 WHERE performance_id = id(21)", &["counts its held seats"]),
    ("UPDATE performances SET capacity = 11 WHERE performance_id = id(21)", &["counts its held seats"]),
    ("INSERT INTO layouts VALUES (id(21), '[{\"name\":\"A\",\"grade\":\"-\",\"accessible\":false,\"rows\":[[\"1\",[1,4]]]}]')", &["every layout"]),
    ("UPDATE performances SET opens_at = 5", &["every performance has the hours"]),
    ("UPDATE performances SET closes_at = 5", &["every performance has the hours"]),
    ("UPDATE performances SET max_seats = 5", &["every performance has the hours"]),
    ("UPDATE rooms SET opens_at = 5", &["every room has the hours"]),
    ("UPDATE rooms SET closes_at = 5", &["every room has the hours"]),
    ("UPDATE rooms SET opened_at = 5", &["every room has the hours"]),
    ("UPDATE concerts SET closes_at = 5", &["every performance has the hours", "every room has the hours"]),
    ("UPDATE performances SET open_payments = 3 WHERE performance_id = id(21)", &["counts its payments of which"]),
    (
        "UPDATE performances SET blocked = 1 WHERE performance_id = id(21)",
        &["blocked as many seats", "every change by staff"],
    ),
    (
        "INSERT INTO seats (performance_id, seat, held_until, sold, block_reason) VALUES (id(21), 10, 0, false, 'why')",
        &["blocked as many seats", "every change by staff"],
    ),
    (
        "UPDATE seats SET reservation_id = NULL, block_reason = 'why' WHERE seat = 5",
        &["blocked as many seats", "counts its held seats", "every reservation has", "every change by staff"],
    ),
    (
        "ALTER TABLE seats DROP CONSTRAINT a_blocked_seat_has_no_reservation;
         UPDATE seats SET block_reason = 'why' WHERE seat = 5; UPDATE performances SET blocked = 1, held = 0 WHERE performance_id = id(22)",
        &["blocked as many seats", "every change by staff"],
    ),
    (
        "ALTER TABLE seats DROP CONSTRAINT a_blocked_seat_is_not_sold, DROP CONSTRAINT a_blocked_seat_has_no_reservation;
         UPDATE seats SET block_reason = 'why' WHERE seat = 3",
        &["blocked as many seats", "every change by staff"],
    ),
    ("UPDATE reservations SET held_until = 101 WHERE status = 'HELD'", &["every reservation has"]),
    ("UPDATE seats SET held_until = 101 WHERE NOT sold", &["every reservation has"]),
    // An extension that the rows of holds lack is read with them.
    (
        "INSERT INTO hold_extensions VALUES (id(22), 1, id(20), 2, id(95), 99, 60, 1, 'late')",
        &["holds and extensions", "every extension"],
    ),
    (
        "INSERT INTO hold_extensions VALUES (id(22), 1, id(20), 2, id(95), 99, 60, 1, 'late');
         UPDATE performances SET extensions = 1, version = 2, known_version = 2, noted_version = 2 WHERE performance_id = id(22);
         INSERT INTO events SELECT topic, subject, 2, id(95), 95, 'onsale.holds.extended.v1', 1, '{\"performanceId\": \"' ||
             subject || '\", \"at\": \"1970-01-01T00:00:00.099Z\", \"seconds\": 60, \"holds\": 1, \"reason\": \"late\"}'
             FROM events WHERE event_id = id(31)",
        &[],
    ),
    (
        "INSERT INTO hold_extensions VALUES (id(22), 1, id(20), 2, id(95), 99, 60, 1, 'late');
         UPDATE performances SET extensions = 1, version = 2, known_version = 2, noted_version = 2 WHERE performance_id = id(22);
         INSERT INTO events SELECT topic, subject, 2, id(95), 95, 'onsale.holds.extended.v1', 1, '{\"performanceId\": \"' ||
             subject || '\", \"at\": \"1970-01-01T00:00:00.099Z\", \"seconds\": 61, \"holds\": 1, \"reason\": \"late\"}'
             FROM events WHERE event_id = id(31);
         UPDATE reservations SET extended = 1 WHERE status = 'HELD'",
        &["every reservation has", "every extension"],
    ),
    // Dora's hold ended without an extension that came before.
    (
        "INSERT INTO hold_extensions VALUES (id(21), 1, id(20), 8, id(95), 99, 60, 1, 'late');
         UPDATE performances SET extensions = 1, version = 9, known_version = 9, noted_version = 9 WHERE performance_id = id(21);
         INSERT INTO events SELECT topic, subject, 8, id(95), 95, 'onsale.holds.extended.v1', 1, '{\"performanceId\": \"' ||
             subject || '\", \"at\": \"1970-01-01T00:00:00.099Z\", \"seconds\": 60, \"holds\": 1, \"reason\": \"late\"}'
             FROM events WHERE event_id = id(30);
         UPDATE events SET version = 9 WHERE event_id = id(35)",
        &["every reservation has"],
    ),
    ("UPDATE performances SET sale_closed = true, known_version = version", &["every performance has the hours"]),
    ("UPDATE rooms SET closed = true", &["every room has the hours"]),
    (
        "UPDATE concerts SET closed = true",
        &["every performance has the hours", "every room has the hours", "every change by staff"],
    ),
    ("DELETE FROM admin_log WHERE log_id = id(61)", &["every change by staff"]),
    ("UPDATE admin_log SET before = after, after = before WHERE log_id = id(62)", &["every change by staff"]),
    ("UPDATE staff_keys SET role = 'support'", &["every change by staff"]),
    ("UPDATE staff_keys SET deleted_at = 9", &["every change by staff", "directory of staff"]),
    ("UPDATE staff_directory SET live = 2", &["directory of staff"]),
    (
        "INSERT INTO staff_sessions VALUES (decode(repeat('07', 32), 'hex'), id(94), id(60), 1, 9)",
        &["every change by staff"],
    ),
    (
        "INSERT INTO staff_sessions VALUES (decode(repeat('07', 32), 'hex'), id(94), id(60), 1, 9);
         INSERT INTO admin_log VALUES (id(66), 1, id(60), 'ann', 'session.started', 'session:' || id(94), NULL, '{}', false, 'r')",
        &[],
    ),
    ("INSERT INTO external_charges VALUES ('pay', 'zoe', 1, 5, 5, 1)", &["every charge with an external id"]),
    (
        "INSERT INTO external_charges VALUES ('pay', 'zoe', 1, 5, 5, 1);
         INSERT INTO admin_log VALUES (id(66), 1, id(60), 'ann', 'points.charged', 'user:zoe', NULL, '{\"externalId\": \"pay\"}',
             false, 'r')",
        &[],
    ),
    ("DELETE FROM admin_log WHERE log_id = id(64)", &["every change by staff"]),
    (
        "INSERT INTO admin_log SELECT id(65), at, key_id, actor, action, subject, before, after, truncated, request_id
             FROM admin_log WHERE log_id = id(64)",
        &["every change by staff"],
    ),
    ("UPDATE lectures SET title = 'other' WHERE lecture_id = new_id()", &["every change by staff"]),
    (
        "INSERT INTO lectures (lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at,
             highest_capacity) SELECT 'ffffffff-ffff-7000-8000-000000000002', title, lecturer, starts_at, capacity, 0, 0, 0,
             updated_at, highest_capacity FROM lectures WHERE lecture_id = new_id()",
        &["every change by staff"],
    ),
    ("UPDATE performances SET closed = true, known_version = version WHERE performance_id = id(23)",
        &["every performance has the hours", "every change by staff"]),
    ("UPDATE concerts SET version = 1", &["every room has the hours"]),
    ("DELETE FROM events WHERE event_id = id(36)", &["every change of a performance"]),
    (
        "INSERT INTO events SELECT topic, subject, 9, id(96), 96, 'onsale.performance.changed.v1', 1, '{\"closed\": true}'
             FROM events WHERE event_id = id(31)",
        &["every performance has the hours", "every event describes"],
    ),
    ("DELETE FROM seats WHERE seat = 5", &["counts its held seats", "every reservation has"]),
    ("UPDATE seats SET reservation_id = id(30) WHERE seat = 5", &["has one owner", "every reservation has"]),
    ("UPDATE seats SET reservation_id = id(99) WHERE seat = 5", &["has one owner", "every reservation has"]),
    ("DELETE FROM events WHERE event_id = id(31)", &["every reservation has"]),
    ("DELETE FROM events WHERE event_id = id(35)", &["every reservation has"]),
    (
        "UPDATE reservations SET end_event_id = id(99) WHERE reservation_id = id(32)",
        &["every reservation", "every event"],
    ),
    (
        "DELETE FROM payments",
        &[
            "names a payment",
            "counts its held seats",
            "every reservation has",
            "every row belongs",
            "every event describes",
        ],
    ),
    (
        "UPDATE payments SET reservation_id = id(98) WHERE payment_id = id(40)",
        &["every reservation has", "every payment has", "for every payment"],
    ),
    ("UPDATE refunds SET fee = 51", &["for every payment", "every refund has"]),
    ("UPDATE refunds SET balance_after = 251", &["every refund has"]),
    ("UPDATE refunds SET user_id = 'anna'", &["for every payment", "every refund has"]),
    ("UPDATE refunds SET made_by = 'staff', reason = 'r'", &["every refund has"]),
    ("DELETE FROM void_tickets", &["every refunded seat has"]),
    ("UPDATE void_tickets SET ticket_id = id(98)", &["every refunded seat has"]),
    ("UPDATE void_tickets SET why = 'reissued'", &["every refunded seat has"]),
    ("UPDATE void_tickets SET performance_id = id(22)", &["every refunded seat has"]),
    (
        "INSERT INTO void_tickets SELECT id(98), event_id, payment_id, performance_id, 7, why, version, voided_at FROM void_tickets",
        &["every refunded seat has"],
    ),
    (
        "INSERT INTO check_ins VALUES (id(98), id(21), id(97), 7, id(41), 's', 'd', 1, 1, false, 'ADMITTED', NULL, NULL, 'COUNTS',
             7, NULL, 'root')",
        &["at most one check-in"],
    ),
    (
        "INSERT INTO events SELECT topic, subject, 70, id(97), 97, 'onsale.ticket.voided.v1', 1, '{}' FROM events
             WHERE event_id = id(30)",
        &["every event describes"],
    ),
    (
        "DELETE FROM refunds",
        &[
            "counts its held seats",
            "every payment has",
            "for every payment",
            "every refunded seat has",
            "every row belongs",
            "every event describes",
        ],
    ),
    (
        "INSERT INTO refunds SELECT id(43), payment_id, reservation_id, performance_id, user_id, seats, amount, fee, made_by, reason,
             balance_after, 9, refunded_at FROM refunds",
        &["counts its held seats", "every payment has", "for every payment", "every refund has"],
    ),
    ("DELETE FROM events WHERE event_id = id(42)", &["every refund has"]),
    // These rows allow a seat to be freed or sold again.
    ("DELETE FROM refunded_seats", &["every refund has"]),
    ("INSERT INTO refunded_seats VALUES (id(33), 7, id(42))", &["every refund has"]),
    ("INSERT INTO refunded_seats VALUES (id(30), 5, id(42))", &["every row belongs"]),
    ("UPDATE events SET data = replace(data, '\"buyer\"', '\"staff\"') WHERE event_id = id(42)", &["every refund has"]),
    ("UPDATE reservations SET refunded = '{}' WHERE user_id = 'rita'", &["every reservation has", "for every payment"]),
    ("UPDATE reservations SET prices = '{200,201}' WHERE user_id = 'rita'", &["every reservation has", "every payment has"]),
    ("UPDATE payments SET prices = '{200,201}' WHERE user_id = 'rita'", &["every payment has", "for every payment"]),
    ("INSERT INTO seats VALUES (id(21), 8, id(33), 100, true, 0)", &["sold as many seats", "has one owner", "every reservation has"]),
    (
        "INSERT INTO admin_log VALUES (id(66), 1, id(60), 'ann', 'performance.changed', 'performance:' || id(21),
             '{\"refundPolicy\": []}', '{\"refundPolicy\": [{\"hoursBefore\": 1, \"feePercent\": 2}]}', false, 'r')",
        &["every change by staff", "every change of a performance"],
    ),
    (
        "INSERT INTO ledger VALUES ('zoe', 2, id(98), 'ADJUSTMENT', -1, 4, NULL, 1);
         UPDATE accounts SET balance = 4, version = 2 WHERE user_id = 'zoe';
         INSERT INTO events SELECT topic, subject, 2, id(98), 98, 'onsale.points.adjusted.v1', 1,
             '{\"userId\":\"zoe\",\"amount\":-1,\"balanceAfter\":4,\"reference\":null}' FROM events WHERE event_id = id(3)",
        &["every adjustment its log entry"],
    ),
    (
        "INSERT INTO admin_log VALUES (id(67), 1, id(60), 'ann', 'points.adjusted', 'user:zoe', '{\"balance\": 4}',
             '{\"amount\": 1, \"balance\": 5, \"version\": 1, \"reason\": \"r\"}', false, 'r')",
        &["every row belongs"],
    ),
    ("UPDATE payments SET paid_at = 100", &["every payment has", "paid after it had lapsed"]),
    ("UPDATE ledger SET reference = NULL WHERE type = 'USE'", &["every ledger entry", "every payment has"]),
    (
        "INSERT INTO ledger VALUES ('abe', 1, id(97), 'CHARGE', 1, 1, id(40), 1)",
        &["every balance", "unbroken chain", "every ledger entry", "every payment has"],
    ),
    ("DELETE FROM events WHERE event_id = id(40)", &["every payment has"]),
    ("DELETE FROM places WHERE place = 2", &["every place in line"]),
    ("INSERT INTO place_disputes SELECT concert_id, 1, id(96), 'eve', 1 FROM rooms", &["shown with one token only"]),
    ("UPDATE rooms SET given_up = 2", &["counts its turns"]),
    ("UPDATE rooms SET admitted = 3", &["counts its turns"]),
    ("UPDATE turns SET settled_at = NULL", &["counts its turns"]),
    ("UPDATE turns SET place = 3 WHERE place = 2", &["counts its turns"]),
    ("DELETE FROM lectures", &["every row belongs"]),
    ("DROP INDEX places_current; UPDATE places SET user_id = 'user1' WHERE place = 2", &["at most one place"]),
    ("UPDATE relay_parts SET sent_to = 1::bigint << 40", &["every mark of the outbox"]),
    (
        "UPDATE relay_parts SET sent_to = 11, checked_to = NULL WHERE part = 0; DELETE FROM events",
        &["every ledger entry", "history has its event", "every reservation has", "every payment has", "every refund has", "every mark", "every change of a performance"],
    ),
    (
        "UPDATE relay_parts SET sent_to = (SELECT max(position) FROM events) WHERE part = 3",
        &["every mark of the outbox"],
    ),
    (
        "UPDATE relay_parts SET (sent_to, checked_to, checked_id) = (SELECT position, position, id(99) FROM events LIMIT 1)",
        &["every mark of the outbox"],
    ),
    // The same event again, with another version.
    (
        "INSERT INTO events SELECT topic, subject, 9, event_id, 9, type, at, data FROM events WHERE event_id = id(30)",
        &["every event describes"],
    ),
];

#[tokio::test]
async fn the_audit_finds_each_error() {
    let mut missed = Vec::new();
    let more = cancellations::WRONGS.iter().chain(waiting::WRONGS).chain(draws::WRONGS);
    for (wrong, invariants) in WRONGS.iter().chain(more) {
        let database = sale().await;
        // Triggers would refuse these statements, so they are disabled.
        let done = format!("SET session_replication_role = replica; {wrong}");
        database.sql().await.batch_execute(&done).await.unwrap_or_else(|error| panic!("{wrong}: {error:?}"));
        let findings = audit(&open(&database).await).await.unwrap();
        let found = broken(&findings);
        let mut pairs = found.iter().zip(*invariants);
        if found.len() != invariants.len() || !pairs.all(|((invariant, ..), expected)| invariant.contains(expected)) {
            missed.push(format!("{wrong}: {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[tokio::test]
async fn writes_after_the_audit_began_are_not_seen_and_do_not_wait() {
    let database = sale().await;
    let source = open(&database).await;
    let wrong = "SET lock_timeout = 1000; UPDATE accounts SET balance = 601 WHERE user_id = 'anna';
        DELETE FROM events; DELETE FROM places; UPDATE performances SET sold = 7";
    database.sql().await.batch_execute(wrong).await.unwrap();
    assert_eq!(broken(&audit(&source).await.unwrap()), []);
    assert_eq!(broken(&audit(&open(&database).await).await.unwrap()).len(), 10);
}
