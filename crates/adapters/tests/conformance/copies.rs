//! A sale with rows in every table is copied from each kind of database to each: no table, column or row is lost.

use std::collections::BTreeMap;
use std::path::Path;

use onsale_adapters::copy::plan::plan;
use onsale_adapters::copy::{Batch, CopyError, Progress, Source, Target, copy};
use onsale_adapters::postgres::{PostgresSource, PostgresTarget, PostgresUrl};
use onsale_adapters::sqlite::{SqliteSource, SqliteStore, SqliteTarget};
use onsale_app::store::Store;
use onsale_testing::postgres::{Database, shared};
use onsale_testing::without;
use rusqlite::Connection;
use rusqlite::types::Value;
use tokio::sync::mpsc::channel;

use crate::stage::Stage;

/// Rows for the tables that the stage leaves empty, and values that are unlike those of a new row. A new table needs a row here.
const FILL: &str = r#"
    INSERT INTO layouts SELECT performance_id, '[{"name":"A","grade":"R","accessible":true,"rows":[["1",[1,2]]]}]' FROM performances;
    UPDATE performances SET waitlisted = 1, offered = 2, offer_seconds = 60;
    INSERT INTO seat_waits SELECT performance_id, 'zed', randomblob(16), concert_id, 2, 'A', '', 9, 7, 'WAITING', NULL FROM performances;
    INSERT INTO seat_wishes SELECT performance_id, 2, 'A', '', 1 FROM performances;
    INSERT INTO secrets VALUES ('token', x'00ff0a');
    INSERT INTO freed_seats (lecture_id, seat_number) SELECT lecture_id, 2 FROM lectures LIMIT 1;
    UPDATE lectures SET lecturer = 'Ada', opens_at = 5, closed = 1, cancelled_at = 6, cancel_reason = 'ill',
        cancelled_applications = 7, highest_capacity = 9, changes = 2, moved_at = 4, waitlisted = 1;
    INSERT INTO applications (lecture_id, user_id, applied_at, waiting_number) SELECT lecture_id, 'zed', 7, 9 FROM lectures;
    INSERT INTO waiting_blocks SELECT lecture_id, 7, 1 FROM lectures;
    INSERT INTO lecture_history (lecture_id, version, line_id, user_id, type, created_at, position)
        SELECT lecture_id, 9, randomblob(16), 'zed', 'WAITLISTED', 7, 1 FROM lectures;
    INSERT INTO kept_answers (owner, key, fingerprint, answer, kept_at) VALUES
        ('b', 'later', zeroblob(32), x'7b7d', 1), ('a', 'sooner', zeroblob(32), x'', 2), ('', '좌석', zeroblob(32), x'00', 3);
    INSERT INTO places (concert_id, place, user_id, token_id, issued_at, standing)
        SELECT concert_id, 9, 'zed', zeroblob(16), 1, 'GIVEN_UP' FROM rooms LIMIT 1;
    INSERT INTO turn_ends (concert_id, place, ended_at) SELECT concert_id, place, 7 FROM turns LIMIT 1;
    INSERT INTO place_disputes VALUES (randomblob(16), 1, randomblob(16), 'zed', 1);
    INSERT INTO relays VALUES (randomblob(16), 5);
    UPDATE relay_parts SET sent_to = part, checked_to = part, fence = part * 3;
    UPDATE relay_parts SET relay = randomblob(16), checked_id = randomblob(16), leased_until = 9 WHERE part = 3;
    INSERT INTO events_put_back SELECT min(position) FROM events;
    INSERT INTO deliveries VALUES (randomblob(16), 1);
    INSERT INTO delivery_files VALUES ('2026-11-25/onsale.concerts-3.ndjson', 7);
    INSERT INTO dead_letters VALUES (randomblob(16), 'onsale.points.charged.v1', 'ada', 1, '{}', 'why');
    UPDATE events SET state = 'DEAD', reason = 'why', trace = randomblob(24) WHERE position = 2;
    UPDATE events_forgotten SET before = 77;
    UPDATE concerts SET notice_ko = '알림', notice_en = 'line one' || char(10) || 'it''s two', version = 3;
    UPDATE concerts SET opens_at = 5, closes_at = 6, max_seats = 7, codes_until = 8;
    UPDATE performances SET opens_at = 5, closes_at = 6, codes_until = 8, max_seats = 7, held = 8, revenue = 9, refunded = 10;
    UPDATE rooms SET opens_at = 5, early_from = 4, opened_at = 5, closes_at = 6, codes_until = 8, admitted = 11, blocks = zeroblob(60), retired_version = version, paused = 1;
    INSERT INTO draws SELECT concert_id, zeroblob(32), 'a beacon', 7, 'value', randomblob(32), '[]', x'0000000200000001' FROM rooms;
    UPDATE rooms SET list = randomblob(40);
    INSERT INTO hold_extensions (performance_id, number, concert_id, version, event_id, at, seconds, holds, reason, written)
        SELECT performance_id, 1, concert_id, version, randomblob(16), 1, 60, 2, 'late', 1 FROM performances;
    UPDATE staff_directory SET version = 2, live = 1, change_id = randomblob(16), since = 5;
    INSERT INTO staff_keys (key_id, name, role, hash, created_at, deleted_at) VALUES
        (x'0a000000000000000000000000000000', 'desk', 'support', zeroblob(32), 1, NULL),
        (x'0b000000000000000000000000000000', 'gone', 'door', randomblob(32), 1, 2);
    INSERT INTO staff_key_uses SELECT key_id, 60000 FROM staff_keys;
    INSERT INTO staff_sessions (hash, session_id, key_id, started_at, expires_at)
        SELECT hash, randomblob(16), key_id, 1, 2 FROM staff_keys;
    INSERT INTO admin_log (log_id, at, key_id, actor, action, subject, before, after, truncated, request_id)
        SELECT randomblob(16), 1, key_id, name, 'key.create', 'key:1', NULL, '{"name":"desk"}', 1, 'r' FROM staff_keys;
    INSERT INTO external_charges (external_id, user_id, version, amount, balance_after, charged_at)
        SELECT 'pay-1', user_id, version, amount, balance_after, created_at FROM ledger WHERE type = 'CHARGE' LIMIT 1;
    INSERT INTO refunds (refund_id, payment_id, reservation_id, performance_id, user_id, seats, amount, fee, made_by, reason,
            balance_after, entry_version, refunded_at)
        SELECT randomblob(16), payment_id, reservation_id, performance_id, user_id, seats, 10, 1, 'staff', 'moved', 500,
            (SELECT max(version) FROM ledger WHERE ledger.user_id = payments.user_id), 1 FROM payments;
    UPDATE performances SET blocked = 1, revision = version;
    INSERT INTO seats (performance_id, seat, held_until, sold, block_reason)
        SELECT performance_id, 4, 0, 0, 'a camera' FROM performances;
    INSERT INTO refunded_seats (reservation_id, seat, refund_id) SELECT reservation_id, 1, refund_id FROM refunds;
    INSERT INTO cancellations SELECT performance_id, concert_id, version, randomblob(16), 5, 'ill', 1, 7, 3, 1, 1, 0, 60000, -7, 9
        FROM performances;
    UPDATE performances SET cancelled_at = 5, open_payments = 1;
    INSERT INTO codes SELECT concert_id, 'FAN-1', x'0c000000000000000000000000000000', 5, 2, 3, 9, 1, 4 FROM concerts LIMIT 1;
    INSERT INTO code_uses SELECT reservation_id, x'0c000000000000000000000000000000' FROM reservations LIMIT 1;
    INSERT INTO failed_refunds SELECT performance_id, payment_id, reservation_id, 6 FROM payments;
    INSERT INTO void_tickets SELECT randomblob(16), randomblob(16), payment_id, performance_id, 1, 'refunded', 3, 5 FROM payments;
    INSERT INTO check_ins SELECT randomblob(16), performance_id, randomblob(16), 2, payment_id, 'one', '게이트', 5, 6, 1,
        'ADMITTED', NULL, NULL, 'UNDONE', 4, 9, 'door' FROM payments LIMIT 1;
    INSERT INTO check_ins SELECT randomblob(16), performance_id, NULL, NULL, NULL, 'two', 'gate', 5, 6, 0,
        'ALREADY_CHECKED_IN', 7, 'gate 3', 'REFUSED', 0, NULL, 'root' FROM payments LIMIT 1;
    INSERT INTO ended_sessions VALUES (3, randomblob(16), 5), (9, zeroblob(16), 7);
    INSERT INTO ticket_keys VALUES (5, randomblob(32), 1), (5, zeroblob(32), 0);
"#;

/// A file of a sale with a row in every table.
async fn sale(path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    drop(Stage::new(&store).await);
    store.close().await;
    drop(store);
    let db = Connection::open(path).unwrap();
    db.execute_batch(FILL).unwrap();
}

/// All rows of all tables, and the statements that made the schema.
fn picture(path: &Path) -> BTreeMap<String, Vec<String>> {
    let db = Connection::open(path).unwrap();
    let mut picture = BTreeMap::new();
    let made: Vec<String> = strings(&db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY sql");
    for table in strings(&db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'") {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<Value> = (0..width).map(|column| row.get(column).unwrap()).collect();
            lines.push(format!("{values:?}"));
        }
        // A table without a key of its own has its rows in the order in which they came.
        lines.sort_unstable();
        picture.insert(table, lines);
    }
    picture.insert("the schema".to_owned(), made);
    picture
}

fn strings(db: &Connection, sql: &str) -> Vec<String> {
    db.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

async fn source_on(url: &str) -> PostgresSource {
    PostgresSource::open(&PostgresUrl::parse(url).unwrap()).await.unwrap()
}

async fn target_on(url: &str) -> Result<PostgresTarget, CopyError> {
    PostgresTarget::open(&PostgresUrl::parse(url).unwrap()).await
}

/// Copies, and returns the tables that were reported.
async fn copied(mut source: impl Source, target: impl Target + 'static) -> Vec<String> {
    let mut tables = Vec::new();
    let mut rows = 0;
    let report = |progress: Progress| {
        rows += progress.rows;
        assert!(progress.is_whole, "no table is long: {progress:?}");
        tables.push(progress.table);
    };
    let all = copy(&mut source, Box::new(target), report).await.unwrap();
    assert_eq!(all, rows);
    tables.sort_unstable();
    tables
}

/// The tables of a database on Postgres.
async fn tables_on(database: &Database) -> Vec<String> {
    let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1";
    database.sql().await.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn every_row_of_every_table_survives_the_way_there_and_back() {
    if without("postgres") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    sale(&file("first.db")).await;
    let before = picture(&file("first.db"));
    for (table, rows) in &before {
        assert!(!rows.is_empty(), "{table} has no row: add one to FILL");
    }
    let (there, further) = (shared().await.empty_database().await, shared().await.empty_database().await);

    let tables = copied(SqliteSource::open(&file("first.db")).await.unwrap(), target_on(&there.url()).await.unwrap());
    let tables = tables.await;
    let own = ["event_positions", "instance_figures", "leavings", "onsale_schema"];
    let all: Vec<String> = tables_on(&there).await.into_iter().filter(|name| !own.contains(&name.as_str())).collect();
    assert_eq!(tables, all, "every table of Postgres is copied, or describes only the database");
    let of_file: Vec<&String> = before.keys().filter(|name| *name != "the schema").collect();
    assert_eq!(tables.iter().collect::<Vec<_>>(), of_file, "every table of SQLite is copied");

    // What is there for instances only, and is not copied: a wallet that was only locked, and a turn that was settled.
    let sql = there.sql().await;
    sql.batch_execute(
        "INSERT INTO accounts VALUES ('only-locked', 0, 0, NULL);
        INSERT INTO turns (concert_id, place, admitted_at, active_until, seen_at, claimed, version, settled_at)
            SELECT concert_id, 99, 1, 2, 1, true, 1, 3 FROM rooms LIMIT 1",
    )
    .await
    .unwrap();
    drop(sql);
    copied(source_on(&there.url()).await, target_on(&further.url()).await.unwrap()).await;
    copied(source_on(&further.url()).await, SqliteTarget::open(&file("back.db")).await.unwrap()).await;
    copied(SqliteSource::open(&file("back.db")).await.unwrap(), SqliteTarget::open(&file("last.db")).await.unwrap())
        .await;
    for name in ["back.db", "last.db"] {
        let after = picture(&file(name));
        for (table, rows) in &before {
            assert_eq!(rows, &after[table], "{table} of {name}");
        }
    }
}

#[tokio::test]
async fn new_events_on_postgres_come_after_the_copied_ones() {
    if without("postgres") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sale.db");
    sale(&path).await;
    // As a server with far more transactions wrote it.
    let last: i64 = 1 << 60;
    Connection::open(&path).unwrap().execute("UPDATE events SET position = ?1 WHERE position = 3", [last]).unwrap();
    let database = shared().await.empty_database().await;
    copied(SqliteSource::open(&path).await.unwrap(), target_on(&database.url()).await.unwrap()).await;
    let next = "SELECT (pg_current_xact_id()::text::bigint + added) << 16 FROM event_positions";
    let next: i64 = database.sql().await.query_one(next, &[]).await.unwrap().get(0);
    assert!(next > last, "{next}");
}

/// Copies the first tables, and ends without a commit.
async fn begin(mut source: impl Source, mut target: impl Target) {
    let (have, want) = (source.tables().await.unwrap(), target.tables().await.unwrap());
    let steps = plan((source.database(), &have), (target.database(), &want)).unwrap();
    let mut rows = 0;
    for step in &steps[..steps.len() / 2] {
        let (sender, mut read) = channel::<Batch>(1);
        let (pass, written) = channel(1);
        let passing = async {
            while let Some(batch) = read.recv().await {
                rows += 1;
                pass.send(batch).await.unwrap();
            }
            drop(pass);
        };
        let (read, (), written) = tokio::join!(source.read(step, sender), passing, target.write(step, written));
        read.unwrap();
        written.unwrap();
    }
    assert!(rows > 5, "rows were written");
}

#[tokio::test]
async fn a_copy_without_its_commit_leaves_an_empty_target() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("sale.db"), folder.path().join("target.db"));
    sale(&path).await;
    let from = async || SqliteSource::open(&path).await.unwrap();
    begin(from().await, SqliteTarget::open(&target).await.unwrap()).await;
    copied(from().await, SqliteTarget::open(&target).await.unwrap()).await;
    assert!(matches!(SqliteTarget::open(&target).await, Err(CopyError::NotEmpty(_))));
    if without("postgres") {
        return;
    }
    let database = shared().await.empty_database().await;
    begin(from().await, target_on(&database.url()).await.unwrap()).await;
    copied(from().await, target_on(&database.url()).await.unwrap()).await;
    assert!(matches!(target_on(&database.url()).await, Err(CopyError::NotEmpty(_))));
}

#[tokio::test]
async fn a_row_that_refers_to_nothing_is_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("sale.db"), folder.path().join("target.db"));
    sale(&path).await;
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "PRAGMA foreign_keys = off; DROP TRIGGER refunded_seats_are_never_rewritten;
        UPDATE refunded_seats SET refund_id = randomblob(16)",
    )
    .unwrap();
    drop(db);
    let mut source = SqliteSource::open(&path).await.unwrap();
    let end = SqliteTarget::open(&target).await.unwrap();
    let refused = copy(&mut source, Box::new(end), |_| ()).await.unwrap_err();
    assert!(refused.to_string().contains("refunded_seats"), "{refused}");
    drop(SqliteTarget::open(&target).await.expect("an empty target"));
}
