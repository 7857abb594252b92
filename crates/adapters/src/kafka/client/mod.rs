//! The client of Kafka (librdkafka), and what runs on it.

mod access;
mod consumer;
mod lag;
mod last_error;
mod positions;
mod sink;
mod topics;
mod watch;

pub use consumer::KafkaConsumer;
pub use lag::ConsumerMetrics;
pub use sink::KafkaSink;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;

use super::{Identity, KafkaSettings, Sasl, Security, Tls};

/// Checks that a client can be made of these settings: certificates are read, and a key fits its certificate.
///
/// # Errors
/// The client's own message. It never contains the key or the password.
pub fn check(settings: &KafkaSettings) -> Result<(), String> {
    let made: Result<BaseProducer, KafkaError> = settings.client().create();
    made.map(drop).map_err(|error| error.to_string())
}

impl KafkaSettings {
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
        protect(&self.security, &mut config);
        config
    }
}

/// Encryption and authentication, as the client of Kafka reads them.
fn protect(security: &Security, config: &mut ClientConfig) {
    let protocol = match (&security.tls, &security.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(Tls { ca, identity }) = &security.tls {
        match ca {
            Some(pem) => config.set("ssl.ca.pem", pem),
            // OpenSSL is linked into this program and does not know the certificate folders of this system.
            None => config.set("ssl.ca.location", "probe"),
        };
        if let Some(Identity { certificate, key }) = identity {
            config.set("ssl.certificate.pem", certificate).set("ssl.key.pem", key.text());
        }
    }
    if let Some(Sasl { mechanism, username, password }) = &security.sasl {
        config.set("sasl.mechanism", mechanism.name());
        config.set("sasl.username", username).set("sasl.password", password.text());
    }
}
