//! Who calls: bearers of JWTs, and administrators.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use onsale_domain::ids::UserId;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::settings::{Auth, JwtKey, Secret};

/// How far another clock may be off.
const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// The algorithm and key of a PEM: RS256 for RSA, ES256 for P-256.
pub(crate) fn public_key(pem: &str) -> Option<(Algorithm, DecodingKey)> {
    let rsa = DecodingKey::from_rsa_pem(pem.as_bytes()).map(|key| (Algorithm::RS256, key));
    rsa.or_else(|_| DecodingKey::from_ec_pem(pem.as_bytes()).map(|key| (Algorithm::ES256, key))).ok()
}

/// Checks bearers.
pub(crate) enum Bearers {
    /// Nobody is asked.
    Open,
    /// Signatures of one algorithm and one key.
    Jwt { key: Box<DecodingKey>, validation: Box<Validation> },
}

#[derive(Deserialize, Clone)]
struct Claims {
    sub: String,
}

impl Bearers {
    pub(crate) fn new(auth: &Auth) -> Option<Self> {
        let (algorithm, key) = match auth {
            Auth::Open => return Some(Self::Open),
            Auth::Jwt(JwtKey::Secret(secret)) => {
                (Algorithm::HS256, DecodingKey::from_secret(secret.expose().as_bytes()))
            }
            Auth::Jwt(JwtKey::Public(pem)) => public_key(pem)?,
        };
        let mut validation = Validation::new(algorithm);
        validation.leeway = CLOCK_SKEW.as_secs();
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Some(Self::Jwt { key: Box::new(key), validation: Box::new(validation) })
    }

    /// Whom a bearer may act for: `Ok(None)` for everyone.
    ///
    /// # Errors
    /// Where the bearer is missing, or is not one that we trust.
    pub(crate) fn user_of(&self, bearer: Option<&str>) -> Result<Option<UserId>, NotAuthenticated> {
        let Self::Jwt { key, validation } = self else { return Ok(None) };
        let token = bearer.ok_or(NotAuthenticated)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, validation).map_err(|_| NotAuthenticated)?.claims;
        UserId::parse(&claims.sub).map(Some).ok_or(NotAuthenticated)
    }
}

/// There is no bearer that we trust.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotAuthenticated;

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
