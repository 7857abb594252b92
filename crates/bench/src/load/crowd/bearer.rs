//! Bearers: JWTs that this program signs, as the organiser's own login would.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use onsale_testing::now_millis;
use sha2::Sha256;

/// The secret of all servers that this suite starts.
pub(crate) const SECRET: &str = "a-secret-of-32-bytes-or-more-for-load-tests-only";

/// Lifetime of a bearer, in seconds: longer than every run.
const LIFETIME_SECONDS: i64 = 86_400;

/// A bearer of this user (HS256).
pub(crate) fn bearer(user: &str) -> String {
    let expires_at = now_millis() / 1_000 + LIFETIME_SECONDS;
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"sub":"{user}","exp":{expires_at}}}"#);
    let signed = format!("{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims));
    // A key of any length is valid for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else { return signed };
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
