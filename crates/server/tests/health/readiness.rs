//! `/readyz` answers from the last results of the checks, so no stalled part delays it.

use std::time::{Duration, Instant};

use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::Setup;
use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Reply, Sale, WireCutter, without};
use serde_json::Value;

use crate::support::{ONSALE, start, text, until};

/// The longest time of an answer. A check of a stalled part takes two seconds and more.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// Answers that are measured while a part is stalled.
const MEASURED: usize = 15;

async fn readiness(sale: &Sale) -> Reply {
    sale.caller.get("/readyz").send().await
}

/// No answer waits for a stalled part. A slow machine may delay some of them, so the middle one counts.
async fn answers_at_once(sale: &Sale) {
    let mut all = Vec::new();
    for _ in 0..MEASURED {
        let began = Instant::now();
        readiness(sale).await;
        all.push(began.elapsed());
    }
    all.sort_unstable();
    assert!(all[MEASURED / 2] < ANSWER_MAX, "answers at once, not after {all:?}");
}

/// The state of a part, from an answer with 200 in time.
async fn part(sale: &Sale, name: &str) -> Value {
    let ready = readiness(sale).await.expect(200);
    assert_eq!(ready["status"], "ready");
    let parts = ready["parts"].as_array().unwrap().clone();
    parts.into_iter().find(|part| part["part"] == name).unwrap_or_else(|| panic!("no {name}: {ready}"))
}

/// Polls until the part is degraded with a reason, which it returns. No answer waits for the part.
async fn until_degraded(sale: &Sale, name: &str) -> String {
    let degraded = async || {
        let part = part(sale, name).await;
        (part["status"] == "degraded").then(|| text(&part["reasons"][0]))
    };
    let reason = until(&format!("{name} is degraded"), degraded).await;
    answers_at_once(sale).await;
    reason
}

async fn until_ok(sale: &Sale, name: &str) {
    let ok = async || {
        let part = part(sale, name).await;
        (part["status"] == "ok").then(|| assert!(part.get("reasons").is_none(), "{part}"))
    };
    until(&format!("{name} is ok"), ok).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_redis_does_not_delay_readyz() {
    if without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let sale = start(&[("ONSALE_REDIS_URL", &redis.url())]).await;
    until_ok(&sale, "redis").await;
    redis.pause().await;
    let reason = until_degraded(&sale, "redis").await;
    assert!(reason.contains("Redis"), "{reason}");
    let gauge = async || {
        let shown = String::from_utf8(sale.caller.get("/metrics").send().await.body.to_vec()).unwrap();
        let line =
            shown.lines().find(|line| line.starts_with("onsale_part_degraded{part=\"redis\",condition=\"away\"}"));
        line.is_some_and(|line| line.ends_with(" 1")).then_some(())
    };
    until("the gauge shows it too, with an empty line", gauge).await;
    redis.resume().await;
    until_ok(&sale, "redis").await;
    redis.kill().await;
    let reason = until_degraded(&sale, "redis").await;
    assert!(!reason.contains(&redis.address().to_string()), "any client may read it: {reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_or_silent_broker_does_not_delay_readyz() {
    if without("kafka") {
        return;
    }
    let kafka = Kafka::prepare();
    let wire = WireCutter::start(kafka.address()).await;
    let sale = start(&[("ONSALE_KAFKA_BROKERS", &kafka.brokers())]).await;
    let reason = until_degraded(&sale, "kafka").await;
    assert!(reason.contains(&kafka.brokers()), "the broker is named: {reason}");
    assert!(reason.contains("check that it runs") && !reason.contains("Connect to"), "a next step: {reason}");
    until("the log has the client's words", async || sale.instance.log().contains("Connect").then_some(())).await;
    wire.stall().await;
    let silent = start(&[("ONSALE_KAFKA_BROKERS", &wire.address().to_string())]).await;
    until_degraded(&silent, "kafka").await;
    kafka.restart().await;
    until_ok(&sale, "kafka").await;
    kafka.pause().await;
    until_degraded(&sale, "kafka").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_database_is_reported_in_time_without_delaying_readyz() {
    if without("postgres") {
        return;
    }
    let server = Setup::unsynced().start().await;
    let database = server.migrated(ONSALE).await;
    let sale = Sale::start(&Sale::launch(ONSALE).on(database.url())).await;
    readiness(&sale).await.expect(200);
    for kill in [false, true] {
        if kill {
            server.kill().await;
        } else {
            server.pause().await;
        }
        let away = async || (readiness(&sale).await.status == 503).then_some(());
        until("the instance is not ready", away).await;
        answers_at_once(&sale).await;
        let problem = readiness(&sale).await.refused(503, "unavailable");
        assert!(text(&problem["detail"]).contains("database"), "{problem}");
        if kill {
            server.restart().await;
        } else {
            server.resume().await;
        }
        let ready = async || (readiness(&sale).await.status == 200).then_some(());
        until("the instance is ready again", ready).await;
    }
}
