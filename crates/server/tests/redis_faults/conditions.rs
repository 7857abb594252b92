//! The settings and permissions that Redis needs are checked before a user enters, and reported.

use std::time::Duration;

use onsale_testing::redis::{Cluster, Keeps, Redis};
use onsale_testing::{Sale, without};
use serde_json::{Value, json};

use crate::support::room::room;
use crate::support::{at_once, start, text, until};

/// Redis is checked each second, and a check without an answer takes a few seconds. The rest is for a slow machine.
const RAISED_WITHIN: Duration = Duration::from_secs(50);

/// A number that `/metrics` shows, 0 if it is not there.
pub(crate) async fn metric(sale: &Sale, name: &str) -> f64 {
    let reply = sale.caller.get("/metrics").send().await;
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or(0.0)
}

/// What `/readyz` of an instance reports about Redis.
pub(crate) async fn said(sale: &Sale) -> Value {
    let ready = sale.caller.get("/readyz").expect(200).await;
    ready["parts"].as_array().unwrap().iter().find(|part| part["part"] == "redis").cloned().unwrap()
}

/// The condition is shown by `/readyz` with a reason, by the metrics, and once by the log.
pub(crate) async fn is_raised(sale: &Sale, condition: &str, word: &str) {
    let gauge = format!("onsale_part_degraded{{part=\"redis\",condition=\"{condition}\"}}");
    let mut last = Value::Null;
    let raised = async {
        loop {
            last = said(sale).await;
            let reasons = last["reasons"].as_array().cloned().unwrap_or_default();
            let named = reasons.iter().any(|reason| text(reason).contains(word));
            let shown = (metric(sale, &gauge).await - 1.0).abs() < 0.01;
            if last["status"] == "degraded" && named && shown && sale.instance.log().contains(word) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let raised = tokio::time::timeout(RAISED_WITHIN, raised).await;
    assert!(raised.is_ok(), "{condition} is shown: {last}");
}

/// All is well again, within a few looks.
async fn is_well(sale: &Sale) {
    let well = async || (said(sale).await["status"] == "ok").then_some(());
    until("Redis is well", well).await;
}

async fn on(url: &str) -> Sale {
    start(&[("ONSALE_REDIS_URL", url)]).await
}

/// This many users enter, some hundred at once. Returns the status and the body of each answer.
async fn enter(sale: &Sale, concert: &str, count: usize) -> Vec<(u16, Value)> {
    let mut answers = Vec::new();
    for first in (0..count).step_by(500) {
        let call = |number: usize| {
            let body = json!({"userId": format!("user-{number}"), "concertId": concert});
            sale.caller.post("/queue/tokens").json(&body)
        };
        let replies = at_once((first..count.min(first + 500)).map(call).collect::<Vec<_>>()).await;
        answers.extend(replies.iter().map(|reply| (reply.status.as_u16(), reply.json()["token"].clone())));
    }
    answers
}

/// A server whose memory is used up by a few hundred places more.
async fn with_little_memory(policy: &str) -> Redis {
    let redis = Redis::start_with(Keeps::Nothing, &["--maxmemory-policy", policy]).await;
    let info: String = redis.run(&["INFO", "memory"]);
    let used: u64 = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok()).unwrap();
    redis.run::<()>(&["CONFIG", "SET", "maxmemory", &(used + 900_000).to_string()]);
    redis
}

/// More users enter than Redis has memory for: some are refused, and no user gets a second place.
async fn no_user_has_two_places(redis: &Redis, sale: &Sale) {
    let concert = sale.concert(&room(1)).await;
    let first = enter(sale, &concert, 12_000).await;
    let entered = first.iter().filter(|(status, _)| *status == 201).count();
    assert!((100..12_000).contains(&entered), "{entered} of 12000 entered");
    assert!(first.iter().all(|(status, _)| [201, 503].contains(status)), "all other users get a 503");
    let again = enter(sale, &concert, 12_000).await;
    for (number, (before, after)) in first.iter().zip(&again).enumerate().filter(|(_, (before, _))| before.0 == 201) {
        assert_eq!((after.0, &after.1), (200, &before.1), "user-{number} has the same place");
    }
    redis.run::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    redis.run::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    is_well(sale).await;
    let body = json!({"userId": "late", "concertId": concert});
    sale.caller.post("/queue/tokens").json(&body).expect(201).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_evicts_places() {
    if without("redis") {
        return;
    }
    let redis = with_little_memory("allkeys-lru").await;
    let sale = on(&redis.url()).await;
    is_raised(&sale, "eviction", "allkeys-lru").await;
    no_user_has_two_places(&redis, &sale).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_memory_left() {
    if without("redis") {
        return;
    }
    let redis = with_little_memory("noeviction").await;
    let sale = on(&redis.url()).await;
    is_well(&sale).await;
    let concert = sale.concert(&room(1)).await;
    enter(&sale, &concert, 12_000).await;
    is_raised(&sale, "full", "no memory left").await;
    let more: u64 = redis.run::<Vec<String>>(&["CONFIG", "GET", "maxmemory"])[1].parse().unwrap();
    redis.run::<()>(&["CONFIG", "SET", "maxmemory", &(more + 900_000).to_string()]);
    no_user_has_two_places(&redis, &sale).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_the_rights() {
    if without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    redis.run::<()>(&["ACL", "SETUSER", "sale", "on", ">pa@ss", "~onsale:*", "+@all", "-info"]);
    let url = format!("redis://sale:pa%40ss@{}", redis.address());
    let sale = on(&url).await;
    is_raised(&sale, "rights", "INFO").await;
    // With exactly the documented permissions, a user can enter.
    let least = "+@hash +info +eval +evalsha +script|load +unlink +lpushx";
    let rights: Vec<&str> = "ACL SETUSER sale resetkeys ~onsale:* -@all".split(' ').chain(least.split(' ')).collect();
    redis.run::<()>(&rights);
    is_well(&sale).await;
    let concert = sale.concert(&room(1)).await;
    sale.enter(&concert, "one").await;
    for (missing, name) in [("hset", "HSET"), ("evalsha", "EVALSHA")] {
        redis.run::<()>(&["ACL", "SETUSER", "sale", &format!("-{missing}")]);
        is_raised(&sale, "rights", name).await;
        redis.run::<()>(&["ACL", "SETUSER", "sale", &format!("+{missing}")]);
        is_well(&sale).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password() {
    if without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    redis.run::<()>(&["CONFIG", "SET", "requirepass", "right"]);
    for url in [redis.url(), format!("redis://:wrong@{}", redis.address())] {
        let sale = on(&url).await;
        is_raised(&sale, "login", "refuses the user or the password").await;
        assert!(!sale.instance.log().contains("wrong@"), "no password in the log");
        // The age rises without a room, so that an alert fires before a user waits.
        let rises = async || (metric(&sale, "onsale_waiting_room_memory_age_seconds").await > 2.0).then_some(());
        until("the age rises", rises).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica() {
    if without("redis") {
        return;
    }
    let (primary, replica) = (Redis::start(Keeps::Nothing).await, Redis::start(Keeps::Nothing).await);
    replica.follow(&primary).await;
    let sale = on(&replica.url()).await;
    is_raised(&sale, "read-only", "is a replica").await;
    replica.promote();
    is_well(&sale).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_writes() {
    if without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let sale = on(&redis.url()).await;
    redis.run::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    is_raised(&sale, "replicas", "too few replicas").await;
    redis.run::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    is_well(&sale).await;
    // It is to save, and cannot: a folder stands where its file belongs.
    redis.run::<()>(&["CONFIG", "SET", "save", "3600 1000"]);
    std::fs::create_dir(redis.data().join("dump.rdb")).unwrap();
    let refused = onsale_testing::redis::driver::cmd("BGSAVE").query::<String>(&mut redis.connection());
    refused.unwrap();
    is_raised(&sale, "persistence", "cannot save").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_a_slot_missing() {
    if without("redis") {
        return;
    }
    for full_coverage in ["yes", "no"] {
        let cluster = Cluster::start().await;
        for server in cluster.servers() {
            server.run::<()>(&["CONFIG", "SET", "cluster-require-full-coverage", full_coverage]);
        }
        let sale = on(&cluster.url()).await;
        is_well(&sale).await;
        cluster.servers().iter().for_each(|server| server.run::<()>(&["CLUSTER", "DELSLOTS", "42"]));
        is_raised(&sale, "slots", "slots").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_stalls_is_reported_without_a_user_in_line() {
    if without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let sale = on(&redis.url()).await;
    is_well(&sale).await;
    redis.pause().await;
    is_raised(&sale, "away", "does not answer").await;
    let rises = async || (metric(&sale, "onsale_waiting_room_memory_age_seconds").await > 2.0).then_some(());
    until("the age rises", rises).await;
    redis.resume().await;
    is_well(&sale).await;
    let is_zero = async || (metric(&sale, "onsale_waiting_room_memory_age_seconds").await < 0.01).then_some(());
    until("the age is 0 again", is_zero).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_closed_costs_no_entry() {
    if without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Everything).await;
    let sale = on(&redis.url()).await;
    let concert = sale.concert(&room(1)).await;
    for round in 0..10 {
        sale.enter(&concert, &format!("before-{round}")).await;
        redis.run::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let body = json!({"userId": format!("after-{round}"), "concertId": concert});
        sale.caller.post("/queue/tokens").json(&body).expect(201).await;
    }
    redis.restart().await;
    let body = json!({"userId": "after a restart".replace(' ', "-"), "concertId": concert});
    sale.caller.post("/queue/tokens").json(&body).expect(201).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_are_over_leave_no_key() {
    if without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let sale = on(&redis.url()).await;
    let short = json!({"maxActive": 1_000, "admitPerSecond": 1_000_000, "activeSeconds": 1, "claimSeconds": 1});
    let (over, stays) = (sale.concert(&short).await, sale.concert(&short).await);
    // Long enough for all to enter before it begins, on a busy machine too.
    sale.performance_at(&over, &json!(null), 10).await;
    sale.performance(&stays, &json!(null)).await;
    for concert in [&over, &stays] {
        let entered = enter(&sale, concert, 300).await;
        assert!(entered.iter().all(|(status, _)| *status == 201));
    }
    let keys = async |concert: &str| {
        let pattern = format!("onsale:{{{concert}}}:*");
        redis.run::<Vec<String>>(&["KEYS", &pattern]).len()
    };
    assert!(keys(&over).await > 200);
    let gone = async || (keys(&over).await == 0).then_some(());
    until("the keys of the room that is over are gone", gone).await;
    assert!(keys(&stays).await > 200, "the other room stays");
    assert!(metric(&sale, "onsale_waiting_room_memory_rooms_retired_total").await >= 1.0);
    // It can be entered all the same, and is deleted again.
    sale.enter(&over, "late").await;
    until("they are gone again", gone).await;
}
