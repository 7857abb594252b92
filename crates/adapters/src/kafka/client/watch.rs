//! Checks the brokers every 2 s in the background, also while no event waits to be sent.

use std::sync::Arc;
use std::time::Duration;

use onsale_app::conditions::{Conditions, Reason};
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio_util::sync::CancellationToken;

use super::last_error::LastError;
use super::topics::{self, Found};

/// Interval of checks of the brokers.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Time limit of one metadata request. Beyond it the brokers count as unreachable.
const METADATA_WITHIN: Duration = Duration::from_secs(1);

/// The part on the board of conditions.
const KAFKA: &str = "kafka";

/// Checks the brokers once. Returns the state of each topic, or why no broker answers. Blocks for at most 1 s per topic.
pub(super) fn check<C: ClientContext>(
    client: &Client<C>,
    last_error: &LastError,
) -> Result<Vec<(&'static str, Found)>, String> {
    match topics::find(client, METADATA_WITHIN) {
        Ok(found) => {
            last_error.clear();
            Ok(found)
        }
        Err(error) => Err(last_error.get().unwrap_or_else(|| unreachable(&error))),
    }
}

fn unreachable(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure) => {
            "no broker answers within 1 s".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Why no broker can be used, from the words of the client. These name addresses and certificates, so they are only the cause.
fn away(brokers: &str, words: &str) -> Reason {
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    let text = if says(&["certificate verify failed"]) {
        format!(
            "certificate verify failed for a broker of {brokers}: set ONSALE_KAFKA_CA to the authority that signed it"
        )
    } else if says(&["uthentication", "SASL"]) {
        format!("a broker of {brokers} refuses the authentication: correct the settings ONSALE_KAFKA_SASL_…")
    } else {
        format!("no broker of {brokers} answers, and events wait: check that it runs and that this process reaches it")
    };
    Reason::new(text).because(words)
}

/// Checks the brokers (`HOST:PORT`, separated by commas) every 2 s until stopped. Raises `kafka`/`away` while none answers, and
/// `kafka`/`topics` while `judge` returns a reason for the state of the topics.
pub(super) async fn watch<J: Future<Output = Option<Reason>> + Send>(
    brokers: &str,
    conditions: Arc<Conditions>,
    stop: CancellationToken,
    check: impl Fn() -> Result<Vec<(&'static str, Found)>, String> + Clone + Send + 'static,
    judge: impl Fn(Vec<(&'static str, Found)>) -> J + Send,
) {
    conditions.watch(KAFKA);
    loop {
        // A blocking call cannot be cancelled: after `stop` it goes on in its thread and ends within seconds.
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = tokio::task::spawn_blocking(check.clone()) => found,
        };
        match found {
            Ok(Ok(found)) => {
                conditions.clear(KAFKA, "away");
                conditions.set(KAFKA, "topics", judge(found).await);
            }
            Ok(Err(words)) => conditions.raise(KAFKA, "away", away(brokers, &words)),
            // The task was cancelled because the runtime shuts down.
            Err(_) => return,
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
