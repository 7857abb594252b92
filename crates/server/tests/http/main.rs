//! HTTP in general: hosts and origins, codings and media types, caches, malformed bytes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod caching;
mod coding;
mod cors;
#[path = "../bad_input/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests of bad input")]
mod fixture;
mod hosts;
mod malformed;
mod metrics;
mod proxies;
mod public_url;
#[path = "../support/mod.rs"]
mod support;

use jsonwebtoken::{EncodingKey, Header};
use onsale_testing::now_millis;
use serde_json::json;

const SECRET: &str = "a-secret-for-tests-only-of-32-bytes-and-more";

/// The settings of servers that need bearers.
const JWT: [(&str, &str); 2] = [("ONSALE_AUTH", "jwt"), ("ONSALE_JWT_SECRET", SECRET)];

/// A bearer that names this user.
fn bearer(user: &str) -> String {
    let claims = json!({"sub": user, "exp": now_millis() / 1000 + 3_600});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}
