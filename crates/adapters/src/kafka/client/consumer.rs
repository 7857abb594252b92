//! Consumes events from Kafka and delivers them: at least once, in order, committed only after delivery.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use onsale_app::conditions::Conditions;
use onsale_app::event::TOPICS;
use onsale_app::relay::{Delivery, Outage, PlatformSink};
use onsale_app::trace::{self, TraceContext};
use onsale_domain::ids::EventId;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::access::{Access, Right};
use super::lag::{self, ConsumerMetrics};
use super::last_error::LastError;
use super::positions::{Partition, Positions, Span};
use super::watch;
use crate::kafka::KafkaSettings;

/// Maximum number of messages in one delivery.
const BATCH_MAX: usize = 2_000;

/// After its first message, a batch waits this long for more.
const GATHERED_WITHIN: Duration = Duration::from_millis(5);

/// Time limit for reading committed offsets. Beyond it, gaps before this batch go unnoticed.
const COMMITTED_WITHIN: Duration = Duration::from_secs(2);

/// Pause before a member joins the group again.
const REST_BEFORE_JOINING: Duration = Duration::from_millis(500);

/// One member of the consumer group.
pub struct KafkaConsumer {
    settings: KafkaSettings,
    sink: Arc<PlatformSink>,
    conditions: Arc<Conditions>,
    access: Access,
    positions: Positions,
    outage: Outage,
    /// Counters and the lag of this member, to be registered by the caller.
    pub metrics: ConsumerMetrics,
}

/// The offsets of a batch, by partition.
type Received = BTreeMap<Partition, Span>;

impl KafkaConsumer {
    /// Checks the settings, and does not wait for any broker. The member raises `kafka`/`away` and `kafka`/`access` on the
    /// board.
    ///
    /// # Errors
    /// The client's message if it rejects the settings.
    pub fn new(settings: &KafkaSettings, sink: Arc<PlatformSink>, conditions: Arc<Conditions>) -> Result<Self, String> {
        let metrics = ConsumerMetrics::default();
        let access = Access::new(conditions.clone());
        let positions = Positions::new(metrics.clone(), access.clone());
        drop(client(settings, positions.clone())?);
        let outage = Outage::of("failed to consume events; retrying");
        Ok(Self { settings: settings.clone(), sink, conditions, access, positions, outage, metrics })
    }

    /// Runs until stopped. Joins the group again after a topic was deleted: the offsets of the deleted topic are wrong in a
    /// new one of the same name.
    pub async fn run(self, stop: CancellationToken) {
        tokio::spawn(watch_brokers(self.settings.clone(), self.conditions.clone(), stop.clone()));
        while !stop.is_cancelled() {
            match client(&self.settings, self.positions.clone()) {
                Ok(consumer) => self.consume(Arc::new(consumer), &stop).await,
                Err(error) => tracing::error!(%error, "failed to make a Kafka consumer; retrying in 500 ms"),
            }
            let _ = stop.run_until_cancelled(tokio::time::sleep(REST_BEFORE_JOINING)).await;
        }
    }

    /// Consumes until stopped, or until a topic turns out to be deleted.
    async fn consume(&self, consumer: Arc<Member>, stop: &CancellationToken) {
        // The task that measures the lag uses this client: it must end with it, not with the process.
        let over = stop.child_token();
        let _over = over.clone().drop_guard();
        tokio::spawn(lag::watch(consumer.clone(), self.metrics.clone(), over));
        let mut has_received = false;
        loop {
            let round = tokio::select! {
                () = stop.cancelled() => return,
                round = self.round(&consumer) => round,
            };
            match round {
                Ok(()) => {
                    has_received = true;
                    self.outage.over();
                    self.access.received();
                }
                // Before the first message a missing topic is only one that is not made yet.
                Err(error) if has_received && is_gone(&error) => {
                    tracing::warn!(%error, "a topic was deleted; joining the group again");
                    return;
                }
                // The client retries by itself.
                Err(error) => {
                    self.outage.failed(&error.to_string());
                    if let Some((right, needed)) = self.missing_right(&error) {
                        self.access.denied(right, format!("{error}: {needed}"));
                    }
                }
            }
        }
    }

    /// The right that this user lacks, and how to grant it, if the error is about rights.
    fn missing_right(&self, error: &KafkaError) -> Option<(Right, String)> {
        match error.rdkafka_error_code()? {
            RDKafkaErrorCode::GroupAuthorizationFailed => {
                Some((Right::Group, format!("grant this user Read on the group {}", self.settings.group)))
            }
            RDKafkaErrorCode::TopicAuthorizationFailed => {
                Some((Right::Topics, format!("grant this user Read on {}", TOPICS.join(", "))))
            }
            _ => None,
        }
    }

    /// Receives, delivers and commits one batch.
    async fn round(&self, consumer: &Arc<Member>) -> Result<(), KafkaError> {
        let (mut deliveries, mut received) = (Vec::new(), Received::new());
        self.positions.set_idle(true);
        let first = loop {
            match consumer.recv().await {
                Err(KafkaError::PartitionEOF(_)) => self.access.reached_end(),
                received => break received,
            }
        };
        self.positions.set_idle(false);
        self.take(&first?, &mut deliveries, &mut received);
        let until = tokio::time::Instant::now() + GATHERED_WITHIN;
        // An error ends the batch. It is returned after the messages before it were delivered and committed.
        let mut failed = Ok(());
        while deliveries.len() < BATCH_MAX && failed.is_ok() {
            match tokio::time::timeout_at(until, consumer.recv()).await {
                Ok(Ok(message)) => self.take(&message, &mut deliveries, &mut received),
                Ok(Err(KafkaError::PartitionEOF(_))) => self.access.reached_end(),
                Ok(Err(error)) => failed = Err(error),
                Err(_) => break,
            }
        }
        // Before anything of this batch is committed: the check compares it with the committed offsets.
        self.check_positions(consumer, &received).await;
        // Returns only after every event is delivered or set aside. A crash before the commit delivers the batch again.
        self.sink.deliver(&deliveries).await;
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), span) in &received {
            let _ = offsets.add_partition_offset(topic, *partition, Offset::Offset(span.last + 1));
        }
        // Asynchronous: if this commit is lost, because this member dies or its partition moved to another one, that member
        // delivers the batch again, and the platform drops duplicates by event id.
        if let Err(error) = consumer.commit(&offsets, CommitMode::Async) {
            tracing::debug!(%error, "failed to commit delivered messages; they may be delivered again");
        }
        failed
    }

    /// Compares the offsets of a batch with those that were expected, and counts lost messages.
    async fn check_positions(&self, consumer: &Arc<Member>, received: &Received) {
        let unknown = self.positions.unknown(received.keys());
        let mut committed = HashMap::new();
        if !unknown.is_empty() {
            let mut wanted = TopicPartitionList::new();
            for (topic, partition) in &unknown {
                wanted.add_partition(topic, *partition);
            }
            let consumer = consumer.clone();
            let reading = tokio::task::spawn_blocking(move || consumer.committed_offsets(wanted, COMMITTED_WITHIN));
            match reading.await {
                Ok(Ok(found)) => committed = found.to_topic_map(),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "failed to read committed offsets; lost messages before this batch are not counted");
                }
                // The task was cancelled because the runtime shuts down.
                Err(_) => {}
            }
        }
        for (partition, span) in received {
            self.positions.received(partition, *span, committed.get(partition).copied());
        }
    }

    /// Adds a message to the batch. A message that is not an event is counted and skipped.
    fn take(&self, message: &BorrowedMessage<'_>, deliveries: &mut Vec<Delivery>, received: &mut Received) {
        self.metrics.received.inc();
        let (partition, offset) = ((message.topic().to_owned(), message.partition()), message.offset());
        received.entry(partition).and_modify(|span| span.extend(offset)).or_insert_with(|| Span::at(offset));
        let source = || format!("{}-{}", message.topic(), message.partition());
        match message.payload().and_then(|payload| delivery(source().into(), message.topic(), payload)) {
            Some(delivery) => deliveries.push(Delivery { trace: trace_of(message), ..delivery }),
            None => {
                self.metrics.unreadable.inc();
                tracing::warn!(
                    topic = message.topic(),
                    offset = message.offset(),
                    "skipped a message that is not an event"
                );
            }
        }
    }
}

/// The Kafka client of a member.
type Member = StreamConsumer<Positions>;

fn client(settings: &KafkaSettings, positions: Positions) -> Result<Member, String> {
    let mut config = settings.client();
    config.set("group.id", &settings.group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "2000");
    // One day: a delivery lasts as long as an outage of the platform, and the member must keep its partitions meanwhile.
    config.set("max.poll.interval.ms", "86400000");
    // Reaching the end of a partition shows that it may be read, also if no message waits.
    config.set("enable.partition.eof", "true");
    config.set("fetch.wait.max.ms", "50").set("topic.metadata.propagation.max.ms", "1000");
    let consumer: Member = config.create_with_context(positions).map_err(|error| error.to_string())?;
    consumer.subscribe(&TOPICS).map_err(|error| error.to_string())?;
    Ok(consumer)
}

/// Checks the brokers with a separate client: a consumer does not report why it cannot reach them.
async fn watch_brokers(settings: KafkaSettings, conditions: Arc<Conditions>, stop: CancellationToken) {
    let last_error = LastError::default();
    let made: Result<FutureProducer<LastError>, KafkaError> = settings.client().create_with_context(last_error.clone());
    match made {
        Ok(client) => {
            let check = move || watch::check(client.client(), &last_error);
            // The relay makes missing topics, so they are no fault of this member.
            watch::watch(&settings.brokers, conditions, stop, check, |_| std::future::ready(None)).await;
        }
        Err(error) => tracing::error!(%error, "failed to make a Kafka client; the brokers are not checked"),
    }
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

/// Reads an event as it was published; `None` if the payload is not an event.
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

/// The span that sent the message; `None` if it was not traced.
fn trace_of(message: &BorrowedMessage<'_>) -> Option<TraceContext> {
    let mut headers = message.headers()?.iter();
    let context = headers.find(|header| header.key == trace::TRACEPARENT)?.value?;
    TraceContext::parse(std::str::from_utf8(context).ok()?)
}
