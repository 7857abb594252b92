//! Incidents on the way to the data platform.

use super::Incident;
use crate::scene::{Answer, Consumer, Scene, Stage};

/// The broker is killed.
pub(super) struct KafkaAway;

impl Incident for KafkaAway {
    const NAME: &'static str = "kafka-away";

    fn stage(&self) -> Stage {
        Stage { kafka: true, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.kafka.as_ref().expect("the sale uses Kafka").kill().await;
    }

    fn what(&self) -> &'static str {
        "the broker is killed with SIGKILL"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.kafka.as_ref().expect("the sale uses Kafka").restart().await;
    }

    fn repaired(&self) -> &'static str {
        "the broker was started with the data that it had"
    }
}

/// A condition without an alert of its own: the brokers do not answer.
pub(super) struct PartDegraded;

impl Incident for PartDegraded {
    const NAME: &'static str = "part-degraded";

    fn stage(&self) -> Stage {
        Stage { kafka: true, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.kafka.as_ref().expect("the sale uses Kafka").pause().await;
    }

    fn what(&self) -> &'static str {
        "the broker is stopped with SIGSTOP: connections stay, and nothing answers"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.kafka.as_ref().expect("the sale uses Kafka").resume().await;
    }

    fn repaired(&self) -> &'static str {
        "the broker goes on"
    }
}

/// The database stops while events wait.
pub(super) struct Unknown;

impl Incident for Unknown {
    const NAME: &'static str = "events-unknown";

    fn stage(&self) -> Stage {
        // No broker listens there: events wait, and the relay counts them.
        Stage { settings: vec![("ONSALE_KAFKA_BROKERS", "127.0.0.1:1".to_owned())], ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.store.server().pause().await;
    }

    fn what(&self) -> &'static str {
        "all processes of Postgres are stopped with SIGSTOP: connections stay, and nothing answers"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.store.server().resume().await;
    }

    fn repaired(&self) -> &'static str {
        "Postgres goes on"
    }
}

/// The data platform answers 400 to every event.
pub(super) struct DeadLetter;

impl Incident for DeadLetter {
    const NAME: &'static str = "dead-letter";

    fn stage(&self) -> Stage {
        Stage { platform: true, consumer: Consumer::AtOnce, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.platform.as_ref().expect("the sale has a platform").answers(Answer::Refuse);
    }

    fn what(&self) -> &'static str {
        "the data platform answers 400 to every event"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.platform.as_ref().expect("the sale has a platform").answers(Answer::Accept);
    }

    fn repaired(&self) -> &'static str {
        "the data platform accepts events again"
    }
}
