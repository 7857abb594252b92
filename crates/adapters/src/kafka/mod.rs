//! Events through Kafka: an idempotent producer that waits for all replicas, and a consumer that commits only what was
//! delivered.
//!
//! The client is a C library with OpenSSL in it, a quarter of a build from nothing. Without the feature `kafka` the same
//! types exist, and every setting that names brokers is refused at start.

#[cfg(any(test, not(feature = "kafka")))]
#[cfg_attr(feature = "kafka", allow(dead_code, unreachable_pub, reason = "its tests run in every build"))]
mod absent;
#[cfg(feature = "kafka")]
mod client;
mod security;
mod settings;

#[cfg(not(feature = "kafka"))]
pub use absent::{ConsumerMetrics, KafkaConsumer, KafkaSink, check};
#[cfg(feature = "kafka")]
pub use client::{ConsumerMetrics, KafkaConsumer, KafkaSink, check};
pub use security::{Identity, Mechanism, Private, Sasl, Security, Tls};
pub use settings::KafkaSettings;
