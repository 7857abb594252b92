//! The way out of Kafka: at least once, in order, committed only after delivery.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_app::event::TOPICS;
use onsale_app::relay::{Delivery, PlatformSink};
use onsale_app::trace::{self, TraceContext};
use onsale_domain::ids::EventId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::KafkaSettings;

/// The most messages that are delivered together.
const BATCH_MAX: usize = 2_000;

/// How long more messages are waited for, in all.
const GATHERED_WITHIN: Duration = Duration::from_millis(5);

/// How often it is looked how far behind this member is, and how long one question about that may take.
const LAG_EVERY: Duration = Duration::from_secs(2);
const ASKED_WITHIN: Duration = Duration::from_millis(500);

/// How long a member rests before it joins the group anew.
const REST_BEFORE_JOINING: Duration = Duration::from_millis(500);

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
            "Messages that this consumer's partitions have and it has not committed as delivered",
            self.lag.clone(),
        );
    }
}

/// One member of the group.
pub struct KafkaConsumer {
    settings: KafkaSettings,
    sink: Arc<PlatformSink>,
    /// What is shown.
    pub metrics: ConsumerMetrics,
}

/// What a member has received, by partition: the offset of the last message.
type Received = BTreeMap<(String, i32), i64>;

impl KafkaConsumer {
    /// Does not wait for any broker.
    ///
    /// # Errors
    /// Where the settings cannot be used.
    pub fn new(settings: &KafkaSettings, sink: Arc<PlatformSink>) -> Result<Self, String> {
        drop(client(settings)?);
        Ok(Self { settings: settings.clone(), sink, metrics: ConsumerMetrics::default() })
    }

    /// Runs until stopped. Where a topic is deleted it joins the group anew: positions in the topic that was are wrong in
    /// the one that is made instead.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match client(&self.settings) {
                Ok(consumer) => self.consume(Arc::new(consumer), &stop).await,
                Err(error) => tracing::error!(%error, "no consumer could be made"),
            }
            let _ = stop.run_until_cancelled(tokio::time::sleep(REST_BEFORE_JOINING)).await;
        }
    }

    /// Consumes until stopped, or until a topic is found to be gone.
    async fn consume(&self, consumer: Arc<StreamConsumer>, stop: &CancellationToken) {
        let mut told_at = None;
        let over = stop.child_token();
        let _over = over.clone().drop_guard();
        tokio::spawn(show_lag(consumer.clone(), self.metrics.lag.clone(), over));
        let mut has_received = false;
        loop {
            let round = tokio::select! {
                () = stop.cancelled() => return,
                round = self.round(&consumer) => round,
            };
            match round {
                Ok(()) => has_received = true,
                Err(error) if has_received && is_gone(&error) => {
                    tracing::warn!(%error, "a topic is gone");
                    return;
                }
                // The client goes on by itself; what it says of that comes as fast as it tries.
                Err(error) if told_at.is_none_or(|at: Instant| at.elapsed() > TOLD_EVERY) => {
                    told_at = Some(Instant::now());
                    tracing::warn!(%error, "nothing can be consumed");
                }
                Err(_) => {}
            }
        }
    }

    /// One batch: received, delivered, committed.
    async fn round(&self, consumer: &StreamConsumer) -> Result<(), KafkaError> {
        let (mut deliveries, mut received) = (Vec::new(), Received::new());
        self.take(&consumer.recv().await?, &mut deliveries, &mut received);
        let until = tokio::time::Instant::now() + GATHERED_WITHIN;
        let mut trouble = Ok(());
        while deliveries.len() < BATCH_MAX && trouble.is_ok() {
            match tokio::time::timeout_at(until, consumer.recv()).await {
                Ok(Ok(message)) => self.take(&message, &mut deliveries, &mut received),
                Ok(Err(error)) => trouble = Err(error),
                Err(_) => break,
            }
        }
        self.sink.deliver(&deliveries).await;
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), offset) in &received {
            let _ = offsets.add_partition_offset(topic, *partition, Offset::Offset(offset + 1));
        }
        // A partition that went to another member is delivered by it again, and has no second effect. Neither has what is
        // not committed when this member dies.
        if let Err(error) = consumer.commit(&offsets, CommitMode::Async) {
            tracing::debug!(%error, "what was delivered could not be committed");
        }
        trouble
    }

    fn take(&self, message: &BorrowedMessage<'_>, deliveries: &mut Vec<Delivery>, received: &mut Received) {
        self.metrics.received.inc();
        received.insert((message.topic().to_owned(), message.partition()), message.offset());
        let source = || format!("{}-{}", message.topic(), message.partition());
        match message.payload().and_then(|payload| delivery(source().into(), message.topic(), payload)) {
            Some(delivery) => deliveries.push(Delivery { trace: trace_of(message), ..delivery }),
            None => {
                self.metrics.unreadable.inc();
                tracing::warn!(topic = message.topic(), offset = message.offset(), "a message is no event");
            }
        }
    }
}

fn client(settings: &KafkaSettings) -> Result<StreamConsumer, String> {
    let mut config = settings.client();
    config.set("group.id", &settings.group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "2000");
    // A platform may be away for long; meanwhile this member lives.
    config.set("max.poll.interval.ms", "86400000").set("allow.auto.create.topics", "false");
    config.set("fetch.wait.max.ms", "50").set("topic.metadata.propagation.max.ms", "1000");
    let consumer: StreamConsumer = config.create().map_err(|error| error.to_string())?;
    consumer.subscribe(&TOPICS).map_err(|error| error.to_string())?;
    Ok(consumer)
}

fn is_gone(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

/// Shows now and then how far behind its partitions' ends a member is.
async fn show_lag(consumer: Arc<StreamConsumer>, lag: Gauge, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LAG_EVERY) => {}
        }
        let asked = consumer.clone();
        if let Ok(Some(messages)) = tokio::task::spawn_blocking(move || lag_of(&asked)).await {
            lag.set(messages);
        }
    }
}

/// Messages behind those that were committed; `None` where the brokers do not say.
fn lag_of(consumer: &StreamConsumer) -> Option<i64> {
    let committed = consumer.committed(ASKED_WITHIN).ok()?;
    let of = |topic: &str, partition: i32, at: Offset| {
        let (low, high) = consumer.fetch_watermarks(topic, partition, ASKED_WITHIN).ok()?;
        Some(high - if let Offset::Offset(at) = at { at } else { low })
    };
    committed.elements().iter().map(|part| of(part.topic(), part.partition(), part.offset())).sum()
}

/// An event as it was published.
fn delivery(source: Arc<str>, topic: &str, payload: &[u8]) -> Option<Delivery> {
    let json = std::str::from_utf8(payload).ok()?;
    let event: Value = serde_json::from_str(json).ok()?;
    let text = |name: &str| event[name].as_str();
    Some(Delivery {
        source,
        id: EventId::parse(text("id")?)?,
        topic: topic.to_owned(),
        subject: text("subject")?.to_owned(),
        day: text("time")?.get(..10)?.to_owned(),
        json: json.to_owned(),
        trace: None,
    })
}

/// The span in which it was sent, where that is traced.
fn trace_of(message: &BorrowedMessage<'_>) -> Option<TraceContext> {
    let mut headers = message.headers()?.iter();
    let context = headers.find(|header| header.key == trace::TRACEPARENT)?.value?;
    TraceContext::parse(std::str::from_utf8(context).ok()?)
}
