//! Alerts for events that wait or cannot be delivered.

use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::shared;
use onsale_testing::{Sale, without};

use crate::support::ONSALE;
use crate::watch::{Watch, address, beside};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_fires_its_alerts() {
    if without("prometheus") || without("kafka") || without("postgres") {
        return;
    }
    let kafka = Kafka::start().await;
    let database = shared().await.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_KAFKA_BROKERS", kafka.brokers());
    let launch = launch.set("ONSALE_RELAY", false);
    let sale = Sale::start(&launch).await;
    let (_relay, relay) = beside(&launch, "relay").await;
    sale.charge("ada", 100).await;
    let watch = Watch::shortened(&[address(&sale), relay], &[("_oldest_seconds) > 60", "_oldest_seconds) > 3")]).await;
    let sent = async || {
        let row = watch.prometheus.query("onsale_relay_events_sent_total > 0").await;
        (!row.is_empty()).then_some(())
    };
    crate::support::until("the first event is sent", sent).await;
    watch.is_quiet(&["EventsWait"]).await;
    kafka.kill().await;
    for number in 0..100 {
        sale.charge("ada", number + 1).await;
    }
    watch.fires("EventsWait").await;
    let waiting = watch.prometheus.query("max(onsale_relay_pending)").await;
    assert_eq!(waiting[0]["value"][1], "100", "{waiting:?}");
    kafka.restart().await;
    watch.ends("EventsWait").await;
}
