//! Incidents of the delivery from Kafka to the data platform.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::Caller;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;
use tokio::task::JoinSet;

use super::Incident;
use crate::scene::{Answer, Consumer, Scene, Stage};

/// Charges that make more events than the alert allows to wait.
const CHARGES: u32 = 10_500;

/// Number of requests at once.
const AT_ONCE: u32 = 24;

/// The data platform answers 500 to every post, while the sale is busy.
pub(super) struct PlatformAway;

impl Incident for PlatformAway {
    const NAME: &'static str = "platform-away";

    fn stage(&self) -> Stage {
        Stage { kafka: true, platform: true, consumer: Consumer::AtOnce, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.platform.as_ref().expect("the sale has a platform").answers(Answer::Fail);
        charge(scene.first().instance.base(), CHARGES).await;
    }

    fn what(&self) -> &'static str {
        "the data platform answers 500, and a rush makes ten thousand events"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.platform.as_ref().expect("the sale has a platform").answers(Answer::Accept);
    }

    fn repaired(&self) -> &'static str {
        "the data platform accepts events again"
    }
}

/// Charges wallets this many times.
async fn charge(base: &str, count: u32) {
    let (caller, next, mut tasks) = (Caller::new(base), Arc::<AtomicU32>::default(), JoinSet::new());
    for _ in 0..AT_ONCE {
        let (caller, next) = (caller.clone(), next.clone());
        tasks.spawn(async move {
            while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count) {
                let call = caller.patch(&format!("/point/rush-{}/charge", number % 500));
                // A refusal is repeated by the next number: the count needs no exactness.
                drop(call.json(&json!({"amount": 1})).try_send().await);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// Kafka removes messages before the consumer reads them.
pub(super) struct MessagesLost;

/// Longest time until the topic has messages that can be removed.
const REMOVED_MAX: Duration = Duration::from_secs(60);

/// Removes the messages before these offsets. Returns whether the broker did.
async fn are_removed(admin: &AdminClient<DefaultClientContext>, offsets: &TopicPartitionList) -> bool {
    let removed = admin.delete_records(offsets, &AdminOptions::new()).await;
    removed.is_ok_and(|removed| removed.elements().iter().all(|part| part.error().is_ok()))
}

/// The topic that loses messages. It has one partition.
const TOPIC: &str = "onsale.points";

impl Incident for MessagesLost {
    const NAME: &'static str = "messages-lost";

    fn stage(&self) -> Stage {
        let settings = vec![("ONSALE_KAFKA_PARTITIONS", "1".to_owned())];
        Stage { kafka: true, consumer: Consumer::Later, settings, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        let brokers = scene.parts.kafka.as_ref().expect("the sale uses Kafka").brokers();
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client");
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(TOPIC, 0, Offset::Offset(4)).expect("a list of one partition");
        // The buyers before have charged points, so the topic will soon have more messages.
        let began = Instant::now();
        while !are_removed(&admin, &offsets).await {
            assert!(began.elapsed() < REMOVED_MAX, "Kafka removes no message");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        scene.consume().await;
    }

    fn what(&self) -> &'static str {
        "Kafka has removed the first four messages when the consumer starts"
    }
}
