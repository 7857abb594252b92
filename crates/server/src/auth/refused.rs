//! Why a bearer is refused: the reason for the client, the log and the metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $detail:literal;)+) => {
        /// Why a client is not authenticated.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Refused { $($(#[$doc])* $name),+ }

        impl Refused {
            const ALL: &[Self] = &[$(Self::$name),+];

            /// The value of the label `reason` in logs and metrics.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// The detail of the answer. It fits into a quoted string of `WWW-Authenticate` (RFC 6750, section 3): visible
            /// ASCII without quotes and backslashes.
            pub(crate) fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail),+ }
            }
        }
    };
}

reasons! {
    Missing = "missing", "A bearer is required: Authorization: Bearer <JWT>";
    OtherScheme = "other-scheme", "The Authorization header holds no bearer: Authorization: Bearer <JWT>";
    SeveralHeaders = "several-headers", "The request has more than one Authorization header";
    Malformed = "malformed", "The bearer is no JWT: three parts of base64url with JSON in the first two";
    Critical = "critical-extension", "The bearer demands extensions (crit) that this server does not know";
    Algorithm = "algorithm", "No key of this server takes the bearer's algorithm (alg)";
    UnknownKey = "unknown-key", "No key of this server has the bearer's key id (kid)";
    Signature = "signature", "The bearer's signature fits no key of this server";
    /// `exp` is missing or not a number.
    ExpiryMissing = "expiry-missing", "The bearer has no expiry: exp must be a number of seconds since 1970";
    Expired = "expired", "The bearer has expired (exp)";
    NotYetValid = "not-yet-valid", "The bearer is not valid yet, or its nbf is no number of seconds since 1970";
    Issuer = "issuer", "The bearer's issuer (iss) is missing or not the one that this server trusts";
    Audience = "audience", "The bearer's audience (aud) is missing or does not name this server";
    SubjectMissing = "subject-missing", "The bearer names no user: sub is missing";
    SubjectNotText = "subject-not-text", "The bearer's sub is not a string";
    /// A user id made from the `sub` of another user has this form.
    SubjectReserved = "subject-reserved", "The bearer's sub has the form of ids that this server makes: u_ and 43 characters";
    /// Not of a bearer: the cookie of a sign-in is wrong, is over, or was ended.
    SessionEnded = "session-ended", "The session has ended: sign in again";
    /// Not a fault of the bearer: the server has no keys, as no fetch of the JWK Set succeeded.
    KeysUnavailable = "keys-unavailable", "The keys that bearers are checked with could not be fetched";
}

impl Refused {
    /// Returns whether the request had credentials. If it had none, the challenge has no error code (RFC 6750, section 3.1).
    pub(crate) fn had_credentials(self) -> bool {
        !matches!(self, Self::Missing | Self::OtherScheme | Self::SessionEnded)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: &'static str,
}

/// Counts and logs refusals.
#[derive(Default)]
pub(super) struct Refusals {
    counted: Family<Labels, Counter>,
}

impl Refusals {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "bearers_refused",
            "Requests refused because of their bearer, by reason",
            self.counted.clone(),
        );
        // Exported as 0 from the start: `increase()` does not count a series that begins at 1.
        for refused in Refused::ALL {
            drop(self.counted.get_or_create(&Labels { reason: refused.as_str() }));
        }
    }

    /// Counts and logs a refusal, never with the bearer. The throttle of the log counts repeated lines.
    pub(super) fn note(&self, refused: Refused) {
        self.counted.get_or_create(&Labels { reason: refused.as_str() }).inc();
        tracing::info!(reason = refused.as_str(), "refused a bearer: {}", refused.detail());
    }
}
