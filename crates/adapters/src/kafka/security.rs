//! Encryption of connections to Kafka, and how both sides show who they are.

use std::fmt;

use rdkafka::ClientConfig;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Private(String);

impl Private {
    /// Keeps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How connections are protected. The default is neither encryption nor authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Encryption, if any.
    pub tls: Option<Tls>,
    /// Authentication by a name and a password, if any.
    pub sasl: Option<Sasl>,
}

/// TLS. The broker's name is always checked against its certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates that are trusted, in PEM; those of the system if none.
    pub ca: Option<String>,
    /// What this client shows to the brokers, if they ask.
    pub identity: Option<Identity>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, then those between it and the authority, in PEM.
    pub certificate: String,
    /// Its key in PEM, not encrypted.
    pub key: Private,
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// How the password is shown.
    pub mechanism: Mechanism,
    /// The name.
    pub username: String,
    /// The password.
    pub password: Private,
}

/// How a password is shown to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// As it is: only sensible with TLS.
    Plain,
    /// By a challenge (RFC 5802), with SHA-256.
    ScramSha256,
    /// By a challenge, with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// The name that the protocol has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Security {
    pub(super) fn apply(&self, config: &mut ClientConfig) {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(Tls { ca, identity }) = &self.tls {
            match ca {
                Some(pem) => config.set("ssl.ca.pem", pem),
                // OpenSSL is a part of this program and knows no folder of the system by itself.
                None => config.set("ssl.ca.location", "probe"),
            };
            if let Some(Identity { certificate, key }) = identity {
                config.set("ssl.certificate.pem", certificate).set("ssl.key.pem", &key.0);
            }
        }
        if let Some(Sasl { mechanism, username, password }) = &self.sasl {
            config.set("sasl.mechanism", mechanism.name());
            config.set("sasl.username", username).set("sasl.password", &password.0);
        }
    }
}
