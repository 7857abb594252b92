//! With a real Kafka: broker, relay and consumer are killed, and each event is delivered once and in order.

use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::shared;
use onsale_testing::{Launch, Sale, without};
use serde_json::json;

use crate::scene::{all_came_out, by_subject, charge, in_files, log, run, start};
use crate::support::room::room;
use crate::support::{ONSALE, until};

/// A sale on Postgres whose events go through this broker into files.
pub(crate) async fn launch(kafka: &Kafka) -> (Launch, onsale_testing::postgres::Database) {
    let database = shared().await.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_KAFKA_BROKERS", kafka.brokers());
    (launch, database)
}

/// The broker is checked in the background.
async fn until_kafka_is_degraded(sale: &Sale) {
    let degraded = async || {
        let ready = sale.caller.get("/readyz").expect(200).await;
        let part = ready["parts"].as_array().unwrap().iter().find(|part| part["part"] == "kafka").unwrap().clone();
        (part["status"] == "degraded").then(|| assert!(part["reasons"][0].is_string(), "{part}"))
    };
    until("kafka is degraded", degraded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_continues_during_outages_and_each_event_is_delivered_once() {
    if without("postgres") || without("kafka") {
        return;
    }
    let kafka = Kafka::start().await;
    let (launch, _database) = launch(&kafka).await;
    let sale = Sale::start(&launch).await;
    let folder = launch.folder().join("events");
    let mut consumer = start(&launch, "consume");
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &json!(null)).await;
    for (number, user) in ["ada", "bob", "cyd"].into_iter().enumerate() {
        let token = sale.active(&concert, user).await;
        sale.charge(user, 100_000).await;
        let seat = u32::try_from(number).unwrap() + 1;
        let held = sale.hold(&token, &performance, &[seat]).await;
        sale.pay(&token, &held).expect(201).await;
    }
    let began = async || (in_files(&folder).len() >= 12).then_some(());
    until("what happened came out", began).await;

    // The broker is gone. Only the relay notices.
    kafka.kill().await;
    charge(&sale, 1, 50).await;
    until_kafka_is_degraded(&sale).await;
    let pending = async || run(&launch, &["events", "--state", "pending"]).await.lines().count();
    until("the charges wait", async || (pending().await >= 50).then_some(())).await;
    // The consumer and the instance with its relay are killed too.
    consumer.kill().await.unwrap();
    sale.instance.kill().await;
    kafka.restart().await;
    let sale = Sale::start(&launch).await;
    let _relay = start(&launch, "relay");
    let _consumer = start(&launch, "consume");
    charge(&sale, 2, 50).await;
    // The log shows the last events once older transactions of other tests are over.
    let whole = async || {
        let log = log(&launch).await;
        let charges = log.iter().filter(|event| event["type"] == "onsale.points.charged.v1").count();
        (charges == 3 + 50 + 50 && by_subject(&in_files(&folder)) == by_subject(&log)).then_some(())
    };
    until("each event stands there once, in order", whole).await;
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_starts_late_gets_all_events() {
    if without("postgres") || without("kafka") {
        return;
    }
    let kafka = Kafka::prepare();
    let (launch, _database) = launch(&kafka).await;
    let sale = Sale::start(&launch).await;
    charge(&sale, 0, 20).await;
    until_kafka_is_degraded(&sale).await;
    let _consumer = start(&launch, "consume");
    kafka.restart().await;
    all_came_out(&launch, 20).await;
}
