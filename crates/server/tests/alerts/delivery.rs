//! Alerts for events that are refused, removed or late, and for a database that does not report the backlog.

use axum::Router;
use axum::http::StatusCode;
use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::{Setup, shared};
use onsale_testing::{Sale, without};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::{ONSALE, until};
use crate::watch::{Watch, address, beside};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_platform_refuses_fires_its_alert() {
    if without("prometheus") {
        return;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let router = Router::new().fallback(async || StatusCode::BAD_REQUEST);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let launch = Sale::launch(ONSALE).set("ONSALE_DATA_PLATFORM_URL", url);
    let sale = Sale::start(&launch).await;
    let (_consumer, consumer) = beside(&launch, "consume").await;
    let watch = Watch::over(&[consumer]).await;
    watch.is_quiet(&["DeadLetters"]).await;
    sale.charge("ada", 100).await;
    watch.fires("DeadLetters").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_database_with_pending_events_fires_its_alerts() {
    if without("prometheus") || without("postgres") {
        return;
    }
    let server = Setup::unsynced().start().await;
    let database = server.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_KAFKA_BROKERS", "127.0.0.1:1");
    let sale = Sale::start(&launch).await;
    let shortened = [("_backlog_age_seconds) > 30", "_backlog_age_seconds) > 5")];
    let watch = Watch::shortened(&[address(&sale)], &shortened).await;
    watch.is_quiet(&["EventsUnknown"]).await;
    server.pause().await;
    watch.fires("EventsUnknown").await;
    server.resume().await;
    watch.ends("EventsUnknown").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_messages_that_kafka_removes_and_its_death_fire_alerts() {
    if ["prometheus", "kafka", "postgres"].into_iter().any(without) {
        return;
    }
    let kafka = Kafka::start().await;
    let database = shared().await.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_KAFKA_BROKERS", kafka.brokers());
    let launch = launch.set("ONSALE_KAFKA_PARTITIONS", 1);
    let sale = Sale::start(&launch).await;
    for number in 0..10 {
        sale.charge("ada", number + 1).await;
    }
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka.brokers()).create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("onsale.points", 0, Offset::Offset(4)).unwrap();
    let removed = async || {
        let removed = admin.delete_records(&offsets, &AdminOptions::new()).await.ok()?;
        removed.elements().iter().all(|part| part.error().is_ok()).then_some(())
    };
    until("the first messages are removed", removed).await;
    let (_consumer, consumer) = beside(&launch, "consume").await;
    let shortened = [("_lag_age_seconds) > 60", "_lag_age_seconds) > 5")];
    let watch = Watch::shortened(&[consumer], &shortened).await;
    watch.fires("MessagesLost").await;
    watch.is_quiet(&["DeliveryLags"]).await;
    kafka.kill().await;
    watch.fires("DeliveryLags").await;
}
