//! Metrics and logs during outages, and after Kafka removed unread messages.

use std::time::Duration;

use axum::http::StatusCode;
use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::Setup;
use onsale_testing::{Sale, Signal, signal, without};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};

use crate::broken::admin;
use crate::kafka::launch;
use crate::platform::Platform;
use crate::scene::{Work, charge, in_files, value_of};
use crate::support::{ONSALE, until};

const POINTS: &str = "onsale.points";
const PENDING: &str = "onsale_relay_pending";
const OLDEST: &str = "onsale_relay_oldest_seconds";
const AGE: &str = "onsale_relay_backlog_age_seconds";
const LAG: &str = "onsale_consumer_lag";
const LOST: &str = "onsale_consumer_messages_lost_total";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_broker_shows_in_gauges_and_log() {
    if without("postgres") || without("kafka") {
        return;
    }
    let kafka = Kafka::start().await;
    let (launch, _database) = launch(&kafka).await;
    let sale = Sale::start(&launch).await;
    let metric = async |series: &str| {
        let metrics = sale.caller.get("/metrics").send().await;
        value_of(&String::from_utf8_lossy(&metrics.unpacked()), series)
    };
    charge(&sale, 0, 1).await;
    let sent = "onsale_relay_events_sent_total";
    until("the first is sent", async || (metric(sent).await? == 1.0).then_some(())).await;
    kafka.kill().await;
    charge(&sale, 1, 100).await;
    until("all that wait are counted", async || (metric(PENDING).await? == 100.0).then_some(())).await;
    until("they grow older", async || (metric(OLDEST).await? > 3.0).then_some(())).await;
    until("the database answers", async || (metric(AGE).await? < 3.0).then_some(())).await;
    let log = || sale.instance.log();
    until("the cause is logged", async || log().contains("Connection refused").then_some(())).await;
    until("what waits is logged", async || log().contains("100 events wait").then_some(())).await;
    let many = log().lines().count();
    assert!(many < 100, "{many} lines: {}", log());
    kafka.restart().await;
    until("all are sent", async || (metric(PENDING).await? == 0.0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_platform_shows_in_gauges_and_log_without_kafka() {
    let platform = Platform::start().await;
    platform.told.lock().unwrap().down = Some((StatusCode::BAD_GATEWAY, 0));
    let launch = Sale::launch(ONSALE).set("ONSALE_DATA_PLATFORM_URL", platform.url());
    let sale = Sale::start(&launch).await;
    charge(&sale, 0, 100).await;
    let consumer = Work::start(&launch, "consume");
    consumer.until_metric(PENDING, |value| value == 100.0).await;
    consumer.until_metric(OLDEST, |value| value > 3.0).await;
    consumer.has_logged("502 Bad Gateway").await;
    platform.told.lock().unwrap().down = None;
    consumer.until_metric(PENDING, |value| value == 0.0).await;
    consumer.until_metric(OLDEST, |value| value == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_database_shows_in_the_age_of_the_gauges() {
    if without("postgres") || without("kafka") {
        return;
    }
    let server = Setup::unsynced().start().await;
    let database = server.migrated(ONSALE).await;
    let kafka = Kafka::prepare();
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_KAFKA_BROKERS", kafka.brokers());
    let sale = Sale::start(&launch.another().set("ONSALE_RELAY", false)).await;
    charge(&sale, 0, 20).await;
    let relay = Work::start(&launch, "relay");
    relay.until_metric(PENDING, |value| value == 20.0).await;
    let away = r#"onsale_part_degraded{part="database",condition="away"}"#;
    server.kill().await;
    relay.until_metric(AGE, |value| value > 5.0).await;
    relay.until_metric(away, |value| value == 1.0).await;
    relay.until_metric(PENDING, |value| value == 20.0).await;
    relay.until_metric(OLDEST, |value| value > 5.0).await;
    relay.has_logged("the events that wait cannot be counted").await;
    server.restart().await;
    relay.until_metric(AGE, |value| value < 3.0).await;
    relay.until_metric(away, |value| value == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lag_grows_while_the_platform_and_then_the_broker_is_unreachable() {
    if without("postgres") || without("kafka") {
        return;
    }
    let (kafka, platform) = (Kafka::start().await, Platform::start().await);
    platform.told.lock().unwrap().down = Some((StatusCode::NOT_FOUND, 0));
    let (launch, _database) = launch(&kafka).await;
    let launch = launch.set("ONSALE_DATA_PLATFORM_URL", platform.url());
    let sale = Sale::start(&launch).await;
    let consumer = Work::start(&launch, "consume");
    charge(&sale, 0, 50).await;
    consumer.until_metric(LAG, |value| value == 50.0).await;
    consumer.has_logged("50 messages wait").await;
    kafka.kill().await;
    let away = r#"onsale_part_degraded{part="kafka",condition="away"}"#;
    consumer.until_metric(away, |value| value == 1.0).await;
    consumer.until_metric("onsale_consumer_lag_age_seconds", |value| value > 5.0).await;
    consumer.until_metric(LAG, |value| value == 50.0).await;
    kafka.restart().await;
    platform.told.lock().unwrap().down = None;
    consumer.until_metric(LAG, |value| value == 0.0).await;
    consumer.until_metric(away, |value| value == 0.0).await;
    consumer.until_metric(LOST, |value| value == 0.0).await;
}

/// Removes the messages before an offset, as retention does.
async fn remove(kafka: &Kafka, before: Offset) {
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(POINTS, 0, before).unwrap();
    admin(kafka).delete_records(&offsets, &AdminOptions::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_kafka_removed_unread_are_counted() {
    if without("postgres") || without("kafka") {
        return;
    }
    let kafka = Kafka::start().await;
    let (launch, _database) = launch(&kafka).await;
    let launch = launch.set("ONSALE_KAFKA_PARTITIONS", 1);
    let sale = Sale::start(&launch).await;
    let folder = launch.folder().join("events");
    let sent = async |many: usize| {
        let metrics = async || {
            let metrics = sale.caller.get("/metrics").send().await;
            let text = String::from_utf8_lossy(&metrics.unpacked()).into_owned();
            (value_of(&text, "onsale_relay_events_sent_total")? == f64::from(u32::try_from(many).unwrap()))
                .then_some(())
        };
        until("all are sent", metrics).await;
    };
    let came_out = async |many: usize| {
        until("some came out", async || (in_files(&folder).len() == many).then_some(())).await;
    };
    let consumer = Work::start(&launch, "consume");
    charge(&sale, 0, 10).await;
    came_out(10).await;
    consumer.until_metric(LAG, |value| value == 0.0).await;
    consumer.until_metric(LOST, |value| value == 0.0).await;

    // While no consumer runs, with some left to read.
    drop(consumer);
    charge(&sale, 1, 20).await;
    sent(30).await;
    remove(&kafka, Offset::Offset(25)).await;
    let consumer = Work::start(&launch, "consume");
    came_out(15).await;
    consumer.until_metric(LOST, |value| value == 15.0).await;
    consumer.has_logged("Kafka removed messages before they were read").await;

    // Under a stalled consumer with no message left to read: no later message shows the gap. What the broker
    // was just requested is answered within 50 ms, and only later requests find it missing.
    signal(&consumer.child, Signal::STOP);
    tokio::time::sleep(Duration::from_millis(500)).await;
    charge(&sale, 2, 7).await;
    sent(37).await;
    remove(&kafka, Offset::End).await;
    signal(&consumer.child, Signal::CONT);
    consumer.until_metric(LAG, |value| value == 0.0).await;
    let lost = consumer.until_metric(LOST, |value| value > 15.0).await;
    let read = in_files(&folder).len();
    assert_eq!(lost, f64::from(u32::try_from(37 - read).unwrap()), "{read} were read");
    charge(&sale, 3, 3).await;
    came_out(read + 3).await;
    consumer.until_metric(LOST, |value| value == lost).await;

    // A topic that is deleted and created again.
    let deleted = admin(&kafka).delete_topics(&[POINTS], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    charge(&sale, 4, 5).await;
    came_out(read + 8).await;
    consumer.until_metric("onsale_consumer_partition_restarts_total", |value| value == 1.0).await;
    consumer.has_logged("a partition begins anew").await;
}
