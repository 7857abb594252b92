//! The log during outages: the first line of each kind at once, then a count every ten seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::Setup;
use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Caller, Sale, without};
use serde_json::{Value, json};

use crate::support::{ONSALE, until};

/// The least length of the outage under load.
const AWAY: Duration = Duration::from_secs(6);

/// Two lines of one kind are written ten seconds apart. The instant of a line is read later, on a slow machine by more for the
/// first than for the second.
const APART_MILLIS: i64 = 8_000;

/// Fields whose values distinguish kinds of lines: during one outage a task may fail first because the connection is refused, and
/// then because the database is starting.
const KIND_FIELDS: [&str; 7] = ["message", "status", "part", "condition", "task", "reason", "error"];

/// Clients that call without a break.
const CLIENTS: usize = 24;

/// The outage lasts until more requests than this have failed, however slow the machine is.
const FAILED: u64 = 500;

/// The lines of the log that are about trouble.
fn troubles(sale: &Sale) -> Vec<Value> {
    let log = sale.instance.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").collect()
}

/// The number of occurrences that a line reports.
fn stands_for(line: &Value) -> u64 {
    line["repeated"].as_u64().unwrap_or(1)
}

/// The number of failed requests that the log reports.
fn failed_requests(sale: &Sale) -> u64 {
    let of_requests = |line: &Value| line["message"] == "a request failed";
    troubles(sale).into_iter().filter(of_requests).map(|line| stands_for(&line)).sum()
}

/// Calls until stopped; counts answers with 5xx.
async fn call(sale: &Sale, stop: Arc<AtomicBool>, failed: Arc<AtomicU64>, number: usize, concert: String) {
    let caller = Caller::new(sale.instance.base());
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let entry = json!({"userId": format!("user-{number}-{rounds}"), "concertId": concert});
        rounds += 1;
        let calls = [
            caller.patch(&format!("/point/user-{number}/charge")).json(&json!({"amount": 7})),
            caller.get(&format!("/point/user-{number}")),
            caller.post("/queue/tokens").json(&entry),
        ];
        for call in calls {
            failed.fetch_add(u64::from(call.send().await.status.is_server_error()), Ordering::Relaxed);
        }
    }
}

fn millis(line: &Value) -> i64 {
    line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// What distinguishes counts with one message: commits whose outcome is unknown, and commands that found no database.
fn cause_of(line: &Value) -> String {
    let last = line["last"].as_str().unwrap_or_default();
    let cause = last.strip_prefix("error=").and_then(|error| error.split(':').next());
    cause.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_under_load_logs_one_line_and_then_counts() {
    if ["postgres", "redis", "kafka"].into_iter().any(without) {
        return;
    }
    let (server, redis, kafka) =
        (Setup::unsynced().start().await, Redis::start(Keeps::Nothing).await, Kafka::start().await);
    let database = server.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_REDIS_URL", redis.url());
    let sale = Arc::new(Sale::start(&launch.set("ONSALE_KAFKA_BROKERS", kafka.brokers())).await);
    let concert = sale.concert(&json!({})).await;
    sale.charge("ada", 1).await;
    let before = troubles(&sale).len();

    let stop = Arc::new(AtomicBool::new(false));
    let (failed, mut clients) = (Arc::new(AtomicU64::new(0)), Vec::new());
    for number in 0..CLIENTS {
        let (sale, stop, concert, failed) = (sale.clone(), stop.clone(), concert.clone(), failed.clone());
        clients.push(tokio::spawn(async move {
            call(&sale, stop, failed, number, concert).await;
        }));
    }
    kafka.kill().await;
    redis.kill().await;
    server.kill().await;
    let began = Instant::now();
    let first = async || {
        let lines = troubles(&sale).split_off(before);
        lines.into_iter().next()
    };
    let first = until("the first line", first).await;
    assert_eq!(stands_for(&first), 1, "the first line is written at once, and is no count: {first}");
    tokio::time::sleep(AWAY).await;
    until("enough requests have failed", async || (failed.load(Ordering::Relaxed) > FAILED).then_some(())).await;
    server.restart().await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }

    // The count of the last seconds is logged without a further request.
    let failed = failed.load(Ordering::Relaxed);
    let counted = async || (failed_requests(&sale) >= failed).then_some(());
    until("every failed request is in the log", counted).await;
    assert_eq!(failed_requests(&sale), failed, "each once");
    println!("all of them are counted {:?} after the outage began", began.elapsed());

    let mut kinds: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in troubles(&sale) {
        let kind = KIND_FIELDS.map(|field| line[field].to_string());
        kinds.entry(kind.join(" ") + &cause_of(&line)).or_default().push(line);
    }
    let lines: usize = kinds.values().map(Vec::len).sum();
    println!("{failed} requests failed; {lines} lines of {} kinds", kinds.len());
    assert!(lines < 100, "{kinds:#?}");
    for (kind, lines) in kinds {
        let times: Vec<i64> = lines.iter().map(millis).collect();
        let are_apart = times.windows(2).all(|pair| pair[1] - pair[0] >= APART_MILLIS);
        assert!(are_apart || kind.contains("degraded"), "{kind}: {lines:#?}");
    }
}
