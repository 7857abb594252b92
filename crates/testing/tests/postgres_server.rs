//! The servers that tests are given: what is said of them holds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_testing::postgres::{Server, Setup, driver, shared, sql};
use onsale_testing::{PATIENCE, WireCutter, without};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// How long a test watches that nothing happens.
const QUIET: Duration = Duration::from_millis(300);

/// Set for the test that another one kills.
const KILLED: &str = "ONSALE_TEST_KILLED";

async fn number(client: &driver::Client, question: &str) -> i64 {
    client.query_one(question, &[]).await.unwrap().get(0)
}

/// Makes a table with these numbers.
async fn fill(server: &Server, numbers: &str) {
    let client = server.sql("postgres").await;
    client.batch_execute("CREATE TABLE IF NOT EXISTS kept (n bigint)").await.unwrap();
    client.batch_execute(&format!("INSERT INTO kept VALUES {numbers}")).await.unwrap();
}

async fn kept(server: &Server) -> i64 {
    number(&server.sql("postgres").await, "SELECT sum(n)::bigint FROM kept").await
}

async fn setting(server: &Server, name: &str) -> String {
    server.sql("postgres").await.query_one("SELECT current_setting($1)", &[&name]).await.unwrap().get(0)
}

/// Whether a process is there and was not merely not waited for.
fn is_there(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|line| !line.contains(") Z "))
}

async fn until_gone(ids: &[u32]) {
    let going = async {
        while ids.iter().any(|id| is_there(*id)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, going).await.expect("nothing outlives its test");
}

#[tokio::test]
async fn a_server_is_durable_and_stops_and_starts_with_its_data() {
    if without("postgres") {
        return;
    }
    let server = Setup::durable().set("max_connections", 23).start().await;
    for (name, value) in [("fsync", "on"), ("synchronous_commit", "on"), ("max_connections", "23")] {
        assert_eq!(setting(&server, name).await, value, "{name}");
    }
    fill(&server, "(1), (2)").await;
    let (before, address) = (server.processes(), server.address());
    server.restart().await;
    assert_eq!((kept(&server).await, server.address()), (3, address));
    assert!(server.processes().iter().all(|id| !before.contains(id)), "not a new start");

    server.stop().await;
    assert_eq!(server.processes(), Vec::<u32>::new());
    assert!(driver::connect(&server.url("postgres"), driver::NoTls).await.is_err());
    server.restart().await;
    assert_eq!(kept(&server).await, 3);
    server.set("lock_timeout", "3210").await;
    assert_eq!(setting(&server, "lock_timeout").await, "3210ms");
}

#[tokio::test]
async fn a_killed_server_recovers_what_was_committed() {
    if without("postgres") {
        return;
    }
    for setup in [Setup::durable(), Setup::unsynced()] {
        let server = setup.start().await;
        fill(&server, "(1), (2)").await;
        let client = server.sql("postgres").await;
        client.batch_execute("BEGIN; INSERT INTO kept VALUES (100)").await.unwrap();
        let before = server.processes();
        server.kill().await;
        assert!(before.len() > 5 && before.iter().all(|id| !is_there(*id)), "{before:?}");
        assert!(client.batch_execute("COMMIT").await.is_err());
        server.restart().await;
        assert_eq!(kept(&server).await, 3);
        assert!(server.log().contains("automatic recovery in progress"), "{}", server.log());
    }
}

#[tokio::test]
async fn a_paused_server_answers_when_it_is_resumed() {
    if without("postgres") {
        return;
    }
    let server = Arc::new(Setup::unsynced().start().await);
    let (client, same) = (server.sql("postgres").await, server.clone());
    server.pause().await;
    let asking = tokio::spawn(async move { number(&client, "SELECT 7::bigint").await });
    let connecting = tokio::spawn(async move { number(&same.sql("postgres").await, "SELECT 8::bigint").await });
    tokio::time::sleep(QUIET).await;
    assert!(!asking.is_finished() && !connecting.is_finished(), "it answers in its sleep");
    server.resume().await;
    assert_eq!(timeout(PATIENCE, asking).await.unwrap().unwrap(), 7);
    assert_eq!(timeout(PATIENCE, connecting).await.unwrap().unwrap(), 8);
    server.pause().await;
    server.stop().await;
    assert_eq!(server.processes(), Vec::<u32>::new());
}

/// A database of the shared server, cloned from a template with two numbers.
async fn cloned() -> onsale_testing::postgres::Database {
    let migrate = async |url: String| {
        let client = sql(&url).await;
        client.batch_execute("CREATE TABLE kept (n bigint); INSERT INTO kept VALUES (1), (2)").await.unwrap();
    };
    shared().await.database("two_numbers", migrate).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_test_has_a_database_of_its_own_from_one_template() {
    if without("postgres") {
        return;
    }
    let begun = Instant::now();
    let tasks: Vec<_> = (0..12).map(|_| tokio::spawn(cloned())).collect();
    let mut databases = Vec::new();
    for task in tasks {
        databases.push(task.await.unwrap());
    }
    println!("12 databases in {:?}", begun.elapsed());
    for (count, database) in (0_i64..).zip(&databases) {
        let client = database.sql().await;
        client.execute("INSERT INTO kept VALUES ($1)", &[&count]).await.unwrap();
        assert_eq!(number(&client, "SELECT sum(n)::bigint FROM kept").await, 3 + count);
    }
    let names: Vec<String> = databases.iter().map(|database| database.name().to_owned()).collect();
    let still_connected = databases[0].sql().await;
    let begun = Instant::now();
    drop(databases);
    println!("dropped in {:?}", begun.elapsed());
    assert!(still_connected.batch_execute("SELECT 1").await.is_err());
    let client = shared().await.sql("postgres").await;
    for name in names {
        let there = "SELECT count(*) FROM pg_database WHERE datname = $1";
        assert_eq!(client.query_one(there, &[&name]).await.unwrap().get::<_, i64>(0), 0, "{name}");
    }
}

#[tokio::test]
async fn a_template_that_failed_is_made_again() {
    if without("postgres") {
        return;
    }
    let failing = tokio::spawn(async {
        shared().await.database("fails_once", |_| async { panic!("this one fails on purpose") }).await
    });
    assert!(failing.await.is_err());
    let database = shared().await.database("fails_once", |_| async {}).await;
    assert_eq!(number(&database.sql().await, "SELECT 1::bigint").await, 1);
    assert_eq!(number(&shared().await.empty_database().await.sql().await, "SELECT 2::bigint").await, 2);
}

#[tokio::test]
async fn deadlocks_are_counted_for_each_database() {
    if without("postgres") {
        return;
    }
    let server = Setup::unsynced().set("deadlock_timeout", "20ms").start().await;
    let (database, other) = (server.empty_database().await, server.empty_database().await);
    let (one, two) = (database.sql().await, database.sql().await);
    one.batch_execute("CREATE TABLE pair (n bigint); INSERT INTO pair VALUES (1), (2)").await.unwrap();
    let lock = |n: i64| format!("SELECT FROM pair WHERE n = {n} FOR UPDATE");
    one.batch_execute(&format!("BEGIN; {}", lock(1))).await.unwrap();
    two.batch_execute(&format!("BEGIN; {}", lock(2))).await.unwrap();
    assert_eq!(server.deadlocks().await, 0);
    let (first, second) = (lock(2), lock(1));
    let (first, second) = tokio::join!(one.batch_execute(&first), two.batch_execute(&second));
    assert!(first.is_err() != second.is_err(), "{first:?} {second:?}");
    assert_eq!((database.deadlocks(), other.deadlocks(), server.deadlocks().await), (1, 0, 1));
    let told = "detected deadlock while waiting for ShareLock";
    assert!(server.log().contains(told), "waits for locks are logged: {}", server.log());
}

#[tokio::test]
async fn a_full_disk_refuses_growth_and_nothing_else() {
    if without("postgres") {
        return;
    }
    let server = Setup::unsynced().on_a_small_disk().start().await;
    fill(&server, "(1), (2)").await;
    let client = server.sql("postgres").await;
    let grow = "INSERT INTO kept SELECT 0 FROM generate_series(1, 10000)";
    server.fill_disk();
    let refused = client.batch_execute(grow).await.unwrap_err();
    assert_eq!(refused.code(), Some(&driver::error::SqlState::DISK_FULL), "{refused:?}");
    // What needs no room goes on.
    client.batch_execute("DELETE FROM kept WHERE n = 1").await.unwrap();
    assert_eq!(kept(&server).await, 2);
    server.free_disk();
    client.batch_execute(grow).await.unwrap();

    // No room for the log ends the server, and it starts once there is room.
    server.fill_disk();
    let switch = "SELECT pg_logical_emit_message(false, 'a', 'b'), pg_switch_wal()";
    let log = async { while client.batch_execute(switch).await.is_ok() {} };
    timeout(PATIENCE, log).await.unwrap();
    assert!(server.log().contains("PANIC:  could not write to file"), "{}", server.log());
    server.free_disk();
    server.restart().await;
    assert_eq!(kept(&server).await, 2);
}

#[tokio::test]
async fn a_standby_follows_and_takes_over_with_all_that_was_acknowledged() {
    if without("postgres") {
        return;
    }
    let primary = Setup::unsynced().start().await;
    fill(&primary, "(1)").await;
    let standby = primary.standby("second").await;
    primary.synchronous("second").await;
    fill(&primary, "(2)").await;
    standby.follow(&primary).await;
    assert_eq!(kept(&standby).await, 3);
    let refused = standby.sql("postgres").await.batch_execute("INSERT INTO kept VALUES (9)").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "25006");

    // Without the standby nothing is acknowledged.
    standby.pause().await;
    let client = primary.sql("postgres").await;
    let waiting = tokio::spawn(async move { client.batch_execute("INSERT INTO kept VALUES (4)").await });
    tokio::time::sleep(QUIET).await;
    assert!(!waiting.is_finished(), "acknowledged by one server alone");
    standby.resume().await;
    timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();

    let cutter = WireCutter::start(primary.address()).await;
    primary.kill().await;
    standby.promote().await;
    cutter.retarget(standby.address()).await;
    let client = sql(&onsale_testing::postgres::url(cutter.address(), "postgres")).await;
    client.batch_execute("INSERT INTO kept VALUES (8)").await.unwrap();
    assert_eq!(kept(&standby).await, 1 + 2 + 4 + 8);
    // A standby of the new primary, made while it waits for no standby.
    let third = standby.standby("third").await;
    third.follow(&standby).await;
    assert_eq!(kept(&third).await, 15);
}

#[tokio::test]
async fn commits_wait_for_no_standby_if_none_is_set() {
    if without("postgres") {
        return;
    }
    let primary = Setup::unsynced().start().await;
    let standby = primary.standby("second").await;
    primary.synchronous("*").await;
    standby.kill().await;
    primary.synchronous("").await;
    fill(&primary, "(1)").await;
    standby.restart().await;
    standby.follow(&primary).await;
    assert_eq!(kept(&standby).await, 1);
}

#[tokio::test]
async fn nothing_is_left_of_a_server_that_was_dropped() {
    if without("postgres") {
        return;
    }
    let server = Setup::unsynced().start().await;
    let folder: String = setting(&server, "unix_socket_directories").await;
    let ids = server.processes();
    assert!(ids.len() > 5 && ids.iter().all(|id| is_there(*id)), "{ids:?}");
    let failing = tokio::spawn(async move {
        server.pause().await;
        panic!("this one fails on purpose: {}", server.address());
    });
    assert!(failing.await.is_err());
    until_gone(&ids).await;
    assert!(!std::path::Path::new(&folder).exists(), "{folder}");
}

/// Run by the test below in a process of its own, which is killed.
#[tokio::test]
#[ignore = "it only ends by being killed"]
async fn a_server_that_waits_for_the_end() {
    if std::env::var_os(KILLED).is_none() {
        return;
    }
    let server = Setup::unsynced().start().await;
    let standby = server.standby("second").await;
    shared().await;
    for server in [&server, &standby, shared().await] {
        println!("pids: {:?}", server.processes());
    }
    println!("folder: {}", setting(&server, "unix_socket_directories").await);
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_is_left_when_the_test_itself_is_killed() {
    if without("postgres") {
        return;
    }
    let arguments = ["--exact", "a_server_that_waits_for_the_end", "--ignored", "--nocapture"];
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.args(arguments).env(KILLED, "1").stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ids: Vec<u32> = Vec::new();
    let folder = loop {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("it runs until it is killed");
        if let Some(list) = line.strip_prefix("pids: ") {
            ids.extend(list.trim_matches(['[', ']']).split(", ").map(|id| id.parse::<u32>().unwrap()));
        } else if let Some(folder) = line.strip_prefix("folder: ") {
            break folder.to_owned();
        }
    };
    assert!(ids.len() > 15 && ids.iter().all(|id| is_there(*id)), "{ids:?}");
    child.kill().await.unwrap();
    until_gone(&ids).await;
    let removed = async {
        while std::path::Path::new(&folder).exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, removed).await.expect("its folder is removed");
}
