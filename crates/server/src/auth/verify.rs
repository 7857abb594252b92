//! Checks bearers: JWTs (RFC 7519) signed with a trusted key. `jsonwebtoken` verifies signatures and claims; this module
//! chooses the keys to try and names the reason of a refusal.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, get_current_timestamp};
use onsale_domain::ids::UserId;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::config::JwtSettings;
use super::jwks::KeySet;
use super::keys::Key;
use super::known::{Fingerprint, Known};
use super::refused::{Refusals, Refused};
use super::subject::user_of;

/// The tolerated difference of clocks for `exp` and `nbf`, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// The most keys that one bearer is tried against. A bearer without a key id may fit every key of its algorithm; beyond this
/// number it is refused.
const TRIED_MAX: usize = 16;

/// The longest wait of a bearer with an unknown key id. A request must be answered within 10 s.
const WAIT_MAX: Duration = Duration::from_secs(6);

/// Checks bearers against keys, issuer, audience and time.
pub(crate) struct Verifier {
    signatures: Signatures,
    /// Bearers that were verified before.
    known: Known,
    refusals: Refusals,
}

/// The keys that may sign a JWT, and the claims that it must have.
pub(super) struct Signatures {
    /// The keys of the settings. They have no id, so a bearer's `kid` does not rule them out.
    fixed: Vec<Key>,
    /// The JWK Set, if the settings name one.
    fetched: Option<Arc<KeySet>>,
    /// The required claims, for each algorithm: the library takes them together.
    rules: [Validation; 3],
}

/// The header of a JWT: its first part.
struct Head {
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl Head {
    fn read(token: &str) -> Result<Self, Refused> {
        let mut parts = token.split('.');
        let (Some(head), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(Refused::Malformed);
        };
        let bytes = URL_SAFE_NO_PAD.decode(head).map_err(|_| Refused::Malformed)?;
        let head: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| Refused::Malformed)?;
        // RFC 7515, section 4.1.11: a recipient must refuse critical extensions that it does not know. This one knows none.
        if head.contains_key("crit") {
            return Err(Refused::Critical);
        }
        let algorithm = match head.get("alg").and_then(Value::as_str) {
            Some("HS256") => Algorithm::HS256,
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            _ => return Err(Refused::Algorithm),
        };
        let key_id = match head.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(Refused::Malformed),
        };
        Ok(Self { algorithm, key_id })
    }

    fn may_be_signed_with(&self, key: &Key) -> bool {
        let ids_agree = key.id.is_none() || self.key_id.is_none() || key.id == self.key_id;
        key.algorithm == self.algorithm && ids_agree
    }
}

/// The claims that this server reads. The library checks `exp`, `nbf`, `iss` and `aud`.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: Option<Value>,
    exp: Option<Value>,
    iss: Option<Value>,
    /// Of an ID token: the value of the sign-in that it belongs to, and the client that it was made for.
    pub(super) nonce: Option<Value>,
    pub(super) azp: Option<Value>,
}

impl Claims {
    /// Returns the user that `sub` names.
    ///
    /// # Errors
    /// The reason, if it names none.
    pub(super) fn user(&self) -> Result<UserId, Refused> {
        let subject = match &self.sub {
            None | Some(Value::Null) => return Err(Refused::SubjectMissing),
            Some(Value::String(text)) => text,
            Some(_) => return Err(Refused::SubjectNotText),
        };
        match &self.iss {
            None | Some(Value::Null) => user_of("", subject),
            Some(Value::String(issuer)) => user_of(issuer, subject),
            // Such an issuer is accepted only if none is required. It can be no part of a user id.
            Some(_) => UserId::parse(subject).ok_or(Refused::Issuer).and_then(|_| user_of("", subject)),
        }
    }

    /// The `exp` claim in seconds since 1970. It may have a fraction. Rounded down, the cache forgets the bearer before it
    /// expires, never after.
    fn expires(&self) -> u64 {
        let seconds = |exp: &Value| exp.as_u64().or_else(|| exp.as_f64().map(whole_seconds));
        self.exp.as_ref().and_then(seconds).unwrap_or(0)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast saturates")]
fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}

impl Signatures {
    /// Prepares keys and required claims.
    ///
    /// # Errors
    /// The reason, if the HTTP client for the JWK Set cannot be created.
    pub(super) fn new(settings: &JwtSettings) -> Result<Self, String> {
        let secrets = settings.secrets.iter().map(|secret| Key::of_secret(secret.expose()));
        let mut rules = Validation {
            leeway: LEEWAY_SECONDS,
            validate_nbf: true,
            validate_aud: settings.audience.is_some(),
            ..Validation::default()
        };
        let mut required = vec!["exp"];
        if let Some(issuer) = &settings.issuer {
            rules.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &settings.audience {
            rules.set_audience(&[audience]);
            required.push("aud");
        }
        rules.set_required_spec_claims(&required);
        let rules = [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256]
            .map(|algorithm| Validation { algorithms: vec![algorithm], ..rules.clone() });
        Ok(Self {
            fixed: secrets.chain(settings.public_keys.iter().cloned()).collect(),
            fetched: settings.jwks.as_ref().map(KeySet::new).transpose()?.map(Arc::new),
            rules,
        })
    }

    pub(super) fn key_set(&self) -> Option<&Arc<KeySet>> {
        self.fetched.as_ref()
    }

    /// Returns the claims of a JWT, verified with the keys in memory. Never waits.
    ///
    /// # Errors
    /// The reason why it is not trusted.
    pub(super) fn claims(&self, token: &str) -> Result<Claims, Refused> {
        self.try_keys(token, &Head::read(token)?)
    }

    /// The generation of the trusted keys; it changes when they do.
    fn generation(&self) -> u64 {
        match &self.fetched {
            None => 0,
            Some(fetched) => fetched.current().map_or(0, |fetched| fetched.generation),
        }
    }

    /// Tries the keys that may have signed the JWT. The first that verifies its signature decides.
    fn try_keys(&self, token: &str, head: &Head) -> Result<Claims, Refused> {
        let fetched = self.fetched.as_ref().map(|fetched| fetched.current());
        let from_url = fetched.iter().flatten().flat_map(|fetched| fetched.keys.iter());
        let fitting = self.fixed.iter().chain(from_url.clone()).filter(|key| head.may_be_signed_with(key));
        let mut is_tried = false;
        for key in fitting.take(TRIED_MAX) {
            is_tried = true;
            match self.decode(token, key) {
                Err(Refused::Signature) => {}
                decided => return decided,
            }
        }
        let has_id = |key: &Key| key.id.is_some() && key.id == head.key_id;
        match fetched {
            Some(None) => Err(Refused::KeysUnavailable),
            Some(Some(_)) if head.key_id.is_some() && !from_url.clone().any(has_id) => Err(Refused::UnknownKey),
            _ if !is_tried => Err(Refused::Algorithm),
            _ => Err(Refused::Signature),
        }
    }

    /// Verifies signature and claims with one key.
    fn decode(&self, token: &str, key: &Key) -> Result<Claims, Refused> {
        let rules = self.rules.iter().find(|rules| rules.algorithms.contains(&key.algorithm));
        let rules = rules.ok_or(Refused::Algorithm)?;
        match jsonwebtoken::decode::<Claims>(token, &key.decoding, rules) {
            Ok(decoded) => Ok(decoded.claims),
            Err(error) => Err(reason(error.kind())),
        }
    }
}

impl Verifier {
    /// Prepares keys and required claims.
    ///
    /// # Errors
    /// The reason, if the HTTP client for the JWK Set cannot be created.
    pub(super) fn new(settings: &JwtSettings) -> Result<Self, String> {
        let signatures = Signatures::new(settings)?;
        Ok(Self { signatures, known: Known::new(), refusals: Refusals::default() })
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.refusals.register(registry);
        if let Some(fetched) = self.key_set() {
            fetched.register(registry);
        }
    }

    pub(super) fn key_set(&self) -> Option<&Arc<KeySet>> {
        self.signatures.key_set()
    }

    /// Counts and logs a refused bearer.
    pub(super) fn note(&self, refused: Refused) {
        self.refusals.note(refused);
    }

    /// Returns the user of a bearer that is in the cache. Costs one hash.
    pub(crate) fn known(&self, token: &str) -> Option<UserId> {
        self.known.find(&Fingerprint::of(token), self.signatures.generation(), get_current_timestamp())
    }

    /// Returns the user of a bearer, verified with the keys in memory. Never waits.
    ///
    /// # Errors
    /// The reason why it is not trusted. After [`Refused::UnknownKey`], [`Self::wait`] may succeed.
    pub(crate) fn check(&self, token: &str) -> Result<UserId, Refused> {
        let bearer = Fingerprint::of(token);
        let generation = self.signatures.generation();
        if let Some(user) = self.known.find(&bearer, generation, get_current_timestamp()) {
            return Ok(user);
        }
        // Stored with the generation from before the check. If the keys change in between, the entry is stale at once and the
        // bearer is checked again; the other way around, a bearer of a removed key would stay valid.
        let claims = self.signatures.claims(token)?;
        let user = claims.user()?;
        let valid_until = claims.expires().saturating_add(LEEWAY_SECONDS);
        self.known.remember(&bearer, user.clone(), valid_until, generation);
        Ok(user)
    }

    /// Repeats [`Self::check`] after a fetch of the JWK Set, if `checked` is [`Refused::UnknownKey`]; returns any other
    /// `checked` at once. Waits 6 s at most.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) async fn wait(&self, token: &str, mut checked: Result<UserId, Refused>) -> Result<UserId, Refused> {
        let (Err(Refused::UnknownKey), Some(fetched)) = (&checked, self.key_set()) else { return checked };
        // Before the second check: a fetch that ends between the two lines is then found by one of them.
        let asked = fetched.progress();
        checked = self.check(token);
        let waiting = async {
            while matches!(checked, Err(Refused::UnknownKey)) && fetched.newer(asked).await {
                checked = self.check(token);
            }
        };
        let _ = tokio::time::timeout(WAIT_MAX, waiting).await;
        checked
    }
}

/// Translates the library's error. The library checks claims only after the signature, so these reasons reveal nothing to a
/// forger.
fn reason(kind: &ErrorKind) -> Refused {
    match kind {
        ErrorKind::InvalidSignature => Refused::Signature,
        ErrorKind::ExpiredSignature => Refused::Expired,
        ErrorKind::ImmatureSignature => Refused::NotYetValid,
        ErrorKind::InvalidIssuer => Refused::Issuer,
        ErrorKind::InvalidAudience => Refused::Audience,
        ErrorKind::InvalidAlgorithm => Refused::Algorithm,
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => match claim.as_str() {
            "exp" => Refused::ExpiryMissing,
            "nbf" => Refused::NotYetValid,
            "iss" => Refused::Issuer,
            "aud" => Refused::Audience,
            _ => Refused::Malformed,
        },
        _ => Refused::Malformed,
    }
}

#[cfg(test)]
mod properties;
