//! The way into Kafka.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use onsale_app::conditions::Conditions;
use onsale_app::event::StoredEvent;
use onsale_app::relay::{Sent, Sink};
use onsale_app::trace::{self, Kind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio_util::sync::CancellationToken;

use super::KafkaSettings;
use super::told::Told;
use super::topics::{self, Found};
use super::watch;

/// The media type of an event in structured mode.
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// The largest batch of messages that goes out together, in bytes: well below what any broker takes by default.
const BATCH_BYTES: &str = "200000";

/// Publishes events, each under its subject as the key, so that those of a subject stay in order.
pub struct KafkaSink {
    settings: KafkaSettings,
    producer: RwLock<FutureProducer<Told>>,
    /// Shared by all producers of this sink.
    told: Told,
    has_topics: AtomicBool,
    /// The broker refused messages for the size of their batch: each goes out alone.
    one_by_one: AtomicBool,
}

/// What became of a message.
enum Outcome {
    Acknowledged,
    /// It, or the batch in which it went out.
    TooLarge(String),
    Never(String),
    /// The producer is of no use any more.
    Broken(String),
    Later(String),
}

impl Outcome {
    /// Why it was not acknowledged.
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
    /// Does not wait for any broker.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn new(settings: &KafkaSettings) -> Result<Self, String> {
        let told = Told::default();
        let producer = RwLock::new(producer(settings, told.clone(), false)?);
        let (has_topics, one_by_one) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { settings: settings.clone(), producer, told, has_topics, one_by_one })
    }

    /// Looks at the brokers every 2 s until stopped, also while no event waits: raises `kafka`/`away` while none answers,
    /// and `kafka`/`topics` while a topic is missing and cannot be made. Makes missing topics only if `makes_topics`.
    pub async fn watch(self: Arc<Self>, conditions: Arc<Conditions>, makes_topics: bool, stop: CancellationToken) {
        let looking = self.clone();
        let look = move || watch::look(looking.producer().client(), &looking.told);
        let judge = move |found| {
            let sink = self.clone();
            async move { if makes_topics { sink.judge_topics(found).await } else { None } }
        };
        watch::watch(conditions, stop, look, judge).await;
    }

    /// Makes missing topics, if this sink has not found all of them before. A topic that was there and is gone is made when
    /// the next event is sent, and not at once: consumers must notice that it was gone, as their positions in it mean
    /// nothing in the next one of its name.
    async fn judge_topics(&self, found: Vec<(&'static str, Found)>) -> Option<String> {
        if !self.has_topics.load(Ordering::Acquire) {
            return self.make_missing(found).await.err();
        }
        let gone: Vec<&str> =
            found.iter().filter(|(_, found)| *found == Found::Missing).map(|(topic, _)| *topic).collect();
        (!gone.is_empty()).then(|| format!("{} was deleted: it is made when the next event is sent", gone.join(", ")))
    }

    /// Makes the topics that are missing. Asks what is there first: topics that exist need no right to make them.
    async fn make_topics(&self) -> Result<(), String> {
        if self.has_topics.load(Ordering::Acquire) {
            return Ok(());
        }
        let (producer, told) = (self.producer(), self.told.clone());
        let look = move || watch::look(producer.client(), &told);
        let found = tokio::task::spawn_blocking(look).await.map_err(|error| error.to_string())??;
        self.make_missing(found).await
    }

    async fn make_missing(&self, mut found: Vec<(&'static str, Found)>) -> Result<(), String> {
        found.retain(|(_, found)| *found != Found::There);
        if !found.is_empty() {
            topics::make(&self.settings, &found).await?;
        }
        self.has_topics.store(true, Ordering::Release);
        Ok(())
    }

    fn producer(&self) -> FutureProducer<Told> {
        self.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another producer takes over, with nothing under way.
    fn renew(&self) -> Result<(), String> {
        let fresh = producer(&self.settings, self.told.clone(), self.one_by_one.load(Ordering::Acquire))?;
        *self.producer.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    async fn publish(producer: &FutureProducer<Told>, event: &StoredEvent) -> Outcome {
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

    async fn send_one(producer: &FutureProducer<Told>, event: &StoredEvent, headers: OwnedHeaders) -> Outcome {
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

    /// A broker judges batches by their size. From now on each message goes out alone, in order.
    async fn publish_alone(&self, events: &[StoredEvent], outcomes: &mut [Outcome]) -> Result<(), String> {
        tracing::warn!("the broker refuses batches for their size; messages are sent one by one");
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
                // The topic may be gone.
                self.has_topics.store(false, Ordering::Release);
                Sent::Later(reason)
            }
        }
    }
}

fn producer(settings: &KafkaSettings, told: Told, one_by_one: bool) -> Result<FutureProducer<Told>, String> {
    let mut config = settings.client();
    config.set("enable.idempotence", "true").set("acks", "all");
    // It is tried for as long as it takes: what follows in a partition is never ahead of what failed.
    config.set("message.timeout.ms", "0").set("linger.ms", "2").set("queue.buffering.max.messages", "100000");
    // An event that is too large is the broker's to refuse.
    config.set("message.max.bytes", "10000000").set("batch.size", BATCH_BYTES);
    // A topic that was deleted is soon found to be missing.
    config.set("topic.metadata.propagation.max.ms", "3000");
    if one_by_one {
        config.set("batch.num.messages", "1");
    }
    config.create_with_context(told).map_err(|error| error.to_string())
}

/// Only what is wrong with the event itself is wrong for ever.
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
        // All are handed over in order before the first is waited for.
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
            renewed = self.renew();
        }
        if let Err(reason) = renewed {
            return vec![Sent::Later(reason); events.len()];
        }
        outcomes.into_iter().map(|outcome| self.judge(outcome)).collect()
    }
}
