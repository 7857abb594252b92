//! A look at the brokers in the background, also while no event waits.

use std::sync::Arc;
use std::time::Duration;

use onsale_app::conditions::Conditions;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio_util::sync::CancellationToken;

use super::told::Told;
use super::topics::{self, Found};

/// Interval of checks of the brokers.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long one question of a look may take.
const ASKED_WITHIN: Duration = Duration::from_secs(1);

/// The part of the board that is about Kafka.
const KAFKA: &str = "kafka";

/// One look: what is said of each topic, or why no broker answers. Blocks.
pub(super) fn look<C: ClientContext>(client: &Client<C>, told: &Told) -> Result<Vec<(&'static str, Found)>, String> {
    match topics::find(client, ASKED_WITHIN) {
        Ok(found) => {
            told.clear();
            Ok(found)
        }
        Err(error) => Err(told.cause().unwrap_or_else(|| away(&error))),
    }
}

fn away(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure) => {
            "no broker answers within 1 s".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Looks again and again until stopped. Raises `kafka`/`away` while no broker answers, and `kafka`/`topics` while `judge`
/// finds a reason in what is said of the topics.
pub(super) async fn watch<J: Future<Output = Option<String>> + Send>(
    conditions: Arc<Conditions>,
    stop: CancellationToken,
    look: impl Fn() -> Result<Vec<(&'static str, Found)>, String> + Clone + Send + 'static,
    judge: impl Fn(Vec<(&'static str, Found)>) -> J + Send,
) {
    conditions.watch(KAFKA);
    loop {
        // One look at a time: it ends by itself within seconds.
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = tokio::task::spawn_blocking(look.clone()) => found,
        };
        match found {
            Ok(Ok(found)) => {
                conditions.clear(KAFKA, "away");
                conditions.set(KAFKA, "topics", judge(found).await);
            }
            Ok(Err(reason)) => conditions.raise(KAFKA, "away", reason),
            // The runtime ends.
            Err(_) => return,
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
