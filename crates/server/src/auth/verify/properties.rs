//! Property tests: any text is either a trusted bearer or refused with a reason.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Refused, Verifier};
use crate::auth::JwtSettings;
use crate::auth::subject::user_of;
use crate::secret::Secret;

const SECRET: &str = "a secret for tests that is long enough";

fn check(token: &str) -> Result<String, Refused> {
    let settings = JwtSettings {
        secrets: vec![Secret::new(SECRET)],
        public_keys: Vec::new(),
        jwks: None,
        issuer: None,
        audience: None,
        provider: None,
    };
    let verifier = Verifier::new(&settings).unwrap_or_else(|problem| unreachable!("{problem}"));
    verifier.check(token).map(|user| user.to_string())
}

fn signed(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap_or_else(|error| unreachable!("{error}"))
}

proptest! {
    #![proptest_config(crate::properties::cases(100))]

    #[test]
    fn text_that_no_key_signed_is_refused(text in prop_oneof![any::<String>(), "[A-Za-z0-9_-]{0,80}[.][A-Za-z0-9_-]{0,80}[.][A-Za-z0-9_-]{0,50}", "eyJhbGciOiJIUzI1NiJ9[.][A-Za-z0-9_-]{0,80}[.][A-Za-z0-9_-]{43}"]) {
        prop_assert!(check(&text).is_err());
    }

    #[test]
    fn a_signed_bearer_acts_for_its_user_and_a_changed_one_is_refused(sub in prop_oneof!["[A-Za-z0-9_-]{1,64}", any::<String>()], left in 1..1_000_000_u64, flip in any::<prop::sample::Index>()) {
        let claims = json!({"sub": sub, "exp": get_current_timestamp() + left});
        let token = signed(&claims, SECRET);
        prop_assert_eq!(check(&token), user_of("", &sub).map(|user| user.to_string()));
        prop_assert!(check(&signed(&claims, "another secret that is long enough, too")).is_err());
        let mut touched = token.clone().into_bytes();
        // The last character of each part carries bits that base64 does not use.
        let at = flip.index(touched.len() - 1);
        touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
        let touched = String::from_utf8(touched).unwrap_or_default();
        prop_assert!(touched == token || check(&touched).is_err(), "{touched}");
    }

    #[test]
    fn a_bearer_with_any_claims_is_refused_or_acts_for_its_sub(claims in prop_oneof![
        (any::<Option<i64>>(), any::<Option<f32>>()).prop_map(|(sub, exp)| json!({"sub": sub, "exp": exp})),
        any::<(String, String)>().prop_map(|(sub, exp)| json!({"sub": sub, "exp": exp})),
        any::<i64>().prop_map(|exp| json!({"sub": ["a"], "exp": exp, "nbf": exp})),
        any::<i64>().prop_map(|exp| json!([exp])),
    ]) {
        if let Ok(user) = check(&signed(&claims, SECRET)) {
            let sub = claims["sub"].as_str().unwrap_or_default();
            prop_assert_eq!(Ok(user), user_of("", sub).map(|user| user.to_string()));
        }
    }
}
