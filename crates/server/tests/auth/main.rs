//! Who may act as which user: bearers with `ONSALE_AUTH=jwt`, and keys of staff.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod accounts;
mod admin;
mod bearers;
mod jwks;
mod keys;
mod other_keys;
mod reasons;
mod rotation;
mod sign_in;
mod staff;
#[path = "../support/mod.rs"]
mod support;
mod unusable;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onsale_testing::now_millis;
use serde_json::{Value, json};

/// The secret of HS256 bearers.
const SECRET: &str = "a-secret-for-tests-only-of-32-bytes-and-more";

/// The settings of servers that trust bearers of this secret.
const BY_SECRET: [(&str, &str); 2] = [("ONSALE_AUTH", "jwt"), ("ONSALE_JWT_SECRET", SECRET)];

/// A bearer with these claims.
fn signed(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, key).unwrap()
}

/// Claims of a user for the next hour.
fn claims(user: &str) -> Value {
    json!({"sub": user, "exp": now_millis() / 1000 + 3_600})
}

/// A bearer of a user, signed with the secret.
fn bearer(user: &str) -> String {
    signed(Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes()), &claims(user))
}
