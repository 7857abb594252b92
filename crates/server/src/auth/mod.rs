//! Authentication: bearers (JWTs) and sessions of users, and keys of staff.

mod config;
mod fetch;
mod jwks;
mod keys;
mod known;
mod provider;
mod refused;
mod session;
mod sign_in;
mod signed;
mod staff;
mod subject;
mod user_session;
mod verify;

use onsale_domain::ids::UserId;
use prometheus_client::registry::Registry;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::secret::Secret;

pub(crate) use config::{Auth, JwtSettings, ProviderSettings};
pub(crate) use fetch::is_loopback;
pub(crate) use jwks::{JwksUrl, KeySet};
pub(crate) use keys::{Key, public_keys};
pub(crate) use provider::Failed;
pub(crate) use refused::Refused;
pub(crate) use session::SessionSecret;
pub(crate) use sign_in::{Answer, SIGN_IN_SECONDS, SignIns};
pub(crate) use staff::{Member, NewKey, SignedIn, Staff};
pub(crate) use user_session::UserSession;
pub(crate) use verify::Verifier;

/// The result of [`Verifier::check`] for the bearer of a request, kept so that later layers need not check it again.
#[derive(Clone, Debug)]
pub(crate) struct Checked(pub(crate) Result<UserId, Refused>);

/// Checks bearers, if the settings require them.
pub(crate) enum Bearers {
    /// No call needs a bearer.
    Open,
    /// Bearers are JWTs signed with a trusted key.
    Jwt(Box<Verifier>),
}

impl Bearers {
    /// Prepares the keys of the settings. [`KeySet::fetch`] fetches those of a URL.
    ///
    /// # Errors
    /// The reason, if the HTTP client for the JWK Set cannot be created.
    pub(crate) fn new(auth: &Auth) -> Result<Self, String> {
        match auth {
            Auth::Open => Ok(Self::Open),
            Auth::Jwt(settings) => Verifier::new(settings).map(|verifier| Self::Jwt(Box::new(verifier))),
        }
    }

    /// Registers the metrics of bearers.
    pub(crate) fn register(&self, registry: &mut Registry) {
        if let Self::Jwt(verifier) = self {
            verifier.register(registry);
        }
    }

    /// The JWK Set, if the settings name one.
    pub(crate) fn key_set(&self) -> Option<&std::sync::Arc<KeySet>> {
        match self {
            Self::Open => None,
            Self::Jwt(verifier) => verifier.key_set(),
        }
    }

    /// Returns the user for whom a client may act; `Ok(None)` if it may act for every user. `checked` is the earlier result of
    /// [`Verifier::check`], if there is one. If the bearer has an unknown key id, this waits for a fetch of the JWK Set, 6 s at
    /// most. The caller counts a refusal by [`Self::note`], unless it knows the bearer otherwise.
    ///
    /// # Errors
    /// The reason why the bearer is not trusted; [`Refused::Missing`] if there is none.
    pub(crate) async fn user_of(
        &self,
        offered: Result<Option<&str>, Refused>,
        checked: Option<Checked>,
    ) -> Result<Option<UserId>, Refused> {
        let Self::Jwt(verifier) = self else { return Ok(None) };
        let token = offered?.ok_or(Refused::Missing)?;
        let checked = checked.map_or_else(|| verifier.check(token), |Checked(checked)| checked);
        verifier.wait(token, checked).await.map(Some)
    }

    /// Counts a bearer that was refused. Not for a request without one bearer.
    pub(crate) fn note(&self, refused: Refused) {
        if let Self::Jwt(verifier) = self {
            verifier.note(refused);
        }
    }
}

/// The key of the admin calls, as its SHA-256. Hashes have one length, so a comparison in constant time does not even reveal
/// the length of the key.
pub(crate) struct AdminKey([u8; 32]);

impl AdminKey {
    /// Keeps the hash of a key.
    pub(crate) fn new(key: &Secret) -> Self {
        Self(Sha256::digest(key.expose()).into())
    }

    /// Returns whether a bearer is the key, in constant time.
    pub(crate) fn opens_for(&self, bearer: &str) -> bool {
        let offered: [u8; 32] = Sha256::digest(bearer).into();
        offered.ct_eq(&self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bearer_that_was_checked_before_is_not_checked_again() {
        let settings = JwtSettings {
            secrets: vec![Secret::new("a secret for tests that is long enough")],
            public_keys: Vec::new(),
            jwks: None,
            issuer: None,
            audience: None,
            provider: None,
        };
        let bearers = Bearers::new(&Auth::Jwt(Box::new(settings))).unwrap();
        let ada = UserId::parse("ada").unwrap();
        let bearer = Ok(Some("no JWT"));
        assert_eq!(bearers.user_of(bearer, None).await, Err(Refused::Malformed));
        assert_eq!(bearers.user_of(bearer, Some(Checked(Ok(ada.clone())))).await, Ok(Some(ada)));
        let expired = Checked(Err(Refused::Expired));
        assert_eq!(bearers.user_of(bearer, Some(expired)).await, Err(Refused::Expired));
    }
}
