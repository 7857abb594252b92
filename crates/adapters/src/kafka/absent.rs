//! What stands for the client of Kafka in a program that was built without it: nothing can be made of these types.

use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use onsale_app::conditions::Conditions;
use onsale_app::event::StoredEvent;
use onsale_app::relay::{PlatformSink, Sent, Sink};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::KafkaSettings;

/// Why settings that name brokers are refused.
const REASON: &str = "this program was built without the feature kafka; build it with the default features";

/// Refuses every settings of Kafka.
///
/// # Errors
/// Always: the reason and the remedy.
pub fn check(_: &KafkaSettings) -> Result<(), String> {
    Err(REASON.to_owned())
}

/// The producer that this program does not have.
pub struct KafkaSink(Infallible);

impl KafkaSink {
    /// Makes no producer.
    ///
    /// # Errors
    /// Always: the reason and the remedy.
    pub fn new(_: &KafkaSettings) -> Result<Self, String> {
        Err(REASON.to_owned())
    }

    /// Cannot be called: no producer exists.
    pub async fn watch(self: Arc<Self>, _: Arc<Conditions>, _: bool, _: CancellationToken) {
        match self.0 {}
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn send(&self, _: &[StoredEvent]) -> Vec<Sent> {
        match self.0 {}
    }
}

/// The consumer that this program does not have.
pub struct KafkaConsumer {
    never: Infallible,
    /// Cannot be read: no consumer exists.
    pub metrics: ConsumerMetrics,
}

impl KafkaConsumer {
    /// Makes no consumer.
    ///
    /// # Errors
    /// Always: the reason and the remedy.
    pub fn new(_: &KafkaSettings, _: Arc<PlatformSink>, _: Arc<Conditions>) -> Result<Self, String> {
        Err(REASON.to_owned())
    }

    /// Cannot be called: no consumer exists.
    pub async fn run(self, _: CancellationToken) {
        match self.never {}
    }
}

/// Metrics of the consumer that this program does not have.
pub struct ConsumerMetrics(Infallible);

impl ConsumerMetrics {
    /// Cannot be called: no consumer exists.
    pub fn register(&self, _: &mut Registry) {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::Security;

    #[test]
    fn settings_of_kafka_are_refused_with_a_remedy() {
        let settings = KafkaSettings {
            brokers: "localhost:9092".to_owned(),
            partitions: 1,
            replication: 1,
            group: "onsale".to_owned(),
            security: Security::default(),
        };
        assert_eq!(check(&settings).unwrap_err(), REASON);
        assert_eq!(KafkaSink::new(&settings).err().unwrap(), REASON);
    }
}
