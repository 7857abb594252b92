//! Alerts for parts that fail: Redis, the database, an instance. Most of these outages happen without any request.

use onsale_testing::postgres::Setup;
use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Balancer, Fault, Faults, Launch, Sale, Signal, is_shared, without};
use serde_json::json;

use crate::support::{ONSALE, until};
use crate::watch::{Watch, address};

fn on_redis(url: &str) -> Launch {
    Sale::launch(ONSALE).set("ONSALE_REDIS_URL", url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_and_then_killed_redis_fires_its_alerts_without_visitors() {
    if without("prometheus") || without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Everything).await;
    let sale = Sale::start(&on_redis(&redis.url())).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.is_quiet(&["RedisAway", "PartDegraded", "InstanceDown", "DatabaseInTrouble"]).await;
    redis.pause().await;
    watch.fires("RedisAway").await;
    let degraded = watch.fires("PartDegraded").await;
    assert_eq!(degraded[0]["labels"]["part"], "redis", "{degraded:?}");
    redis.resume().await;
    watch.ends("RedisAway").await;
    watch.ends("PartDegraded").await;
    redis.kill().await;
    watch.fires("RedisAway").await;
    watch.is_quiet(&["InstanceDown", "DatabaseInTrouble"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_redis_password_fires_its_alert() {
    if without("prometheus") || without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    redis.run::<()>(&["CONFIG", "SET", "requirepass", "the-right-one"]);
    let sale = Sale::start(&on_redis(&format!("redis://:a-wrong-one@{}", redis.address()))).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.fires("RedisAway").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_may_evict_places_fires_its_alert() {
    if without("prometheus") || without("redis") {
        return;
    }
    let redis = Redis::start_with(Keeps::Nothing, &["--maxmemory-policy", "allkeys-lru"]).await;
    let sale = Sale::start(&on_redis(&redis.url())).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.fires("RedisUnsafe").await;
    watch.is_quiet(&["RedisAway"]).await;
    redis.run::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    watch.ends("RedisUnsafe").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_and_then_killed_postgres_fires_its_alerts_without_requests() {
    if without("prometheus") || without("postgres") {
        return;
    }
    let server = Setup::unsynced().start().await;
    let database = server.migrated(ONSALE).await;
    let sale = Sale::start(&Sale::launch(ONSALE).on(database.url())).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.is_quiet(&["DatabaseInTrouble", "PartDegraded"]).await;
    server.pause().await;
    watch.fires("DatabaseInTrouble").await;
    server.resume().await;
    watch.ends("DatabaseInTrouble").await;
    server.kill().await;
    watch.fires("DatabaseInTrouble").await;
    watch.is_quiet(&["InstanceDown"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_database_disk_fires_its_alert() {
    if without("prometheus") {
        return;
    }
    let (faults, launch) = Faults::under(Sale::launch(ONSALE));
    let sale = Sale::start(&launch).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.is_quiet(&["DatabaseInTrouble"]).await;
    faults.fail_writes(Fault::Full);
    sale.caller.patch("/point/ada/charge").json(&json!({"amount": 7})).refused(503, "unavailable").await;
    watch.fires("DatabaseInTrouble").await;
    faults.mend();
    watch.ends("DatabaseInTrouble").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_or_stalled_instance_fires_its_alerts() {
    if without("prometheus") {
        return;
    }
    let port = Balancer::port();
    let launch = Sale::launch(ONSALE).set("ONSALE_LISTEN", port.address());
    let sale = Sale::start(&launch).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.is_quiet(&["InstanceDown"]).await;
    sale.instance.signal(Signal::STOP);
    watch.fires("InstanceDown").await;
    sale.instance.signal(Signal::CONT);
    watch.ends("InstanceDown").await;
    sale.instance.kill().await;
    watch.fires("InstanceDown").await;
}

/// More rows than SQLite's log holds while no reader keeps it from being truncated.
const ROWS: u32 = 400_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_reader_that_makes_the_sqlite_log_grow_fires_its_alert() {
    if without("prometheus") || is_shared() {
        return;
    }
    let sale = Sale::start(&Sale::launch(ONSALE)).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.is_quiet(&["LogGrowth"]).await;
    let open = || rusqlite::Connection::open(sale.instance.folder().join("onsale.db")).unwrap();
    let reader = open();
    reader.execute_batch("BEGIN; SELECT count(*) FROM accounts").unwrap();
    let rows = "INSERT INTO deliveries WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        SELECT randomblob(16), 9000000000000 FROM n";
    open().execute(rows, [ROWS]).unwrap();
    sale.charge("ada", 1_000).await;
    watch.fires("LogGrowth").await;
    drop(reader);
    watch.ends("LogGrowth").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_are_down_at_start_fire_their_alerts() {
    if without("prometheus") {
        return;
    }
    let (broker, keys) = (Balancer::port(), Balancer::port());
    let launch = Sale::launch(ONSALE).set("ONSALE_KAFKA_BROKERS", broker.address()).set("ONSALE_AUTH", "jwt");
    let sale = Sale::start(&launch.set("ONSALE_JWKS_URL", format_args!("http://{}/jwks", keys.address()))).await;
    let watch = Watch::over(&[address(&sale)]).await;
    for part in ["kafka", "jwks"] {
        let named = async || {
            let degraded = watch.fires("PartDegraded").await;
            degraded.iter().any(|alert| alert["labels"]["part"] == part).then_some(())
        };
        until(part, named).await;
    }
    watch.is_quiet(&["InstanceDown", "DatabaseInTrouble"]).await;
}
