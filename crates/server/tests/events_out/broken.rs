//! Faults of a real broker: the sale continues, and every event is delivered once.

use std::collections::BTreeSet;

use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::Database;
use onsale_testing::{Launch, Sale, without};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;
use tokio::process::Child;

use crate::kafka::launch;
use crate::scene::{all_came_out, charge, in_files, log, run, start};
use crate::support::{text, until};

const POINTS: &str = "onsale.points";

pub(crate) fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", kafka.brokers()).create().unwrap()
}

/// Sets the largest batch of messages of a topic.
async fn limit(kafka: &Kafka, bytes: usize) {
    let bytes = bytes.to_string();
    let set = AlterConfig::new(ResourceSpecifier::Topic(POINTS)).set("max.message.bytes", &bytes);
    let done = admin(kafka).alter_configs([&set], &AdminOptions::new()).await.unwrap();
    assert!(done.iter().all(Result::is_ok), "{done:?}");
}

/// A sale whose events go through a broker into files, with the process that consumes them.
struct Evening {
    launch: Launch,
    sale: Sale,
    _consumer: Child,
    _database: Database,
}

impl Evening {
    async fn start(kafka: &Kafka) -> Self {
        let (launch, database) = launch(kafka).await;
        let (sale, consumer) = (Sale::start(&launch).await, start(&launch, "consume"));
        Self { launch, sale, _consumer: consumer, _database: database }
    }
}

fn ids(events: &[Value]) -> BTreeSet<String> {
    events.iter().map(|event| text(&event["id"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_large_becomes_a_dead_letter_and_other_events_are_sent() {
    if without("postgres") || without("kafka") {
        return;
    }
    let kafka = Kafka::start().await;
    let Evening { launch, sale, .. } = &Evening::start(&kafka).await;
    let (short, long) = ("ada", "b".repeat(64));
    sale.charge(short, 1).await;
    sale.charge(&long, 1).await;
    all_came_out(launch, 2).await;
    // What a message takes beside its key and value is about 130 bytes.
    let log_before = log(launch).await;
    let size = |event: &Value| 130 + event.to_string().len() + text(&event["subject"]).len();
    limit(&kafka, usize::midpoint(size(&log_before[0]), size(&log_before[1]))).await;

    for amount in 0..20 {
        sale.charge(short, 100 + amount).await;
        sale.charge(&long, 100 + amount).await;
    }
    let folder = launch.folder().join("events");
    let of = |events: &[Value], user: &str| -> Vec<Value> {
        events.iter().filter(|event| event["subject"] == user).cloned().collect()
    };
    let dead = async || {
        let dead = run(launch, &["events", "--state", "dead"]).await;
        (dead.lines().count() == 20).then_some(dead)
    };
    let dead = until("those that are too large are set aside", dead).await;
    assert!(dead.lines().all(|line| line.contains(&long) && line.contains("arge")), "{dead}");
    let log_after = until("all are in the log", async || {
        let log = log(launch).await;
        (log.len() == 42).then_some(log)
    })
    .await;
    let others = async || (ids(&of(&in_files(&folder), short)) == ids(&of(&log_after, short))).then_some(());
    until("the others came out", others).await;

    limit(&kafka, 1_000_000).await;
    assert!(run(launch, &["events", "retry"]).await.starts_with("20 "));
    let all = async || (ids(&in_files(&folder)) == ids(&log_after)).then_some(());
    until("what was put back came out", all).await;
    assert_eq!(in_files(&folder).len(), log_after.len(), "none twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_is_created_again() {
    if without("postgres") || without("kafka") {
        return;
    }
    let kafka = Kafka::start().await;
    let Evening { launch, sale, .. } = &Evening::start(&kafka).await;
    charge(sale, 0, 40).await;
    all_came_out(launch, 40).await;
    let deleted = admin(&kafka).delete_topics(&[POINTS], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    charge(sale, 1, 40).await;
    all_came_out(launch, 80).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_with_a_full_disk_gets_the_events_after_there_is_room() {
    if without("postgres") || without("kafka") {
        return;
    }
    let kafka = Kafka::start_on_a_small_disk().await;
    let Evening { launch, sale, .. } = &Evening::start(&kafka).await;
    charge(sale, 0, 20).await;
    all_came_out(launch, 20).await;
    kafka.fill_disk();
    charge(sale, 1, 40).await;
    kafka.has_ended().await;
    charge(sale, 2, 20).await;
    kafka.free_disk();
    kafka.restart().await;
    all_came_out(launch, 80).await;
}
