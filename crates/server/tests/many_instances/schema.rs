//! The schema: made once however many start, left alone where it is another's or a newer one's.

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::shared;
use onsale_testing::{Launch, Sale, without};

use crate::many::Many;
use crate::support::{ONSALE, at_once, count};

/// Everything that would work on a database.
const COMMANDS: [&[&str]; 5] = [&["serve"], &["audit"], &["events"], &["events", "retry"], &["migrate"]];

/// Runs a command that must fail. Returns its standard error.
async fn refused(launch: &Launch, arguments: &[&str]) -> String {
    let run = launch.run(arguments).await;
    let (said, printed) = (String::from_utf8_lossy(&run.stderr), String::from_utf8_lossy(&run.stdout));
    assert_eq!(run.status.code(), Some(1), "{arguments:?}: {said}");
    assert_eq!(printed, "", "{arguments:?}: no port is bound, nothing is printed");
    said.lines().last().unwrap_or_default().to_owned()
}

async fn one<T>(sql: &Client, question: &str) -> T
where
    T: for<'a> onsale_testing::postgres::driver::types::FromSql<'a>,
{
    sql.query_one(question, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_start_at_once_on_an_empty_database() {
    if without("postgres") {
        return;
    }
    let database = shared().await.empty_database().await;
    let launch = Sale::launch(ONSALE).on(database.url());
    let many = Many { sales: Sale::start_many(&launch, 5).await, launch, database };
    let sql = many.sql().await;
    let steps: i64 = one(&sql, "SELECT count(*) - max(version) FROM onsale_schema").await;
    assert_eq!(steps, 0, "each step was taken once");
    let secrets: i64 = one(&sql, "SELECT count(*) FROM secrets").await;
    assert_eq!(secrets, 2, "for all, one secret of tokens and one of tickets");
    let charges = (0..50).map(|number| {
        let sale = many.at(number);
        sale.caller.patch("/point/ada/charge").json(&serde_json::json!({"amount": 1}))
    });
    let replies = at_once(charges.collect::<Vec<_>>()).await;
    assert_eq!(count(&replies, 200, ""), 50, "all five serve");
    let said = many.launch.run(&["migrate"]).await;
    assert!(said.status.success(), "nothing is left to do");
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_binary_leaves_a_newer_schema_alone() {
    let Some(many) = Many::start(2, &[]).await else { return };
    many.at(0).charge("ada", 5).await;
    let sql = many.sql().await;
    sql.batch_execute("INSERT INTO onsale_schema (version) VALUES (99)").await.unwrap();
    for command in COMMANDS {
        let said = refused(&many.launch, command).await;
        assert!(said.contains("a newer onsale made this database (schema 99, this one knows "), "{command:?}: {said}");
    }
    // Those that run go on: a newer schema only adds what they can live with.
    for sale in &many.sales {
        sale.charge("ada", 5).await;
        assert_eq!(sale.caller.get("/readyz").send().await.status, 200);
    }
    sql.batch_execute("DELETE FROM onsale_schema WHERE version = 99").await.unwrap();
    assert_eq!(many.at(0).caller.get("/point/ada").expect(200).await["balance"], 15);
    many.is_in_order().await;
}

/// What a database holds, as far as another program could miss it.
async fn contents(sql: &Client, table: &str) -> (String, String) {
    let tables = "SELECT coalesce(string_agg(table_name || '.' || column_name, ' ' ORDER BY 1), '')
        FROM (SELECT table_name::text, column_name::text FROM information_schema.columns
              WHERE table_schema = 'public') listed";
    let rows = format!("SELECT coalesce(string_agg(other::text, ' '), '') FROM {table} other");
    (one(sql, &tables.replace("ORDER BY 1", "ORDER BY table_name, column_name")).await, one(sql, &rows).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_programs_tables_are_left_alone() {
    if without("postgres") {
        return;
    }
    for table in ["accounts", "payments", "events", "rooms", "kept_answers"] {
        let database = shared().await.empty_database().await;
        let sql = database.sql().await;
        let make = format!("CREATE TABLE {table} (id integer, note text); INSERT INTO {table} VALUES (1, 'not ours')");
        sql.batch_execute(&make).await.unwrap();
        let before = contents(&sql, table).await;
        let launch = Sale::launch(ONSALE).on(database.url());
        for command in [&["serve"][..], &["migrate"]] {
            let said = refused(&launch, command).await;
            assert!(said.contains("this database has tables of another program"), "{table}, {command:?}: {said}");
        }
        for command in [&["audit"][..], &["events"]] {
            refused(&launch, command).await;
        }
        assert_eq!(contents(&sql, table).await, before, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_is_not_audited_and_not_made_by_looking() {
    if without("postgres") {
        return;
    }
    let database = shared().await.empty_database().await;
    let launch = Sale::launch(ONSALE).on(database.url());
    for command in [&["audit"][..], &["events"], &["events", "retry"]] {
        let said = refused(&launch, command).await;
        assert!(said.contains("run `onsale migrate` first"), "{command:?}: {said}");
    }
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(one::<i64>(&database.sql().await, tables).await, 0);
}
