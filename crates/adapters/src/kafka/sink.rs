//! The way into Kafka.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use onsale_app::event::{StoredEvent, TOPICS};
use onsale_app::relay::{Sent, Sink};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use super::KafkaSettings;

/// The media type of an event in structured mode.
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// How long one question to the brokers may take.
const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// Publishes events, each under its subject as the key, so that those of a subject stay in order.
pub struct KafkaSink {
    settings: KafkaSettings,
    producer: FutureProducer,
    admin: AdminClient<DefaultClientContext>,
    has_topics: AtomicBool,
}

impl KafkaSink {
    /// Does not wait for any broker.
    ///
    /// # Errors
    /// Where the settings cannot be used.
    pub fn new(settings: &KafkaSettings) -> Result<Self, String> {
        let mut config = settings.client();
        config.set("enable.idempotence", "true").set("acks", "all");
        // It is tried for as long as it takes: what follows in a partition is never ahead of what failed.
        config.set("message.timeout.ms", "0").set("linger.ms", "2").set("queue.buffering.max.messages", "100000");
        // An event that is too large is the broker's to refuse.
        config.set("message.max.bytes", "10000000");
        let said = |error: KafkaError| error.to_string();
        let producer = config.create().map_err(said)?;
        let admin = settings.client().create().map_err(said)?;
        Ok(Self { settings: settings.clone(), producer, admin, has_topics: AtomicBool::new(false) })
    }

    /// Makes the topics that are missing.
    async fn make_topics(&self) -> Result<(), String> {
        if self.has_topics.load(Ordering::Acquire) {
            return Ok(());
        }
        let KafkaSettings { partitions, replication, .. } = self.settings;
        let topic = |name| NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
        let topics: Vec<_> = TOPICS.iter().map(|name| topic(*name)).collect();
        let options = AdminOptions::new().request_timeout(Some(ASKED_WITHIN)).operation_timeout(Some(ASKED_WITHIN));
        let made = self.admin.create_topics(&topics, &options).await.map_err(|error| error.to_string())?;
        for topic in made {
            match topic {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(format!("{name} cannot be made: {code}")),
            }
        }
        self.has_topics.store(true, Ordering::Release);
        Ok(())
    }

    async fn publish(&self, event: &StoredEvent) -> Sent {
        let headers = OwnedHeaders::new().insert(Header { key: "content-type", value: Some(CLOUD_EVENT) });
        let json = event.to_json().to_string();
        let record = FutureRecord::to(event.topic()).key(&event.subject).payload(&json).headers(headers);
        let sent = match self.producer.send_result(record) {
            Ok(delivery) => delivery.await.map_err(|_| "the producer was closed".to_owned()),
            Err((error, _)) => return self.failed(&error),
        };
        match sent {
            Ok(Ok(_)) => Sent::Acknowledged,
            Ok(Err((error, _))) => self.failed(&error),
            Err(reason) => Sent::Later(reason),
        }
    }

    /// Only what is wrong with the event itself is wrong for ever.
    fn failed(&self, error: &KafkaError) -> Sent {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidMessage,
            ) => Sent::Never(error.to_string()),
            _ => {
                // The topic may be gone.
                self.has_topics.store(false, Ordering::Release);
                Sent::Later(error.to_string())
            }
        }
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn send(&self, events: &[StoredEvent]) -> Vec<Sent> {
        if let Err(reason) = self.make_topics().await {
            return vec![Sent::Later(reason); events.len()];
        }
        // All are handed over in order before the first is waited for.
        futures_util::future::join_all(events.iter().map(|event| self.publish(event))).await
    }

    async fn is_well(&self) -> bool {
        let client = self.producer.clone();
        let asked = tokio::task::spawn_blocking(move || client.client().fetch_metadata(None, Duration::from_secs(1)));
        matches!(asked.await, Ok(Ok(_)))
    }
}
