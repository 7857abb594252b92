//! Encryption of connections to Kafka, and authentication of both sides.

use std::fmt;

/// A secret. `Debug` prints `(secret)` instead of the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Private(String);

impl Private {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the client of Kafka alone.
    #[cfg(feature = "kafka")]
    pub(super) fn text(&self) -> &str {
        &self.0
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
    /// TLS; `None` sends everything in clear text.
    pub tls: Option<Tls>,
    /// Authentication by name and password (SASL); `None` for none.
    pub sasl: Option<Sasl>,
}

/// TLS. The broker's name is always checked against its certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Trusted certificates in PEM; `None` trusts those of the system.
    pub ca: Option<String>,
    /// The certificate that this client presents if a broker requests one.
    pub identity: Option<Identity>,
}

/// A client certificate with its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate and its intermediate certificates, in PEM, the client's own first.
    pub certificate: String,
    /// The private key in PEM, without a passphrase.
    pub key: Private,
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// How the password is proven to the broker.
    pub mechanism: Mechanism,
    /// The user name at the broker.
    pub username: String,
    /// The password of that user.
    pub password: Private,
}

/// How a client proves its password to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Sent in clear text: use it with TLS only.
    Plain,
    /// Challenge and response (SCRAM, RFC 5802) with SHA-256.
    ScramSha256,
    /// Challenge and response (SCRAM, RFC 5802) with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// The name of the mechanism in the SASL protocol, such as `SCRAM-SHA-256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}
