//! The settings of events.

use super::{Setting, setting};

pub(super) const EVENTS: &[Setting] = &[
    setting(
        "kafka-brokers",
        "HOST:PORT,..",
        None,
        "Kafka brokers that receive the events. Without it, events stay in the database's event log",
    ),
    setting(
        "kafka-partitions",
        "N",
        Some("6"),
        "Partitions of topics that onsale creates, 1 to 1000. Existing topics stay as they are",
    ),
    setting(
        "kafka-replication",
        "N",
        Some("1"),
        "Replicas of each partition of topics that onsale creates, 1 to 100. Existing topics stay as they are",
    ),
    setting("kafka-group", "NAME", Some("onsale-data-platform"), "Consumer group of onsale consume"),
    setting(
        "kafka-security",
        "plaintext|ssl|sasl_plaintext|sasl_ssl",
        Some("plaintext"),
        "Connection to the brokers: without TLS, with TLS (ssl), with a user name and password (sasl_plaintext), or with \
         both (sasl_ssl)",
    ),
    setting("kafka-sasl-mechanism", "NAME", None, "With SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
    setting("kafka-sasl-username", "NAME", None, "With SASL: user name for the brokers"),
    setting("kafka-sasl-password", "SECRET", None, "With SASL: password for the brokers"),
    setting(
        "kafka-ca",
        "PEM|FILE",
        None,
        "With TLS: certificates of the authorities that sign the brokers' certificates. Without it, those of the system",
    ),
    setting(
        "kafka-certificate",
        "PEM|FILE",
        None,
        "With TLS: client certificate with its chain, if the brokers require one",
    ),
    setting("kafka-key", "PEM|FILE", None, "With TLS: private key of the client certificate, not encrypted"),
    setting(
        "relay",
        "true|false",
        Some("true"),
        "With Kafka: publish events from this serve process. With false, run onsale relay beside it",
    ),
    setting(
        "events-kept-days",
        "DAYS",
        None,
        "Delete sent events after this time, 1 to 36500 (if no relay ever ran on this database, all events). Without it, \
         keep them forever",
    ),
    setting(
        "data-platform-url",
        "URL",
        None,
        "URL that onsale consume posts events to. Without it, it writes them to files in data-platform-dir",
    ),
    setting(
        "data-platform-secret",
        "SECRET",
        None,
        "Key that signs posts to data-platform-url by Standard Webhooks: whsec_ and Base64, or any text. Without it, posts \
         are not signed",
    ),
    setting(
        "data-platform-dir",
        "DIR",
        Some("events"),
        "Folder for the event files of onsale consume: a folder per day, JSON lines",
    ),
];
