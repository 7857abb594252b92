//! JWTs (RFC 7519) signed with a trusted key.

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

use super::jwks::KeySet;
use super::keys::Key;
use super::known::{Fingerprint, Known};
use super::refused::{Refusals, Refused};
use crate::settings::JwtSettings;

/// How far another clock may be off, in seconds: for `exp` and `nbf`.
const LEEWAY_SECONDS: u64 = 30;

/// Keys that one bearer is tried against: a bearer without a key id fits all keys of its algorithm.
const TRIED_MAX: usize = 16;

/// How long a bearer with an unknown key id waits for keys at most: less than a request may take.
const WAIT_MAX: Duration = Duration::from_secs(6);

/// Checks bearers against keys, issuer, audience and time.
pub(crate) struct Verifier {
    /// The keys of the settings. They have no id, so a bearer's `kid` does not rule them out.
    fixed: Vec<Key>,
    /// Keys that come from a URL.
    fetched: Option<Arc<KeySet>>,
    /// What a bearer must claim, for each algorithm.
    rules: [Validation; 3],
    known: Known,
    refusals: Refusals,
}

/// A bearer that is trusted.
struct Trusted {
    user: UserId,
    /// In seconds since 1970.
    expires: u64,
}

/// What the first part of a bearer says.
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
        // RFC 7515, section 4.1.11: extensions that are not understood and must be. None is understood here.
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

/// The claims that are read here. The others (`exp`, `nbf`, `iss`, `aud`) are checked by the library.
#[derive(Deserialize)]
struct Claims {
    sub: Option<Value>,
    exp: Option<Value>,
}

impl Claims {
    fn trusted(self) -> Result<Trusted, Refused> {
        let user = match self.sub {
            None | Some(Value::Null) => return Err(Refused::SubjectMissing),
            Some(Value::String(text)) => UserId::parse(&text).ok_or(Refused::SubjectUnsound)?,
            Some(_) => return Err(Refused::SubjectNotText),
        };
        // A fraction of a second less is on the safe side.
        let expires = self.exp.and_then(|exp| exp.as_u64().or_else(|| exp.as_f64().map(whole_seconds)));
        Ok(Trusted { user, expires: expires.unwrap_or(0) })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast saturates")]
fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}

impl Verifier {
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
            known: Known::new(),
            refusals: Refusals::default(),
        })
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.refusals.register(registry);
        if let Some(fetched) = &self.fetched {
            fetched.register(registry);
        }
    }

    pub(super) fn key_set(&self) -> Option<&Arc<KeySet>> {
        self.fetched.as_ref()
    }

    /// Counts a bearer that was refused, and logs it now and then.
    pub(super) fn note(&self, refused: Refused) {
        self.refusals.note(refused);
    }

    /// The user of a bearer that was found valid a moment ago. Costs a hash.
    pub(crate) fn known(&self, token: &str) -> Option<UserId> {
        self.known.find(&Fingerprint::of(token), self.generation(), get_current_timestamp())
    }

    /// The user of a bearer, by the keys that are here. Never waits.
    ///
    /// # Errors
    /// Why it is not trusted; with [`Refused::UnknownKey`] it may be worth to [`Self::wait`].
    pub(crate) fn check(&self, token: &str) -> Result<UserId, Refused> {
        let bearer = Fingerprint::of(token);
        let generation = self.generation();
        if let Some(user) = self.known.find(&bearer, generation, get_current_timestamp()) {
            return Ok(user);
        }
        // With the generation from before: if the keys change meanwhile, the bearer is checked once more.
        let trusted = self.try_keys(token, &Head::read(token)?)?;
        let valid_until = trusted.expires.saturating_add(LEEWAY_SECONDS);
        self.known.remember(&bearer, trusted.user.clone(), valid_until, generation);
        Ok(trusted.user)
    }

    /// What [`Self::check`] finds once the keys have been fetched, if it did not know the bearer's key id. Waits 6 s at
    /// most, and only for a bearer with an unknown key id.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) async fn wait(&self, token: &str, mut checked: Result<UserId, Refused>) -> Result<UserId, Refused> {
        let (Err(Refused::UnknownKey), Some(fetched)) = (&checked, &self.fetched) else { return checked };
        let asked = fetched.flight();
        // A fetch may have ended since the first look.
        checked = self.check(token);
        let waiting = async {
            while matches!(checked, Err(Refused::UnknownKey)) && fetched.newer(asked).await {
                checked = self.check(token);
            }
        };
        let _ = tokio::time::timeout(WAIT_MAX, waiting).await;
        checked
    }

    /// Which keys are trusted: another number if they have changed.
    fn generation(&self) -> u64 {
        match &self.fetched {
            None => 0,
            Some(fetched) => fetched.current().map_or(0, |fetched| fetched.generation),
        }
    }

    fn try_keys(&self, token: &str, head: &Head) -> Result<Trusted, Refused> {
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

    fn decode(&self, token: &str, key: &Key) -> Result<Trusted, Refused> {
        let rules = self.rules.iter().find(|rules| rules.algorithms.contains(&key.algorithm));
        let rules = rules.ok_or(Refused::Algorithm)?;
        match jsonwebtoken::decode::<Claims>(token, &key.decoding, rules) {
            Ok(decoded) => decoded.claims.trusted(),
            Err(error) => Err(reason(error.kind())),
        }
    }
}

/// What the library found wrong. It looks at the claims only once the signature is right.
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
