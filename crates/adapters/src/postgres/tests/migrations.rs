//! Checks of the steps of the schema on a database that has rows, and of processes that migrate at the same time.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{Database, shared};
use onsale_testing::{PATIENCE, without};

use crate::postgres::connection::Role;
use crate::postgres::schema::{LOCK, STEPS};
use crate::postgres::{PostgresUrl, migrate};

/// The step that fills in the prices of seats.
const REFUNDS: usize = 14;

/// A sale of the schema before refunds: a payment of two seats in two sections, the seats in the order of the request.
const SOLD: &str = r#"
    INSERT INTO concerts (concert_id, title, venue, created_at) VALUES (lpad('1', 32, '0')::uuid, 't', 'v', 1);
    INSERT INTO performances (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at,
            known_version, holds)
        SELECT lpad('2', 32, '0')::uuid, concert_id, 1, '[{"from":1,"to":5,"grade":"R","price":200},
            {"from":7,"to":9,"grade":"S","price":90}]', 8, 2, 2, 1, 2, 0 FROM concerts;
    INSERT INTO reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until,
            status, extended)
        SELECT lpad('3', 32, '0')::uuid, concert_id, performance_id, 'ada', 1, '{8,2}', 290, 1, 2, 'PAID', 0
        FROM performances;
    INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold)
        SELECT performance_id, unnest(seats), reservation_id, 2, true FROM reservations;
    INSERT INTO payments (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at)
        SELECT lpad('4', 32, '0')::uuid, reservation_id, performance_id, user_id, seats, amount, 10, 1 FROM reservations;"#;

/// A database of an older version, as the program of that version left it.
async fn of_version(version: i32) -> (Database, PostgresUrl, Client) {
    let database = shared().await.empty_database().await;
    let url = PostgresUrl::parse(&database.url()).unwrap();
    let sql = database.sql().await;
    sql.batch_execute(
        "CREATE TABLE onsale_schema (version integer NOT NULL PRIMARY KEY,
        migrated_at timestamptz NOT NULL DEFAULT clock_timestamp())",
    )
    .await
    .unwrap();
    for (number, step) in (1..=version).zip(STEPS) {
        sql.batch_execute(&format!("BEGIN; {step}; INSERT INTO onsale_schema (version) VALUES ({number}); COMMIT"))
            .await
            .unwrap();
    }
    (database, url, sql)
}

async fn text(sql: &Client, question: &str) -> String {
    sql.query_one(question, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn prices_are_filled_in_and_rows_are_protected_again() {
    if without("postgres") {
        return;
    }
    let (_database, url, sql) = of_version(13).await;
    sql.batch_execute(SOLD).await.unwrap();
    assert_eq!(migrate(&url).await.unwrap(), STEPS.len() + 1 - REFUNDS);
    for table in ["reservations", "payments"] {
        assert_eq!(text(&sql, &format!("SELECT prices::text FROM {table}")).await, "{90,200}", "{table}");
    }
    let figures = "SELECT concat_ws(' ', held, revenue, refunded, max_seats) FROM performances";
    assert_eq!(text(&sql, figures).await, "0 290 0 4");
    // What has ended never changes, and a sold seat is freed only by a refund.
    for wrong in [
        "UPDATE reservations SET amount = 1",
        "UPDATE reservations SET refunded = '{8}'",
        "UPDATE payments SET amount = 1",
        "DELETE FROM seats WHERE seat = 8",
        "UPDATE seats SET reservation_id = gen_random_uuid() WHERE seat = 8",
        "INSERT INTO payments SELECT gen_random_uuid(), gen_random_uuid(), performance_id, user_id, seats, amount, 10, 1, '{1}' FROM payments",
    ] {
        assert!(sql.batch_execute(wrong).await.is_err(), "{wrong}");
    }
    let refund =
        "INSERT INTO refunds SELECT gen_random_uuid(), payment_id, reservation_id, performance_id, user_id, '{8}', 90,
            0, 'buyer', NULL, 100, 3, 1 FROM payments;
        INSERT INTO refunded_seats SELECT reservation_id, 8, refund_id FROM refunds;
        UPDATE reservations SET refunded = '{8}';
        DELETE FROM seats WHERE seat = 8";
    sql.batch_execute(refund).await.unwrap();
    assert!(sql.batch_execute("DELETE FROM seats WHERE seat = 2").await.is_err(), "the other seat stays sold");
}

/// Damage of an older version must not become a refund of points that were not paid.
#[tokio::test]
async fn prices_that_do_not_give_the_amount_end_the_step() {
    if without("postgres") {
        return;
    }
    for damage in [
        "UPDATE performances SET sections = replace(sections, '200', '201')",
        "UPDATE performances SET sections = replace(sections, '\"to\":9', '\"to\":7')",
        "UPDATE performances SET sections = replace(sections, '\"from\":1', '\"from\":3')",
    ] {
        let (_database, url, sql) = of_version(13).await;
        sql.batch_execute(SOLD).await.unwrap();
        sql.batch_execute(damage).await.unwrap();
        let error = migrate(&url).await.expect_err(damage).to_string();
        let reservation = "00000000-0000-0000-0000-000000000003";
        assert!(error.contains(reservation) && error.contains("do not give its amount"), "{damage}: {error}");
        assert_eq!(text(&sql, "SELECT max(version)::text FROM onsale_schema").await, "13", "{damage}");
    }
}

/// A server of schema 13 writes its own marks, and does not know what is closed, blocked or cancelled since.
#[tokio::test]
async fn a_server_of_schema_13_cannot_change_a_performance() {
    if without("postgres") {
        return;
    }
    let (_database, url, sql) = of_version(13).await;
    sql.batch_execute(SOLD).await.unwrap();
    migrate(&url).await.unwrap();
    let old = "UPDATE performances SET sold = sold, version = version + 1, known_version = version + 1";
    let refused = sql.batch_execute(old).await.unwrap_err();
    let constraint = refused.as_db_error().and_then(|error| error.constraint()).unwrap_or_default();
    assert_eq!(constraint, "servers_of_older_schemas_must_stop");
    sql.batch_execute(&format!("{old}, noted_version = version + 1")).await.unwrap();
}

/// A step of a large database lasts for minutes, and managed databases often limit statements.
#[tokio::test]
async fn a_migration_waits_for_another_one_without_a_limit() {
    if without("postgres") {
        return;
    }
    let database = shared().await.empty_database().await;
    let url = PostgresUrl::parse(&database.url()).unwrap();
    let sql = database.sql().await;
    let name = text(&sql, "SELECT current_database()::text").await;
    for limit in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
        sql.batch_execute(&format!("ALTER DATABASE \"{name}\" SET {limit} = 200")).await.unwrap();
    }
    let (client, _driver) = url.connect(Role::Migration).await.unwrap();
    for limit in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
        let shown: String = client.query_one(&format!("SHOW {limit}"), &[]).await.unwrap().get(0);
        assert_eq!(shown, "0", "{limit}");
    }
    // This session has the limits of a client that is not a migration, which began before they were set.
    sql.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.unwrap();
    let migration = tokio::spawn({
        let url = url.clone();
        async move { migrate(&url).await }
    });
    let waits =
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'
        AND clock_timestamp() - query_start > interval '600 ms')";
    let waiting = async {
        while !sql.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
            assert!(!migration.is_finished(), "the migration gave up");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    sql.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await.unwrap();
    assert_eq!(migration.await.unwrap().unwrap(), STEPS.len());
}
