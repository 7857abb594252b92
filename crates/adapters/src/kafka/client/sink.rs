//! Publishes events to Kafka with an idempotent producer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use onsale_app::conditions::{Conditions, Reason};
use onsale_app::event::StoredEvent;
use onsale_app::relay::{Sent, Sink};
use onsale_app::trace::{self, Kind};
use parking_lot::RwLock;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio_util::sync::CancellationToken;

use super::last_error::LastError;
use super::topics::{self, Found};
use super::watch;
use crate::kafka::KafkaSettings;

/// The media type of an event in structured mode.
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// The largest batch of messages in one request, in bytes: well below the default limit of brokers (1 MB).
const BATCH_BYTES: &str = "200000";

/// Publishes events. The key is the event's subject, so events of one subject stay in order.
pub struct KafkaSink {
    settings: KafkaSettings,
    /// Replaced after a fatal error of the client. Locked only to clone the handle or to replace it, never while sending.
    producer: RwLock<FutureProducer<LastError>>,
    /// Shared by all producers of this sink, one after another.
    last_error: LastError,
    /// All topics were found or made. Set with `Release`, read with `Acquire`: a task that reads `true` runs after the
    /// brokers confirmed the topics.
    has_topics: AtomicBool,
    /// The broker refused batches for their size, so producers send one message per request from now on. Stored with
    /// `Release` before a producer is replaced, read with `Acquire` when the next one is configured.
    one_by_one: AtomicBool,
}

/// The result of sending one message. Failures carry the reason.
enum Outcome {
    /// All in-sync replicas have it.
    Acknowledged,
    /// The broker refused the message, or the batch that contained it, for its size.
    TooLarge(String),
    /// The message itself is invalid: a retry fails the same way.
    Never(String),
    /// The producer had a fatal error and must be replaced.
    Broken(String),
    /// A retry may succeed.
    Later(String),
}

impl Outcome {
    /// Why the message was not acknowledged; `None` if it was.
    fn reason(&self) -> Option<String> {
        match self {
            Self::Acknowledged => None,
            Self::TooLarge(reason) | Self::Never(reason) | Self::Broken(reason) | Self::Later(reason) => {
                Some(reason.clone())
            }
        }
    }
}

impl KafkaSink {
    /// Makes a producer. Connects in the background and does not wait for any broker.
    ///
    /// # Errors
    /// The client's message if it rejects the settings.
    pub fn new(settings: &KafkaSettings) -> Result<Self, String> {
        let last_error = LastError::default();
        let producer = RwLock::new(producer(settings, last_error.clone(), false)?);
        let (has_topics, one_by_one) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { settings: settings.clone(), producer, last_error, has_topics, one_by_one })
    }

    /// Checks the brokers every 2 s until stopped. Raises `kafka`/`away` while none answers, and `kafka`/`topics` while a
    /// topic is missing and cannot be made. Makes missing topics only if `makes_topics`.
    pub async fn watch(self: Arc<Self>, conditions: Arc<Conditions>, makes_topics: bool, stop: CancellationToken) {
        let checked = self.clone();
        let check = move || watch::check(checked.producer().client(), &checked.last_error);
        let brokers = self.settings.brokers.clone();
        let judge = move |found| {
            let sink = self.clone();
            async move { if makes_topics { sink.judge_topics(found).await } else { None } }
        };
        watch::watch(&brokers, conditions, stop, check, judge).await;
    }

    /// Makes missing topics, unless this sink has found all of them before. A topic that was deleted since is made when the
    /// next event is sent, not at once: consumers must notice the deletion first, because their offsets mean nothing in
    /// a new topic of the same name.
    async fn judge_topics(&self, found: Vec<(&'static str, Found)>) -> Option<Reason> {
        // Pairs with the release in `make_missing`: a sink that reads `true` sends to topics that exist.
        if !self.has_topics.load(Ordering::Acquire) {
            return self.make_missing(found).await.err();
        }
        let gone: Vec<&str> =
            found.iter().filter(|(_, found)| *found == Found::Missing).map(|(topic, _)| *topic).collect();
        let text = || format!("{} was deleted: it is made when the next event is sent", gone.join(", "));
        (!gone.is_empty()).then(|| text().into())
    }

    /// Makes the topics that are missing. Looks them up first: for topics that exist, no right to make them is needed.
    async fn make_topics(&self) -> Result<(), String> {
        if self.has_topics.load(Ordering::Acquire) {
            return Ok(());
        }
        let (producer, last_error) = (self.producer(), self.last_error.clone());
        let check = move || watch::check(producer.client(), &last_error);
        let found = tokio::task::spawn_blocking(check).await.map_err(|error| error.to_string())??;
        self.make_missing(found).await.map_err(|reason| reason.to_string())
    }

    async fn make_missing(&self, mut found: Vec<(&'static str, Found)>) -> Result<(), Reason> {
        found.retain(|(_, found)| *found != Found::There);
        if !found.is_empty() {
            topics::make(&self.settings, &found).await?;
        }
        self.has_topics.store(true, Ordering::Release);
        Ok(())
    }

    fn producer(&self) -> FutureProducer<LastError> {
        self.producer.read().clone()
    }

    /// Replaces the producer. Messages in flight of the old one fail or are acknowledged by it.
    fn renew(&self) -> Result<(), String> {
        // Built before the lock is taken: readers never wait for a client to be configured.
        let fresh = producer(&self.settings, self.last_error.clone(), self.one_by_one.load(Ordering::Acquire))?;
        *self.producer.write() = fresh;
        Ok(())
    }

    async fn publish(producer: &FutureProducer<LastError>, event: &StoredEvent) -> Outcome {
        let span = event.trace.map(|request| request.child(format!("send {}", event.topic()), Kind::Producer));
        let mut headers = OwnedHeaders::new().insert(Header { key: "content-type", value: Some(CLOUD_EVENT) });
        if let Some(span) = &span {
            let context = span.context.to_string();
            headers = headers.insert(Header { key: trace::TRACEPARENT, value: Some(&context) });
        }
        let outcome = Self::send_one(producer, event, headers).await;
        if let Some(span) = span {
            span.with("messaging.system", "kafka")
                .with("messaging.message.id", event.id.to_string())
                .end(outcome.reason());
        }
        outcome
    }

    async fn send_one(producer: &FutureProducer<LastError>, event: &StoredEvent, headers: OwnedHeaders) -> Outcome {
        let json = event.to_json();
        let record = FutureRecord::to(event.topic()).key(&event.subject).payload(&json).headers(headers);
        let sent = match producer.send_result(record) {
            Ok(delivery) => delivery.await.map_err(|_| "the producer was closed".to_owned()),
            Err((error, _)) => return failed(&error),
        };
        match sent {
            Ok(Ok(_)) => Outcome::Acknowledged,
            Ok(Err((error, _))) => failed(&error),
            Err(reason) => Outcome::Broken(reason),
        }
    }

    /// Sends the refused messages again, one per request and in order. A broker checks the size of a whole batch, so a
    /// message that was refused may fit alone. From now on every message is sent alone.
    async fn publish_alone(&self, events: &[StoredEvent], outcomes: &mut [Outcome]) -> Result<(), String> {
        tracing::warn!("the broker refuses batches for their size; sending messages one by one from now on");
        self.one_by_one.store(true, Ordering::Release);
        self.renew()?;
        let producer = self.producer();
        for (event, outcome) in events.iter().zip(outcomes) {
            if matches!(outcome, Outcome::TooLarge(_)) {
                *outcome = Self::publish(&producer, event).await;
            }
        }
        Ok(())
    }

    fn judge(&self, outcome: Outcome) -> Sent {
        match outcome {
            Outcome::Acknowledged => Sent::Acknowledged,
            Outcome::TooLarge(reason) | Outcome::Never(reason) => Sent::Never(reason),
            Outcome::Broken(reason) | Outcome::Later(reason) => {
                // The topic may have been deleted: the next send looks it up again before it publishes.
                self.has_topics.store(false, Ordering::Release);
                Sent::Later(reason)
            }
        }
    }
}

fn producer(
    settings: &KafkaSettings,
    last_error: LastError,
    one_by_one: bool,
) -> Result<FutureProducer<LastError>, String> {
    let mut config = settings.client();
    config.set("enable.idempotence", "true").set("acks", "all");
    // Retry without a time limit: a message that gave up would let later messages of its partition overtake it.
    config.set("message.timeout.ms", "0").set("linger.ms", "2").set("queue.buffering.max.messages", "100000");
    // Above the limit of any broker: the broker decides which event is too large, not this client.
    config.set("message.max.bytes", "10000000").set("batch.size", BATCH_BYTES);
    // Sends to a deleted topic fail after 3 s instead of 30 s.
    config.set("topic.metadata.propagation.max.ms", "3000");
    if one_by_one {
        config.set("batch.num.messages", "1");
    }
    config.create_with_context(last_error).map_err(|error| error.to_string())
}

/// Classifies an error. Only errors about the message itself are final.
fn failed(error: &KafkaError) -> Outcome {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => Outcome::TooLarge(error.to_string()),
        Some(
            RDKafkaErrorCode::InvalidMessageSize | RDKafkaErrorCode::InvalidRecord | RDKafkaErrorCode::InvalidMessage,
        ) => Outcome::Never(error.to_string()),
        Some(RDKafkaErrorCode::Fatal) => Outcome::Broken(error.to_string()),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            Outcome::Later(format!("{error}: grant this user Write and Describe on the topics of onsale"))
        }
        _ => Outcome::Later(error.to_string()),
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn send(&self, events: &[StoredEvent]) -> Vec<Sent> {
        if let Err(reason) = self.make_topics().await {
            return vec![Sent::Later(reason); events.len()];
        }
        let producer = self.producer();
        // `join_all` polls in order, so every message is queued in order before the first acknowledgement is awaited.
        let publishing = events.iter().map(|event| Self::publish(&producer, event));
        let mut outcomes = futures_util::future::join_all(publishing).await;
        let is_any = |outcomes: &[Outcome], of: fn(&Outcome) -> bool| outcomes.iter().any(of);
        let mut renewed = Ok(());
        if is_any(&outcomes, |outcome| matches!(outcome, Outcome::TooLarge(_)))
            && !self.one_by_one.load(Ordering::Acquire)
        {
            renewed = self.publish_alone(events, &mut outcomes).await;
        }
        if is_any(&outcomes, |outcome| matches!(outcome, Outcome::Broken(_))) {
            // A producer takes nothing more after a fatal error.
            renewed = self.renew();
        }
        if let Err(reason) = renewed {
            return vec![Sent::Later(reason); events.len()];
        }
        outcomes.into_iter().map(|outcome| self.judge(outcome)).collect()
    }
}
