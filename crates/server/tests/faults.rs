//! Failing disks and wrong files: clients get an error in time, and nothing that was acknowledged is lost.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use onsale_testing::{Call, Caller, Dice, Fault, Faults, Launch, PATIENCE, Sale, Workload};
use serde_json::json;
use support::{ONSALE, until};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

/// The contract answers each request within 10 s. The rest is for a slow machine.
const ANSWER_MAX: Duration = Duration::from_secs(10 + 10);

/// A limit on the size of files, in bytes, that the log of a database soon exceeds.
const SIZE_MAX: u64 = 65_536;

/// A launch that picks a free port for every command.
fn launch() -> Launch {
    Sale::launch(ONSALE).set("ONSALE_LISTEN", "127.0.0.1:0")
}

async fn audit(launch: &Launch) {
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

fn charge(sale: &Sale, key: &str) -> Call {
    sale.caller.patch("/point/ada/charge").json(&json!({"amount": 7})).key(key)
}

/// A server on a disk that can fail, with a user who has an active turn and 7 points.
async fn start_with_ada() -> (Faults, Launch, Sale, String) {
    let (faults, launch) = Faults::under(launch());
    let sale = Sale::start(&launch).await;
    let concert = sale.concert(&json!({})).await;
    let token = sale.active(&concert, "ada").await;
    charge(&sale, "before").expect(200).await;
    (faults, launch, sale, token)
}

/// What every client sees while the database accepts no writes.
async fn assert_only_reads(sale: &Sale, token: &str) {
    let began = Instant::now();
    charge(sale, "in-trouble").refused(503, "unavailable").await;
    assert!(began.elapsed() < ANSWER_MAX, "an answer in time, not after {:?}", began.elapsed());
    let shown = sale.caller.get("/point/ada").expect(200).await;
    assert_eq!(shown["balance"], 7, "reads go on");
    sale.caller.get("/queue/token").token(token).expect(200).await;
    sale.caller.get("/lectures").expect(200).await;
    sale.caller.get("/healthz").expect(200).await;
}

/// Waits until `/readyz` reports the database as not ready.
async fn assert_unready(sale: &Sale) {
    let unready = async || {
        let reply = sale.caller.get("/readyz").send().await;
        (reply.status == 503).then(|| reply.refused(503, "unavailable"))
    };
    let unready = until("/readyz fails", unready).await;
    assert!(unready["detail"].as_str().unwrap().contains("database"), "{unready}");
}

/// After the fault is gone, the same call succeeds within seconds, once.
async fn assert_recovers(sale: &Sale) {
    let charged = async || {
        let reply = charge(sale, "in-trouble").send().await;
        (reply.status != 503).then(|| reply.expect(200))
    };
    let charged = until("the server takes writes again", charged).await;
    assert_eq!(charged["balance"], 14, "done once");
    let ready = async || (sale.caller.get("/readyz").send().await.status == 200).then_some(());
    until("the server is ready again", ready).await;
}

/// Injects a fault under load and removes it. Nothing is lost and nothing acts twice, also after a crash.
async fn survives(throw: impl Fn(&Faults), happened: impl Fn(&Faults) -> bool) {
    let (faults, launch, sale, token) = start_with_ada().await;
    let running = Workload::prepare(&sale, 8, Dice::seed()).await.start(&sale.caller);
    throw(&faults);
    until("the disk has failed", async || happened(&faults).then_some(())).await;
    assert_only_reads(&sale, &token).await;
    assert_unready(&sale).await;
    faults.mend();
    assert_recovers(&sale).await;
    let mut load = running.stop().await;
    load.settle(&sale).await;
    load.check(&sale).await;
    load.check_replays(&sale).await;
    audit(&launch).await;

    sale.instance.kill().await;
    let sale = Sale::start(&launch).await;
    assert_eq!(charge(&sale, "in-trouble").expect(200).await["balance"], 14, "done once");
    load.check(&sale).await;
    audit(&launch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    survives(|faults| faults.fail_writes(Fault::Full), |faults| faults.writes_failed() > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_on_file_sizes_acts_like_a_full_disk() {
    let launch = launch();
    let sale = Sale::start(&launch).await;
    let concert = sale.concert(&json!({})).await;
    let token = sale.active(&concert, "ada").await;
    charge(&sale, "before").expect(200).await;
    // As `ulimit -f` sets it: a write beyond it sends SIGXFSZ, which by itself ends a process.
    // SQLite's shared memory, without which nothing can be read, stays below the limit.
    until("a log that is longer than the limit", async || {
        sale.charge("bob", 1).await;
        let log = std::fs::metadata(launch.folder().join("onsale.db-wal")).unwrap().len();
        (log > SIZE_MAX).then_some(())
    })
    .await;
    sale.instance.limit_file_size(Some(SIZE_MAX));
    let refused = async || (charge(&sale, "in-trouble").send().await.status == 503).then_some(());
    until("a write is refused", refused).await;
    assert_only_reads(&sale, &token).await;
    assert_unready(&sale).await;
    sale.instance.limit_file_size(None);
    assert_recovers(&sale).await;
    audit(&launch).await;
    assert!(sale.instance.terminate().await.success());
}

#[tokio::test]
async fn a_command_whose_output_cannot_be_written_fails() {
    let launch = launch();
    assert!(launch.run(&["migrate"]).await.status.success());
    for command in ["openapi", "events --json", "completions bash"] {
        let sale = Sale::start(&launch).await;
        sale.charge("ada", 7).await;
        let script = format!("ulimit -f 0; exec {ONSALE} {command} > out");
        let run = std::process::Command::new("sh").args(["-c", &script]).current_dir(launch.folder()).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(1), "{command}: not ended by a signal: {said}");
        assert!(said.contains("File too large"), "{command}: {said}");
        assert!(sale.instance.terminate().await.success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_during_a_write_loses_nothing() {
    survives(|faults| faults.tear_writes(Fault::Full), |faults| faults.writes_failed() > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_writes_are_refused_and_lose_nothing() {
    survives(|faults| faults.fail_writes(Fault::Broken), |faults| faults.writes_failed() > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_syncs_are_refused_and_lose_nothing() {
    survives(|faults| faults.fail_syncs(Fault::Broken), |faults| faults.syncs_failed() > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_during_failing_syncs_loses_nothing_acknowledged() {
    let (faults, launch) = Faults::under(launch());
    let sale = Sale::start(&launch).await;
    let running = Workload::prepare(&sale, 8, Dice::seed()).await.start(&sale.caller);
    let some = async || (faults.syncs_done() > 50).then_some(());
    until("something was done", some).await;
    faults.fail_syncs(Fault::Broken);
    until("a sync has failed", async || (faults.syncs_failed() > 3).then_some(())).await;
    sale.instance.kill().await;
    let mut load = running.stop().await;
    faults.mend();

    let sale = Sale::start(&launch).await;
    audit(&launch).await;
    load.settle(&sale).await;
    load.check(&sale).await;
    load.check_replays(&sale).await;
    audit(&launch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_syncs_lose_no_command() {
    let (faults, launch) = Faults::under(launch());
    let sale = Sale::start(&launch).await;
    let load = Workload::prepare(&sale, 8, Dice::seed()).await;
    faults.slow_syncs(150);
    let done = faults.syncs_done();
    let running = load.start(&sale.caller);
    until("a few slow syncs", async || (faults.syncs_done() > done + 10).then_some(())).await;
    let mut load = running.stop().await;
    assert_eq!(load.unanswered(), 0, "slow is not broken");
    assert!(load.acknowledged() > 20, "many wait for one sync together: {}", load.acknowledged());
    faults.mend();
    load.settle(&sale).await;
    load.check(&sale).await;
    audit(&launch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_does_not_return_refuses_writes_and_serves_reads() {
    let (faults, launch, sale, token) = start_with_ada().await;
    faults.stall_syncs();
    assert_only_reads(&sale, &token).await;
    faults.mend();
    assert_recovers(&sale).await;
    let history = sale.caller.get("/point/ada/histories").expect(200).await;
    assert_eq!(history.as_array().unwrap().len(), 2, "{history}");
    audit(&launch).await;
    assert!(sale.instance.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readyz_answers_503_while_a_sync_does_not_return() {
    let (faults, _launch, sale, _) = start_with_ada().await;
    faults.stall_syncs();
    let waiting = tokio::spawn(charge(&sale, "in-trouble").send());
    assert_unready(&sale).await;
    faults.mend();
    assert_recovers(&sale).await;
    waiting.await.unwrap();
}

/// Checks that a program exited with 1 and named the file and the cause.
#[track_caller]
fn assert_fails(run: &Output, file: &str, why: &str) {
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains(file), "the file is named: {said}");
    assert!(said.to_lowercase().contains(why), "{why:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(run.stdout.is_empty(), "no server runs: {}", String::from_utf8_lossy(&run.stdout));
}

#[tokio::test]
async fn a_start_on_a_failing_disk_names_the_file_and_the_cause() {
    type Throw = fn(&Faults);
    let table: [(&str, Throw, &str); 4] = [
        ("full", |faults| faults.fail_writes(Fault::Full), "disk is full"),
        ("broken", |faults| faults.fail_writes(Fault::Broken), "i/o"),
        ("not synced", |faults| faults.fail_syncs(Fault::Broken), "i/o"),
        ("read-only", |faults| faults.read_only(), "unable to open"),
    ];
    for (name, throw, why) in table {
        let (faults, launch) = Faults::under(launch());
        throw(&faults);
        assert_fails(&launch.run(&["serve"]).await, "onsale.db", why);
        assert_fails(&launch.run(&["migrate"]).await, "onsale.db", why);
        faults.mend();
        let sale = Sale::start(&launch).await;
        sale.charge("ada", 7).await;
        assert!(sale.instance.terminate().await.success(), "{name}: nothing was spoilt");
    }
}

#[tokio::test]
async fn a_read_only_database_file_fails_the_start() {
    let (faults, launch) = Faults::under(launch());
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 7).await;
    assert!(sale.instance.terminate().await.success());
    faults.read_only();
    assert_fails(&launch.run(&["serve"]).await, "onsale.db", "cannot be written");
    audit(&launch).await;
    faults.mend();
    let sale = Sale::start(&launch).await;
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 7);
}

/// Creates a database with this statement.
fn database(path: &Path, sql: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_a_database_of_onsale_fails_the_start() {
    type Make = fn(&Path);
    let header = |path: &Path| std::fs::write(path, [&b"SQLite format 3\0"[..], &[0xa5; 5_000]].concat()).unwrap();
    let table: [(&str, Make, &str); 4] = [
        ("text", |path| std::fs::write(path, "Dear diary, ".repeat(500)).unwrap(), "not a database"),
        ("a header alone", header, "not a database"),
        ("another program's", |path| database(path, "CREATE TABLE notes (text)"), "another program"),
        (
            "a newer one's",
            |path| database(path, "PRAGMA application_id = 1869509473; PRAGMA user_version = 99"),
            "newer",
        ),
    ];
    for (name, make, why) in table {
        let launch = launch();
        let path = launch.folder().join("onsale.db");
        make(&path);
        let before = std::fs::read(&path).unwrap();
        for command in ["serve", "migrate", "seed", "audit", "events"] {
            assert_fails(&launch.run(&[command]).await, "onsale.db", why);
        }
        assert_eq!(std::fs::read(&path).unwrap(), before, "{name}: it stays as it was");
    }
}

#[tokio::test]
async fn a_newer_schema_than_the_program_fails_the_start() {
    let launch = launch();
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 7).await;
    assert!(sale.instance.terminate().await.success());
    let path = launch.folder().join("onsale.db");
    let version = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = version.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    database(&path, "PRAGMA user_version = 99");
    for command in ["serve", "migrate", "seed", "audit", "events"] {
        assert_fails(&launch.run(&[command]).await, "onsale.db", "newer onsale");
    }
    database(&path, &format!("PRAGMA user_version = {version}"));
    let sale = Sale::start(&launch).await;
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 7);
}

#[tokio::test]
async fn a_missing_folder_fails_the_start() {
    let launch = launch().set("ONSALE_DATABASE_URL", "sqlite://no/such/folder/sale.db");
    for command in ["serve", "migrate", "seed", "audit", "events"] {
        assert_fails(&launch.run(&[command]).await, "no/such/folder/sale.db", "no such");
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let launch = launch();
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 7).await;
    for command in ["serve", "migrate", "seed"] {
        assert_fails(&launch.run(&[command]).await, "onsale.db", "another onsale");
    }
    assert_eq!(sale.charge("ada", 7).await["balance"], 14, "the first goes on");
    sale.instance.kill().await;
    let sale = Sale::start(&launch).await;
    assert_eq!(sale.charge("ada", 7).await["balance"], 21, "a killed one leaves no lock");
}

#[tokio::test]
async fn of_servers_that_start_together_on_one_file_exactly_one_serves() {
    for _ in 0..5 {
        let launch = launch();
        let spawn = |_| {
            let mut command = launch.command(&["serve"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let mut servers: Vec<Child> = (0..4).map(spawn).collect();
        let mut winners = Vec::new();
        for (number, server) in servers.iter_mut().enumerate() {
            let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
            let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line or an end").unwrap();
            winners.extend(first.map(|line| (number, line, lines)));
        }
        let [(winner, line, _lines)] = &winners[..] else { panic!("one server runs: {winners:?}") };
        let base = line.strip_prefix("onsale listening on ").unwrap();
        let body = json!({"amount": 7});
        Caller::new(base).patch("/point/ada/charge").json(&body).expect(200).await;
        for (number, server) in servers.into_iter().enumerate() {
            if number != *winner {
                let run = tokio::time::timeout(PATIENCE, server.wait_with_output()).await.unwrap().unwrap();
                assert_fails(&run, "onsale.db", "another onsale");
            }
        }
    }
}
