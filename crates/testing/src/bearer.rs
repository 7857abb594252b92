//! Bearers of users: JWTs, as the system signs them that logs buyers in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde_json::json;
use sha2::Sha256;

use crate::instant::now_millis;

/// A bearer of a user (HS256), valid for this many seconds from now on.
pub fn bearer(secret: &str, user: &str, valid_seconds: i64) -> String {
    let claims = json!({"sub": user, "exp": now_millis() / 1_000 + valid_seconds});
    let [header, claims] =
        [json!({"alg": "HS256", "typ": "JWT"}), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a secret of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_has_three_parts_and_its_signature_depends_on_the_secret() {
        let [one, other] = ["one", "other"].map(|secret| bearer(secret, "ada \"x\"", 60));
        let parts: Vec<&str> = one.split('.').collect();
        assert_eq!(parts[0], "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
        let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(claims["sub"], "ada \"x\"");
        assert!(claims["exp"].as_i64().unwrap() > now_millis() / 1_000);
        assert_eq!((parts.len(), URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len()), (3, 32));
        assert_ne!(one.rsplit('.').next(), other.rsplit('.').next());
    }
}
