//! Three instances behind the shipped configuration of HAProxy and of nginx are restarted one by one under load,
//! and no client sees an error.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod instances;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Balancer, Caller, Workload, without};
use serde_json::{Value, json};

use instances::Instances;
use support::raw;
use support::until;

/// The shipped file with the instances' names replaced by addresses.
fn shipped(file: &str, instances: &Instances, replaced: &[(&str, &str)]) -> String {
    let path = format!("{}/../../deploy/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(path).unwrap();
    let names = (1..=3).map(|number| format!("onsale-{number}:8080"));
    for (name, address) in names.zip(instances.addresses()) {
        assert!(text.contains(&name), "{file} names {name}");
        text = text.replace(&name, &address.to_string());
    }
    for (from, to) in replaced {
        assert!(text.contains(from), "{file} holds {from:?}");
        text = text.replace(from, to);
    }
    text
}

/// Restarts each instance in turn while people buy, apply, charge and poll through the balancer.
async fn rolling_restart(mut instances: Instances, balancer: &Balancer) {
    let caller = Caller::new(&balancer.base());
    let ready = async || caller.get("/readyz").try_send().await.is_ok_and(|reply| reply.status == 200).then_some(());
    until("the balancer passes requests on", ready).await;

    let load = Workload::prepare(instances.first(), 24, 0xBA1A).await.start(&caller);
    let innocent = tokio::spawn(early_refusals(balancer.base()));
    for number in 0..3 {
        instances.restart(number).await;
    }
    innocent.await.unwrap();
    let load = load.stop().await;
    assert!(load.acknowledged() > 300, "only {} requests were answered: no load", load.acknowledged());
    assert_eq!(load.unanswered(), 0, "a client saw an error: {}", balancer.log());
    load.check(instances.first()).await;
    instances.audit().await;
}

/// Refusals before a body is read do not break other requests of the balancer.
async fn early_refusals(base: String) {
    let body = vec![b'x'; 60 * 1024];
    let caller = Caller::new(&base);
    for round in 0..40 {
        for (line, status) in [(&b"POST /nowhere"[..], 404), (b"POST /payments", 401), (b"PUT /payments", 405)] {
            let request = raw::request(line, &[b"content-type: application/json"], &body);
            let reply = raw::exchange(&base, &request).await.expect("an answer");
            assert_eq!(reply.status, status, "round {round}: {}", String::from_utf8_lossy(line));
        }
        caller.get("/concerts").expect(200).await;
    }
}

const SETTINGS: [(&str, &str); 3] = [
    ("ONSALE_TRUSTED_PROXIES", "127.0.0.1"),
    ("ONSALE_RATE_LIMIT_PER_SECOND", "0"),
    ("ONSALE_ENTRIES_PER_MINUTE", "0"),
];

/// HAProxy with the shipped file, and the address that shows whether any instance is ready.
async fn haproxy(instances: &Instances) -> (Balancer, String) {
    let (front, health) = (Balancer::port(), Balancer::port());
    let replaced = [
        ("bind :8080", format!("bind {}", front.address())),
        ("bind 127.0.0.1:8404", format!("bind {}", health.address())),
        // As many open files as a machine for tests allows.
        ("maxconn 20000", "maxconn 2000".to_owned()),
        // Names are resolved by Docker there; here each instance is named by its address.
        (" init-addr last,libc,none resolvers docker", String::new()),
    ];
    let replaced: Vec<(&str, &str)> = replaced.iter().map(|(from, to)| (*from, to.as_str())).collect();
    let balancer = Balancer::haproxy(front, &shipped("haproxy.cfg", instances, &replaced)).await;
    (balancer, format!("http://{}", health.address()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_haproxy_shows_no_error() {
    if without("haproxy") {
        return;
    }
    let Some(instances) = Instances::start(&SETTINGS).await else { return };
    let (balancer, _) = haproxy(&instances).await;
    rolling_restart(instances, &balancer).await;
}

/// Longer than HAProxy takes to remove an instance: two failed checks, and the time of both.
const CHECKED_FOR: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_redis_or_a_dead_broker_does_not_make_an_instance_unready() {
    if without("haproxy") || without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let (url, broker) = (redis.url(), Balancer::port());
    let brokers = broker.address().to_string();
    let own = [("ONSALE_REDIS_URL", url.as_str()), ("ONSALE_KAFKA_BROKERS", brokers.as_str())];
    let Some(instances) = Instances::start(&[&SETTINGS[..], &own].concat()).await else { return };
    let (balancer, health) = haproxy(&instances).await;
    let (caller, health) = (Caller::new(&balancer.base()), Caller::new(&health));
    let ready = async || (caller.get("/readyz").send().await.status == 200).then_some(());
    until("the balancer passes requests on", ready).await;
    redis.pause().await;
    let began = Instant::now();
    while began.elapsed() < CHECKED_FOR {
        for sale in instances.each() {
            sale.caller.get("/readyz").expect(200).await;
        }
        caller.get("/lectures").expect(200).await;
        assert_eq!(health.get("/healthz").send().await.status, 200, "{}", balancer.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!balancer.log().contains("is DOWN"), "{}", balancer.log());
    let ready = caller.get("/readyz").expect(200).await;
    for part in ["redis", "kafka"] {
        let degraded = |found: &Value| found["part"] == part && found["status"] == "degraded";
        assert!(ready["parts"].as_array().unwrap().iter().any(degraded), "{part}: {ready}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_nginx_shows_no_error() {
    if without("nginx") {
        return;
    }
    let Some(instances) = Instances::start(&SETTINGS).await else { return };
    let front = Balancer::port();
    let listen = format!("listen {}", front.address());
    let text = shipped("nginx.conf", &instances, &[("listen 8080", &listen)]);
    let balancer = Balancer::nginx(front, &text).await;
    rolling_restart(instances, &balancer).await;
}

#[tokio::test]
async fn the_balancer_does_not_expose_metrics() {
    if without("nginx") {
        return;
    }
    let Some(instances) = Instances::start(&SETTINGS).await else { return };
    let front = Balancer::port();
    let listen = format!("listen {}", front.address());
    let balancer = Balancer::nginx(front, &shipped("nginx.conf", &instances, &[("listen 8080", &listen)])).await;
    let caller = Caller::new(&balancer.base());
    assert_eq!(caller.get("/metrics").send().await.status, 404);
    let concert = instances.first().concert(&json!({})).await;
    let place = caller.post("/queue/tokens").json(&json!({"userId": "ada", "concertId": concert})).expect(201).await;
    assert_eq!(place["userId"], "ada");
}
