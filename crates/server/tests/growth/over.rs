//! Past concerts cost an idle server nothing, and return at their next use.

use onsale_testing::{Launch, Sale, is_shared};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{ONSALE, audit, until};

/// Number of past concerts.
const CONCERTS: i64 = 500;

/// Makes past concerts: performances of two months ago, and rooms that admitted two users, who bought nothing.
const PAST: &str = "
    CREATE TEMP TABLE past AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        SELECT randomblob(16) id, (unixepoch() - 5184000) * 1000 at FROM n;
    INSERT INTO concerts (concert_id, title, venue, created_at) SELECT id, 'Past', 'Hall', at FROM past;
    INSERT INTO rooms (concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served,
            given_up, active, admissions, version, updated_at)
        SELECT id, 200, 50, 600, 60, 0, 2, 2, 0, 0, x'', 9, at FROM past;
    INSERT INTO places SELECT id, 1, 'ann', randomblob(16), at, 'CURRENT' FROM past;
    INSERT INTO places SELECT id, 2, 'bob', randomblob(16), at, 'CURRENT' FROM past;
    INSERT INTO performances (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at)
        SELECT randomblob(16), id, at + 1000,
        '[{\"from\":1,\"to\":50,\"grade\":\"R\",\"price\":50000}]', 50, 0, 1, at FROM past;";

fn add_past(launch: &Launch) {
    let db = Connection::open(launch.folder().join("onsale.db")).unwrap();
    for statement in PAST.split_inclusive(';') {
        let parameters = usize::from(statement.contains("?1"));
        db.execute(statement, rusqlite::params_from_iter([CONCERTS].iter().take(parameters))).unwrap();
    }
}

async fn metric(sale: &Sale, name: &str) -> i64 {
    let metrics = sale.caller.get("/metrics").send().await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("{name} in {text}"))
}

async fn rooms(sale: &Sale, many: i64) {
    let is_so = async || (metric(sale, "onsale_waiting_room_rooms").await == many).then_some(());
    until("rooms that are over are not in memory", is_so).await;
}

/// A token of a concert whose performance is over by now, and the concert.
async fn a_token_of_the_past(launch: &Launch) -> (String, String) {
    let sale = Sale::start(launch).await;
    let concert = sale.concert(&json!({})).await;
    sale.performance(&concert, &Value::Null).await;
    let token = sale.active(&concert, "cyd").await;
    sale.caller.delete("/queue/token").token(&token).expect(204).await;
    let settled = async || {
        let queue = sale.admin(sale.caller.get(&format!("/admin/concerts/{concert}/queue"))).expect(200).await;
        (queue["active"] == 0).then_some(())
    };
    until("the turn is settled", settled).await;
    assert!(sale.instance.terminate().await.success());
    let db = Connection::open(launch.folder().join("onsale.db")).unwrap();
    let two_months = 5_184_000_000_i64;
    for sql in [
        "UPDATE performances SET starts_at = starts_at - ?1",
        "UPDATE rooms SET updated_at = updated_at - ?1",
        "UPDATE places SET issued_at = issued_at - ?1",
    ] {
        db.execute(sql, [two_months]).unwrap();
    }
    // The log of administrators has the start, too.
    db.execute_batch(
        "DROP TRIGGER admin_log_is_never_rewritten;
        UPDATE admin_log SET after = json_set(after, '$.startsAt',
            (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', starts_at / 1000.0, 'unixepoch') FROM performances))
        WHERE action = 'performance.created'",
    )
    .unwrap();
    (token, concert)
}

#[tokio::test]
async fn rooms_of_past_concerts_leave_memory_and_return_on_request() {
    if is_shared() {
        return;
    }
    let launch = Sale::launch(ONSALE);
    let (token, concert) = a_token_of_the_past(&launch).await;
    add_past(&launch);
    let sale = Sale::start(&launch).await;
    let upcoming = sale.concert(&json!({})).await;
    sale.performance(&upcoming, &Value::Null).await;
    rooms(&sale, 1).await;
    let dropped =
        async || (metric(&sale, "onsale_retention_places_dropped_total").await == 2 * CONCERTS + 1).then_some(());
    until("places of two months ago are dropped", dropped).await;
    audit(&sale).await;

    // All concerts are listed, those that are over as sold out.
    let listed = sale.caller.get("/concerts?limit=200").expect(200).await;
    let listed: Vec<&Value> = listed.as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), 200);
    let sold_out = listed.iter().filter(|shown| shown["soldOut"] == true).count();
    assert!(sold_out >= 199, "{sold_out} of 200 are over");

    // A token of a past concert has expired, in every call.
    let place = sale.caller.get("/queue/token").token(&token).expect(200).await;
    assert_eq!((&place["status"], &place["soldOut"]), (&json!("EXPIRED"), &json!(true)));
    let dates = format!("/concerts/{concert}/dates");
    sale.caller.get(&dates).token(&token).refused(403, "queue-token-expired").await;
    sale.caller.delete("/queue/token").token(&token).expect(204).await;

    // Its user gets a new place at the end, and sees new performances.
    let queue = format!("/admin/concerts/{concert}/queue");
    assert_eq!(sale.admin(sale.caller.get(&queue)).expect(200).await["issued"], 1);
    sale.performance(&concert, &Value::Null).await;
    let again = sale.active(&concert, "cyd").await;
    assert_eq!(sale.caller.get(&dates).token(&again).expect(200).await.as_array().unwrap().len(), 1);
    assert_eq!(sale.admin(sale.caller.get(&queue)).expect(200).await["issued"], 2);
    audit(&sale).await;
}

#[tokio::test]
async fn old_events_are_deleted_without_kafka_too() {
    if is_shared() {
        return;
    }
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 1_000).await;
    sale.charge("ada", 2_000).await;
    assert!(sale.instance.terminate().await.success());
    let db = Connection::open(launch.folder().join("onsale.db")).unwrap();
    db.execute("UPDATE events SET at = at - 172800000 WHERE position = 1", []).unwrap();
    // An entry of the ledger is never rewritten: its event may be missing once it is as old.
    db.execute_batch("DROP TRIGGER ledger_is_never_rewritten; UPDATE ledger SET created_at = created_at - 172800000")
        .unwrap();
    let launch = launch.set("ONSALE_EVENTS_KEPT_DAYS", 1);
    let sale = Sale::start(&launch).await;
    let left = async || {
        let left: i64 = db.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
        (left == 1).then_some(())
    };
    until("the old event is forgotten", left).await;
    // It is counted after the commit.
    let counted = async || (metric(&sale, "onsale_retention_events_forgotten_total").await == 1).then_some(());
    until("the event is counted", counted).await;
    audit(&sale).await;
}
