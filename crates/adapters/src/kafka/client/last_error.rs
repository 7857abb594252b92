//! The last error that a Kafka client reported to its error callback.
//!
//! A call that fails returns "timed out" or "all brokers down". The callback receives the cause: a refused connection, a wrong
//! password, a certificate that does not fit.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Keeps the last reported error. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct LastError {
    /// Written by the client's background thread, read by the task that checks the brokers. Held for one assignment only.
    reason: Arc<Mutex<Option<String>>>,
}

impl LastError {
    /// The last error since [`LastError::clear`], in the words of the client.
    pub(super) fn get(&self) -> Option<String> {
        self.reason.lock().clone()
    }

    /// Forgets the error. Called after a request succeeded.
    pub(super) fn clear(&self) {
        *self.reason.lock() = None;
    }
}

impl ClientContext for LastError {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client reports an error");
        // "All brokers down" only sums up the errors before it, one per broker, and would overwrite their cause.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.reason.lock() = Some(reason.to_owned());
        }
    }

    fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(facility, line, "Kafka client logs");
    }
}

impl ConsumerContext for LastError {}
