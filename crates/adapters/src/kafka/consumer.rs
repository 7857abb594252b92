//! The way out of Kafka: at least once, in order, committed only after delivery.

use std::collections::BTreeMap;
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

use super::KafkaSettings;
use super::lag::{self, ConsumerMetrics};
use super::positions::{Partition, Positions, Span};
use super::told::Told;
use super::watch;

/// The most messages that are delivered together.
const BATCH_MAX: usize = 2_000;

/// How long more messages are waited for, in all.
const GATHERED_WITHIN: Duration = Duration::from_millis(5);

/// How long the question may take what was committed before.
const ASKED_WITHIN: Duration = Duration::from_secs(2);

/// The part of the board that is about Kafka.
const KAFKA: &str = "kafka";

/// How long a member rests before it joins the group anew.
const REST_BEFORE_JOINING: Duration = Duration::from_millis(500);

/// One member of the group.
pub struct KafkaConsumer {
    settings: KafkaSettings,
    sink: Arc<PlatformSink>,
    conditions: Arc<Conditions>,
    positions: Positions,
    outage: Outage,
    /// What is shown.
    pub metrics: ConsumerMetrics,
}

/// What a member has received, by partition.
type Received = BTreeMap<Partition, Span>;

impl KafkaConsumer {
    /// Does not wait for any broker. Raises `kafka`/`away` and `kafka`/`access` on the board.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn new(settings: &KafkaSettings, sink: Arc<PlatformSink>, conditions: Arc<Conditions>) -> Result<Self, String> {
        let metrics = ConsumerMetrics::default();
        let positions = Positions::new(metrics.clone());
        drop(client(settings, positions.clone())?);
        conditions.clear(KAFKA, "access");
        let outage = Outage::of("nothing can be consumed; retrying");
        Ok(Self { settings: settings.clone(), sink, conditions, positions, outage, metrics })
    }

    /// Runs until stopped. After a topic was deleted it joins the group anew: positions in the topic that was are wrong in
    /// the one that is made instead.
    pub async fn run(self, stop: CancellationToken) {
        tokio::spawn(watch_brokers(self.settings.clone(), self.conditions.clone(), stop.clone()));
        while !stop.is_cancelled() {
            match client(&self.settings, self.positions.clone()) {
                Ok(consumer) => self.consume(Arc::new(consumer), &stop).await,
                Err(error) => tracing::error!(%error, "no consumer could be made"),
            }
            let _ = stop.run_until_cancelled(tokio::time::sleep(REST_BEFORE_JOINING)).await;
        }
    }

    /// Consumes until stopped, or until a topic is found to be gone.
    async fn consume(&self, consumer: Arc<Member>, stop: &CancellationToken) {
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
                    self.conditions.clear(KAFKA, "access");
                }
                Err(error) if has_received && is_gone(&error) => {
                    tracing::warn!(%error, "a topic is gone; joining the group again");
                    return;
                }
                // The client goes on by itself.
                Err(error) => {
                    self.outage.failed(&error.to_string());
                    if let Some(reason) = self.forbidden(&error) {
                        self.conditions.raise(KAFKA, "access", reason);
                    }
                }
            }
        }
    }

    /// What this user needs that it may not do.
    fn forbidden(&self, error: &KafkaError) -> Option<String> {
        let needed = match error.rdkafka_error_code()? {
            RDKafkaErrorCode::GroupAuthorizationFailed => {
                format!("grant this user Read on the group {}", self.settings.group)
            }
            RDKafkaErrorCode::TopicAuthorizationFailed => format!("grant this user Read on {}", TOPICS.join(", ")),
            _ => return None,
        };
        Some(format!("{error}: {needed}"))
    }

    /// One batch: received, delivered, committed.
    async fn round(&self, consumer: &Arc<Member>) -> Result<(), KafkaError> {
        let (mut deliveries, mut received) = (Vec::new(), Received::new());
        self.positions.set_idle(true);
        let first = consumer.recv().await;
        self.positions.set_idle(false);
        self.take(&first?, &mut deliveries, &mut received);
        let until = tokio::time::Instant::now() + GATHERED_WITHIN;
        let mut trouble = Ok(());
        while deliveries.len() < BATCH_MAX && trouble.is_ok() {
            match tokio::time::timeout_at(until, consumer.recv()).await {
                Ok(Ok(message)) => self.take(&message, &mut deliveries, &mut received),
                Ok(Err(error)) => trouble = Err(error),
                Err(_) => break,
            }
        }
        self.note_positions(consumer, &received).await;
        self.sink.deliver(&deliveries).await;
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), span) in &received {
            let _ = offsets.add_partition_offset(topic, *partition, Offset::Offset(span.last + 1));
        }
        // A partition that went to another member is delivered by it again, and has no second effect. Neither has what is
        // not committed when this member dies.
        if let Err(error) = consumer.commit(&offsets, CommitMode::Async) {
            tracing::debug!(%error, "what was delivered could not be committed");
        }
        trouble
    }

    /// Compares what came with what was expected. Before anything of it is committed, as that is compared with, too.
    async fn note_positions(&self, consumer: &Arc<Member>, received: &Received) {
        let unknown = self.positions.unknown(received.keys());
        let mut committed = std::collections::HashMap::new();
        if !unknown.is_empty() {
            let mut asked = TopicPartitionList::new();
            for (topic, partition) in &unknown {
                asked.add_partition(topic, *partition);
            }
            let consumer = consumer.clone();
            let asking = tokio::task::spawn_blocking(move || consumer.committed_offsets(asked, ASKED_WITHIN));
            match asking.await {
                Ok(Ok(found)) => committed = found.to_topic_map(),
                Ok(Err(error)) => tracing::debug!(%error, "it is not known what was committed before"),
                Err(_) => {}
            }
        }
        for (partition, span) in received {
            self.positions.received(partition, *span, committed.get(partition).copied());
        }
    }

    fn take(&self, message: &BorrowedMessage<'_>, deliveries: &mut Vec<Delivery>, received: &mut Received) {
        self.metrics.received.inc();
        let (partition, offset) = ((message.topic().to_owned(), message.partition()), message.offset());
        received.entry(partition).and_modify(|span| span.extend(offset)).or_insert_with(|| Span::at(offset));
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

/// The client of a member.
type Member = StreamConsumer<Positions>;

fn client(settings: &KafkaSettings, positions: Positions) -> Result<Member, String> {
    let mut config = settings.client();
    config.set("group.id", &settings.group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "2000");
    // A platform may be away for long; meanwhile this member lives.
    config.set("max.poll.interval.ms", "86400000");
    config.set("fetch.wait.max.ms", "50").set("topic.metadata.propagation.max.ms", "1000");
    let consumer: Member = config.create_with_context(positions).map_err(|error| error.to_string())?;
    consumer.subscribe(&TOPICS).map_err(|error| error.to_string())?;
    Ok(consumer)
}

/// Looks at the brokers with a client of its own: a consumer's does not say why it cannot reach them.
async fn watch_brokers(settings: KafkaSettings, conditions: Arc<Conditions>, stop: CancellationToken) {
    let told = Told::default();
    let made: Result<FutureProducer<Told>, KafkaError> = settings.client().create_with_context(told.clone());
    match made {
        Ok(client) => {
            let look = move || watch::look(client.client(), &told);
            // Topics that are missing are the relay's to make.
            watch::watch(conditions, stop, look, |_| std::future::ready(None)).await;
        }
        Err(error) => tracing::error!(%error, "no client could be made to look at the brokers"),
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
