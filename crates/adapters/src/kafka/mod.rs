//! Events through Kafka: an idempotent producer that waits for all replicas, and a consumer that commits only what was
//! delivered.

mod consumer;
mod sink;

pub use consumer::{ConsumerMetrics, KafkaConsumer};
pub use sink::KafkaSink;

use rdkafka::ClientConfig;

/// How Kafka is reached, and how its topics are made.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// `HOST:PORT`, several separated by commas.
    pub brokers: String,
    /// Partitions of a topic that is made.
    pub partitions: i32,
    /// Replicas of each.
    pub replication: i32,
    /// The consumers that share the topics.
    pub group: String,
}

impl KafkaSettings {
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "onsale");
        config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
        config.set("socket.timeout.ms", "10000").set("socket.keepalive.enable", "true");
        config.set("topic.metadata.refresh.interval.ms", "10000");
        // What it has to say is told by the calls; its own lines would be on standard error.
        config.set("log_level", "2");
        config
    }
}
