//! The way out of Kafka: at least once, in order, committed only after delivery.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_app::event::TOPICS;
use onsale_app::relay::{Delivery, PlatformSink};
use onsale_domain::ids::EventId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::KafkaSettings;

/// The most messages that are delivered together.
const BATCH_MAX: usize = 2_000;

/// How long more messages are waited for.
const GATHERED_WITHIN: Duration = Duration::from_millis(10);

/// How often it is told that the client is in trouble.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct ConsumerMetrics {
    received: Counter,
    unreadable: Counter,
    lag: Gauge,
}

impl ConsumerMetrics {
    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        let consumer = registry.sub_registry_with_prefix("consumer");
        consumer.register("messages_received", "Messages received", self.received.clone());
        consumer.register(
            "messages_unreadable",
            "Messages that are no events, and were left out",
            self.unreadable.clone(),
        );
        consumer.register(
            "lag",
            "Messages that this consumer's partitions have and it has not delivered",
            self.lag.clone(),
        );
    }
}

/// One member of the group.
pub struct KafkaConsumer {
    consumer: StreamConsumer,
    sink: Arc<PlatformSink>,
    /// What is shown.
    pub metrics: ConsumerMetrics,
}

impl KafkaConsumer {
    /// Does not wait for any broker.
    ///
    /// # Errors
    /// Where the settings cannot be used.
    pub fn new(settings: &KafkaSettings, sink: Arc<PlatformSink>) -> Result<Self, String> {
        let mut config = settings.client();
        config.set("group.id", &settings.group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
        config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "2000");
        // A platform may be away for long; meanwhile this member lives.
        config.set("max.poll.interval.ms", "86400000").set("allow.auto.create.topics", "false");
        config.set("fetch.wait.max.ms", "50").set("topic.metadata.propagation.max.ms", "1000");
        let consumer: StreamConsumer = config.create().map_err(|error| error.to_string())?;
        consumer.subscribe(&TOPICS).map_err(|error| error.to_string())?;
        Ok(Self { consumer, sink, metrics: ConsumerMetrics::default() })
    }

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut told_at = None;
        loop {
            let round = tokio::select! {
                () = stop.cancelled() => return,
                round = self.round() => round,
            };
            // The client goes on by itself; what it says of that comes as fast as it tries.
            if let Err(error) = round
                && told_at.is_none_or(|at: Instant| at.elapsed() > TOLD_EVERY)
            {
                told_at = Some(Instant::now());
                tracing::warn!(%error, "nothing can be consumed");
            }
        }
    }

    /// One batch: received, delivered partition by partition, committed.
    async fn round(&self) -> Result<(), String> {
        let mut partitions: BTreeMap<(String, i32), (i64, Vec<Delivery>)> = BTreeMap::new();
        let mut count = 0;
        while count < BATCH_MAX {
            let next = self.consumer.recv();
            let message = if count == 0 {
                next.await
            } else {
                match tokio::time::timeout(GATHERED_WITHIN, next).await {
                    Ok(message) => message,
                    Err(_) => break,
                }
            };
            let message = match message {
                Ok(message) => message,
                Err(_) if count > 0 => break,
                Err(error) => return Err(error.to_string()),
            };
            count += 1;
            self.metrics.received.inc();
            let key = (message.topic().to_owned(), message.partition());
            let (offset, deliveries) = partitions.entry(key).or_default();
            *offset = message.offset();
            match message.payload().and_then(|payload| delivery(message.topic(), payload)) {
                Some(delivery) => deliveries.push(delivery),
                None => {
                    self.metrics.unreadable.inc();
                    tracing::warn!(topic = message.topic(), offset = message.offset(), "a message is no event");
                }
            }
        }
        let mut done = TopicPartitionList::new();
        for ((topic, partition), (offset, deliveries)) in &partitions {
            self.sink.deliver(&format!("{topic}-{partition}"), deliveries).await;
            let _ = done.add_partition_offset(topic, *partition, Offset::Offset(offset + 1));
        }
        // A partition that went to another member is delivered by it again, and has no second effect.
        if let Err(error) = self.consumer.commit(&done, CommitMode::Sync) {
            tracing::debug!(%error, "what was delivered could not be committed");
        }
        self.metrics.lag.set(self.lag(&done));
        Ok(())
    }

    /// Messages behind what was delivered, as far as the last fetch told.
    fn lag(&self, done: &TopicPartitionList) -> i64 {
        let of = |(topic, partition): &(String, i32), at: Offset| {
            let Offset::Offset(at) = at else { return 0 };
            let known = self.consumer.fetch_watermarks(topic, *partition, Duration::from_millis(200));
            known.map_or(0, |(_, high)| (high - at).max(0))
        };
        done.elements().iter().map(|part| of(&(part.topic().to_owned(), part.partition()), part.offset())).sum()
    }
}

/// An event as it was published.
fn delivery(topic: &str, payload: &[u8]) -> Option<Delivery> {
    let json = std::str::from_utf8(payload).ok()?;
    let event: Value = serde_json::from_str(json).ok()?;
    let text = |name: &str| event[name].as_str();
    Some(Delivery {
        id: EventId::parse(text("id")?)?,
        topic: topic.to_owned(),
        subject: text("subject")?.to_owned(),
        day: text("time")?.get(..10)?.to_owned(),
        json: json.to_owned(),
    })
}
