//! How Kafka is reached.

use super::Security;

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
