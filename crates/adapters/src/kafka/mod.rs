//! Events through Kafka: an idempotent producer that waits for all replicas, and a consumer that commits only what was
//! delivered.

mod access;
mod consumer;
mod lag;
mod last_error;
mod positions;
mod security;
mod sink;
mod topics;
mod watch;

pub use consumer::KafkaConsumer;
pub use lag::ConsumerMetrics;
pub use security::{Identity, Mechanism, Private, Sasl, Security, Tls};
pub use sink::KafkaSink;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;

/// How Kafka is reached, and how its topics are made.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// `HOST:PORT`, several separated by commas.
    pub brokers: String,
    /// Partitions of a topic that is made.
    pub partitions: i32,
    /// Replicas of each partition of a topic that is made.
    pub replication: i32,
    /// Id of the consumer group. Its members share the partitions.
    pub group: String,
    /// How connections are encrypted and how both sides prove who they are.
    pub security: Security,
}

impl KafkaSettings {
    /// Checks that a client can be made of these settings: certificates are read, and a key fits its certificate.
    ///
    /// # Errors
    /// The client's own message. It never contains the key or the password.
    pub fn check(&self) -> Result<(), String> {
        let made: Result<BaseProducer, KafkaError> = self.client().create();
        made.map(drop).map_err(|error| error.to_string())
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "onsale");
        config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
        config.set("socket.timeout.ms", "10000").set("socket.keepalive.enable", "true");
        config.set("topic.metadata.refresh.interval.ms", "10000");
        // Topics are made with our partitions and replicas, never by a broker with its defaults.
        config.set("allow.auto.create.topics", "false");
        // Only critical lines: errors reach us by return values and by the error callback, and the client writes its lines
        // to standard error past our log.
        config.set("log_level", "2");
        self.security.apply(&mut config);
        config
    }
}
