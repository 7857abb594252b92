//! Why a bearer is refused: for the caller, the log and the metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $detail:literal;)+) => {
        /// Why a caller is not authenticated.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Refused { $($(#[$doc])* $name),+ }

        impl Refused {
            const ALL: &[Self] = &[$(Self::$name),+];

            /// The label in log and metrics.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// What the answer says. It fits into a quoted string of `WWW-Authenticate` (RFC 6750, section 3): visible
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
    /// Without an end, or with one that is no number.
    ExpiryMissing = "expiry-missing", "The bearer has no expiry: exp must be a number of seconds since 1970";
    Expired = "expired", "The bearer has expired (exp)";
    NotYetValid = "not-yet-valid", "The bearer is not valid yet, or its nbf is no number of seconds since 1970";
    Issuer = "issuer", "The bearer's issuer (iss) is missing or not the one that this server trusts";
    Audience = "audience", "The bearer's audience (aud) is missing or does not name this server";
    SubjectMissing = "subject-missing", "The bearer names no user: sub is missing";
    SubjectNotText = "subject-not-text", "The bearer's sub is not a string";
    SubjectUnsound = "subject-unsound", "The bearer's sub is no user id: 1 to 64 of A-Z a-z 0-9 _ -";
    /// No fault of the bearer: the server has not been able to fetch its keys.
    KeysUnavailable = "keys-unavailable", "The keys that bearers are checked with could not be fetched";
}

impl Refused {
    /// Whether credentials came at all. If none came, the challenge has no error code (RFC 6750, section 3.1).
    pub(crate) fn had_credentials(self) -> bool {
        !matches!(self, Self::Missing | Self::OtherScheme)
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
        registry.register("bearers_refused", "Bearers that were not trusted, by reason", self.counted.clone());
        // Shown with 0 before the first: else its increase is seen by no query.
        for refused in Refused::ALL {
            drop(self.counted.get_or_create(&Labels { reason: refused.as_str() }));
        }
    }

    /// Counts a refusal and logs it; the log counts what repeats. Never shows the bearer.
    pub(super) fn note(&self, refused: Refused) {
        self.counted.get_or_create(&Labels { reason: refused.as_str() }).inc();
        tracing::info!(reason = refused.as_str(), "bearer refused: {}", refused.detail());
    }
}
