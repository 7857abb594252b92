//! Who calls: bearers of JWTs, and administrators.

mod jwks;
mod keys;
mod known;
mod refused;
mod verify;

use onsale_domain::ids::UserId;
use prometheus_client::registry::Registry;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::settings::{Auth, Secret};

pub(crate) use jwks::{JwksUrl, KeySet};
pub(crate) use keys::{Key, public_keys};
pub(crate) use refused::Refused;
pub(crate) use verify::Verifier;

/// What the keys that are here say of the bearer of a request.
#[derive(Clone, Debug)]
pub(crate) struct Checked(pub(crate) Result<UserId, Refused>);

/// Checks bearers.
pub(crate) enum Bearers {
    /// No bearer is needed.
    Open,
    /// Bearers are JWTs signed with a trusted key.
    Jwt(Box<Verifier>),
}

impl Bearers {
    /// Prepares the keys. Those of a URL are fetched by [`KeySet::fetch`].
    ///
    /// # Errors
    /// Why no HTTP client can be made.
    pub(crate) fn new(auth: &Auth) -> Result<Self, String> {
        match auth {
            Auth::Open => Ok(Self::Open),
            Auth::Jwt(settings) => Verifier::new(settings).map(|verifier| Self::Jwt(Box::new(verifier))),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        if let Self::Jwt(verifier) = self {
            verifier.register(registry);
        }
    }

    /// The keys that come from a URL, if any do.
    pub(crate) fn key_set(&self) -> Option<&std::sync::Arc<KeySet>> {
        match self {
            Self::Open => None,
            Self::Jwt(verifier) => verifier.key_set(),
        }
    }

    /// The user for whom a bearer may act; `Ok(None)` if it may act for every user. `checked` is what was found before, if
    /// it was looked for. Waits for keys, 6 s at most, if the bearer has an unknown key id.
    ///
    /// # Errors
    /// Why the bearer is not trusted; [`Refused::Missing`] if there is none.
    pub(crate) async fn user_of(
        &self,
        offered: Result<Option<&str>, Refused>,
        checked: Option<Checked>,
    ) -> Result<Option<UserId>, Refused> {
        let Self::Jwt(verifier) = self else { return Ok(None) };
        let token = offered?.ok_or(Refused::Missing)?;
        let checked = checked.map_or_else(|| verifier.check(token), |Checked(checked)| checked);
        let checked = verifier.wait(token, checked).await;
        checked.map(Some).inspect_err(|refused| verifier.note(*refused))
    }
}

/// The key of the admin calls, kept as its hash: comparing hashes takes the same time for every wrong key.
pub(crate) struct AdminKey([u8; 32]);

impl AdminKey {
    pub(crate) fn new(key: &Secret) -> Self {
        Self(Sha256::digest(key.expose()).into())
    }

    pub(crate) fn opens_for(&self, bearer: &str) -> bool {
        let offered: [u8; 32] = Sha256::digest(bearer).into();
        offered.ct_eq(&self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::JwtSettings;

    #[tokio::test]
    async fn what_was_found_before_is_not_looked_for_again() {
        let settings = JwtSettings {
            secrets: vec![Secret::new("a secret for tests that is long enough")],
            public_keys: Vec::new(),
            jwks: None,
            issuer: None,
            audience: None,
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
