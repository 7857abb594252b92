//! Checks the plans of all statements: rows of large tables are found by an index, with and without statistics.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

use onsale_testing::postgres::shared;
use onsale_testing::without;
use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::postgres::connection::Role;
use crate::postgres::url::PostgresUrl;
use crate::postgres::{event, migrate, news, outbox, reader, replay_events, retention, retry_dead_events, writer};

/// Tables that grow with the sale, each with the index conditions that select few of its rows.
const BY_KEY: &[(&str, &[&str])] = &[
    ("accounts", &["user_id =", "TID"]),
    ("ledger", &["user_id ="]),
    ("lectures", &["lecture_id =", "starts_at >=", "moved_at >=", "cancelled_at >=", "TID"]),
    ("applications", &["lecture_id =&user_id =", "lecture_id =&seat_number >", "user_id ="]),
    ("freed_seats", &["lecture_id ="]),
    ("lecture_history", &["lecture_id ="]),
    ("places", &["concert_id =&place =", "concert_id =&user_id =", "concert_id =&place >", "given_up_version >"]),
    (
        "turns",
        &[
            "concert_id =&place =",
            "concert_id =&place <",
            "concert_id =",
            "concert_id =&version >",
            "settled_at <",
            "settled_at >",
        ],
    ),
    ("turn_ends", &["concert_id =&place ="]),
    ("performances", &["performance_id =", "concert_id =", "starts_at >", "revised_at >", "TID"]),
    ("seats", &["performance_id ="]),
    ("reservations", &["reservation_id =", "concert_id =&user_id =", "user_id =", "held_until <", "held_until >"]),
    ("payments", &["payment_id =", "user_id =", "reservation_id ="]),
    ("refunds", &["payment_id =", "performance_id =", "user_id ="]),
    ("cancellations", &["performance_id ="]),
    ("failed_refunds", &["performance_id ="]),
    ("events", &["\"position\" =", "\"position\" >", "\"position\" <", "\"position\" IS NOT NULL", "subject =", "TID"]),
    ("deliveries", &["event_id =", "at <"]),
    ("admin_log", &["log_id <", "actor =", "action =", "subject ="]),
    // The condition on the owner alone is for counting, up to a limit.
    ("kept_answers", &["owner =&key =", "kept_at <", "kept_at IS NOT NULL", "owner ="]),
];

/// Statements that may read a whole table, with the reason.
const WHOLE: &[(&str, &str)] = &[
    // Runs rarely, over a few leftover rows.
    ("DELETE FROM turn_ends WHERE (concert_id, place) IN", "turn_ends"),
    // Ends of turns that are not settled yet: those of a few seconds.
    ("SELECT concert_id, place FROM turn_ends", "turn_ends"),
    // Reads the partial index of holds, which contains no sold seats.
    ("SELECT concert_id, place, reservation_id, performance_id, held_until", "reservations"),
    // Reads the partial index of those that are not done.
    ("SELECT performance_id, concert_id, version, event_id", "cancellations"),
    // Runs when a process starts, and when it has lost track of the changes of other processes.
    ("SELECT performance_id, concert_id, starts_at, sections", "performances"),
    // Live figures: most performances of a sale are not over, so the planner may prefer the table to the index on the start.
    ("SELECT performance_id, concert_id, starts_at, capacity", "performances"),
    // Once a second, over the ends of a few seconds.
    ("SELECT coalesce((SELECT min(kept_at) FROM kept_answers)", "turn_ends"),
];

/// A scan of a table in a plan, with its index condition.
#[derive(Clone, Debug)]
struct Scan {
    table: String,
    condition: String,
}

/// Collects the scans of a plan.
fn scans(plan: &Value, into: &mut Vec<Scan>) {
    let text = |name: &str| plan[name].as_str().unwrap_or_default().to_owned();
    let parts = || plan["Plans"].as_array().into_iter().flatten();
    if plan.get("Relation Name").is_some() && plan["Node Type"] != "ModifyTable" {
        // The condition of a bitmap scan is in the node below it.
        let below = parts().map(|part| part["Index Cond"].as_str().unwrap_or_default()).collect::<String>();
        let tid = if plan["Node Type"] == "Tid Scan" { "TID" } else { "" };
        into.push(Scan { table: text("Relation Name"), condition: text("Index Cond") + &below + tid });
    }
    for part in parts() {
        scans(part, into);
    }
}

impl Scan {
    fn is_by_key(&self, sql: &str) -> bool {
        // An update of locked rows finds them where they lie, and not through their versions.
        if sql.contains("::tid[]") {
            return self.condition == "TID";
        }
        let Some((_, keys)) = BY_KEY.iter().find(|(table, _)| *table == self.table) else { return true };
        keys.iter().any(|key| key.split('&').all(|part| self.condition.contains(part)))
            || WHOLE.iter().any(|(begins, table)| sql.starts_with(begins) && *table == self.table)
    }
}

/// All scans without a permitted condition, each with its statement.
async fn scans_without_key(client: &Client, statements: &[&str]) -> Vec<String> {
    client.batch_execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
    let mut found = Vec::new();
    let is_planned = |sql: &&&str| !["BEGIN", "ROLLBACK", "COMMIT"].iter().any(|word| sql.starts_with(word));
    for sql in statements.iter().filter(is_planned) {
        let statement = client.prepare(sql).await.unwrap();
        let name = "SELECT name FROM pg_prepared_statements WHERE statement = $1";
        let name: String = client.query_one(name, &[sql]).await.unwrap().get(0);
        let nulls = vec!["NULL"; statement.params().len()].join(", ");
        let values = if nulls.is_empty() { nulls } else { format!("({nulls})") };
        let plan = client.simple_query(&format!("EXPLAIN (FORMAT JSON) EXECUTE {name} {values}")).await.unwrap();
        let plan = plan.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        let plan: Value = serde_json::from_str(plan.unwrap()).unwrap();
        let mut all = Vec::new();
        scans(&plan[0]["Plan"], &mut all);
        found.extend(all.iter().filter(|scan| !scan.is_by_key(sql)).map(|scan| format!("{scan:?} in {sql}")));
    }
    found
}

/// Fills every table of a sale. The server has no statistics about these rows.
const FILL: &str = include_str!("plans.sql");

#[tokio::test]
async fn rows_are_found_by_key_with_and_without_statistics() {
    if without("postgres") {
        return;
    }
    let database = shared().await.empty_database().await;
    let url = PostgresUrl::parse(&database.url()).unwrap();
    migrate(&url).await.unwrap();
    let sql = database.sql().await;
    let mut all = Vec::new();
    for (state, reached_by) in
        [("never analyzed", ""), ("analyzed while empty, and filled", FILL), ("analyzed", "ANALYZE")]
    {
        if state == "analyzed while empty, and filled" {
            sql.batch_execute("ANALYZE").await.unwrap();
        }
        sql.batch_execute(reached_by).await.unwrap();
        for (role, statements) in [
            (Role::Lane, writer::STATEMENTS.concat()),
            (Role::Reader, reader::STATEMENTS.concat()),
            (Role::Follower, news::STATEMENTS.to_vec()),
            (Role::Outbox, outbox::STATEMENTS.concat()),
            (Role::Outbox, retention::STATEMENTS.to_vec()),
        ] {
            let (client, _driver) = url.connect(role).await.unwrap();
            let found = scans_without_key(&client, &statements).await;
            all.extend(found.into_iter().map(|scan| format!("{state}, as {role:?}: {scan}")));
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

/// 200,000 events, one per second since 1970. The first half was sent, and two are dead letters.
const LOG: &str = "
    INSERT INTO events SELECT 'onsale.points', 'ada', n, gen_random_uuid(), n::bigint << 16, 't', n * 1000::bigint, '{}'
        FROM generate_series(1, 200000) n;
    UPDATE events SET state = 'DEAD', reason = 'why' WHERE version IN (7, 199993);
    UPDATE relay_parts SET sent_to = 100000::bigint << 16, checked_to = 100000::bigint << 16;";

#[tokio::test]
async fn commands_search_a_long_event_log_by_its_indexes() {
    if without("postgres") {
        return;
    }
    let database = shared().await.empty_database().await;
    let url = PostgresUrl::parse(&database.url()).unwrap();
    migrate(&url).await.unwrap();
    let sql = database.sql().await;
    sql.batch_execute(LOG).await.unwrap();
    for state in ["never analyzed", "analyzed"] {
        let (client, _driver) = url.connect(Role::Tool).await.unwrap();
        client.batch_execute(event::BY_INDEX).await.unwrap();
        for (statement, values, index) in [
            (event::DEAD, &["0", "1000"][..], "events_dead"),
            (event::FIRST_SINCE, &["199000000"], "events_by_time"),
            (event::FIRST_SINCE, &["9999999999999"], "events_by_time"),
            (event::LAST, &["10"], "events_in_order"),
            (event::REPLAY, &["5"], "relay_parts"),
        ] {
            let numbered = (1..).zip(values);
            let text =
                numbered.fold(statement.to_owned(), |text, (number, value)| text.replace(&format!("${number}"), value));
            let plan = client.query(&format!("EXPLAIN {text}"), &[]).await.unwrap();
            let plan: String = plan.iter().map(|line| line.get::<_, String>(0) + "\n").collect();
            assert!(plan.contains(index) && !plan.contains("Seq Scan on events "), "{state}: {text}\n{plan}");
        }
        sql.batch_execute("VACUUM ANALYZE events").await.unwrap();
    }
    let since = |seconds: i64| onsale_domain::time::Timestamp::from_millis(seconds * 1_000);
    for (seconds, is_sent, sent_to) in
        [(300_000, false, 100_000), (150_000, false, 100_000), (77, true, 77), (0, true, 1)]
    {
        assert_eq!(replay_events(&url, since(seconds)).await.unwrap(), is_sent, "{seconds}");
        let found: i64 = sql.query_one("SELECT max(sent_to) FROM relay_parts", &[]).await.unwrap().get(0);
        let expected = if is_sent { (sent_to << 16) - 1 } else { sent_to << 16 };
        assert_eq!(found, expected, "{seconds}");
    }
    let mut put_back = Vec::new();
    retry_dead_events(&url, &[], |many| put_back.push(many)).await.unwrap();
    assert_eq!(put_back, [2]);
}

/// A performance with 30,000 paid reservations, 200 holds that are live and 50 that have lapsed, and two extensions.
const PAID_AND_HELD: &str = "
    SET session_replication_role = replica;
    INSERT INTO concerts VALUES ('00000000-0000-7000-8000-000000000001', 't', 'v', 1);
    INSERT INTO performances (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at, holds)
        VALUES ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001', 1, '[]', 100000, 1, 0, 1, 250);
    INSERT INTO places SELECT '00000000-0000-7000-8000-000000000001', n, 'user-' || n, gen_random_uuid(), 1, 'CURRENT', NULL
        FROM generate_series(1, 30250) n;
    INSERT INTO reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until,
            status, prices)
        SELECT gen_random_uuid(), concert_id, '00000000-0000-7000-8000-000000000002', user_id, place, '{1}', 1, 1,
            CASE WHEN place <= 50 THEN 2 ELSE 4102444800000 END, CASE WHEN place <= 250 THEN 'HELD' ELSE 'PAID' END, '{1}'
        FROM places;
    INSERT INTO hold_extensions SELECT '00000000-0000-7000-8000-000000000002', n, '00000000-0000-7000-8000-000000000001', n,
        gen_random_uuid(), 1, 1, 1, 'late' FROM generate_series(1, 2) n;";

/// The rows of a table that a plan has read, those that it dropped included.
fn rows_read(plan: &Value, table: &str) -> f64 {
    let number = |name: &str| plan[name].as_f64().unwrap_or(0.0);
    let parts: f64 = plan["Plans"].as_array().into_iter().flatten().map(|part| rows_read(part, table)).sum();
    let rows = number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    parts + if plan["Relation Name"] == table { rows * number("Actual Loops") } else { 0.0 }
}

/// Locks are held, or a refresh waits, while these statements run: what is paid must not count.
#[tokio::test]
async fn paid_reservations_cost_an_extension_and_a_refresh_nothing() {
    if without("postgres") {
        return;
    }
    let database = shared().await.empty_database().await;
    let url = PostgresUrl::parse(&database.url()).unwrap();
    migrate(&url).await.unwrap();
    let sql = database.sql().await;
    sql.batch_execute(PAID_AND_HELD).await.unwrap();
    let (writes, reads) = (writer::STATEMENTS.concat(), reader::STATEMENTS.concat());
    let of = |all: &[&'static str], part: &str| *all.iter().find(|sql| sql.contains(part)).unwrap();
    let performance = "'{00000000-0000-7000-8000-000000000002}', '{}', 5000";
    let concerts = ["00000000-0000-7000-8000-000000000001"; 100].join(",");
    let places = (1..=100).map(|place| place.to_string()).collect::<Vec<_>>().join(",");
    let of_places = format!("'{{{concerts}}}', '{{{places}}}'");
    for state in ["never analyzed", "analyzed"] {
        let (client, _driver) = url.connect(Role::Lane).await.unwrap();
        for (statement, values, read_max) in [
            (of(&writes, "lapsed_to"), performance, 600.0),
            (of(news::STATEMENTS, "unnest($1::uuid[], $2::bigint[]) wanted (concert_id, place)"), &*of_places, 200.0),
            (of(&reads, "ORDER BY held_until LIMIT $2"), "1000, 500", 600.0),
        ] {
            let prepared = client.prepare(statement).await.unwrap();
            let name =
                "SELECT name FROM pg_prepared_statements WHERE statement = $1 ORDER BY prepare_time DESC LIMIT 1";
            let name: String = client.query_one(name, &[&statement]).await.unwrap().get(0);
            let explain = format!("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE {name} ({values})");
            let plan = client.simple_query(&explain).await.unwrap();
            let plan = plan.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            let plan: Value = serde_json::from_str(plan.unwrap()).unwrap();
            let read = rows_read(&plan[0]["Plan"], "reservations");
            assert!(0.0 < read && read <= read_max, "{state}: {read} rows by {statement}\n{plan:#}");
            drop(prepared);
        }
        sql.batch_execute("ANALYZE").await.unwrap();
    }
}
