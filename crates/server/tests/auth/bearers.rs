//! Which bearers are trusted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use onsale_testing::{Sale, now_millis};
use serde_json::{Value, json};

use crate::keys::{EC_PRIVATE, EC_PUBLIC, RSA_PRIVATE, RSA_PUBLIC};
use crate::support::{ONSALE, start};
use crate::{BY_SECRET, SECRET, bearer, claims, signed};

/// Another secret of the same length.
const OTHER: &str = "another-secret-of-32-bytes-and-more-for-tests";

async fn is_believed(sale: &Sale, bearer: &str) {
    let wallet = sale.caller.get("/point/ada").bearer(bearer).expect(200).await;
    assert_eq!(wallet["userId"], "ada");
}

async fn is_not_believed(sale: &Sale, what: &str, bearer: &str) {
    let reply = sale.caller.get("/point/ada").bearer(bearer).send().await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "authentication-required"), "{what}");
}

/// A bearer with any header, and with an empty or invalid signature.
fn unsigned(head: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(head), part(&claims("ada")))
}

/// Bearers that no key may verify.
async fn forgeries_are_not_believed(sale: &Sale) {
    for algorithm in ["none", "None", "NONE", "HS256", "RS256", "ES256", "HS512", ""] {
        for signature in ["", "AAAA", &"A".repeat(86)] {
            let forged = unsigned(&json!({"alg": algorithm, "typ": "JWT"}), signature);
            is_not_believed(sale, &format!("{algorithm} with {signature:?}"), &forged).await;
        }
    }
    is_not_believed(sale, "no algorithm", &unsigned(&json!({"typ": "JWT"}), "")).await;
    for nonsense in ["", "x", "a.b.c", "..", "ada", &"e".repeat(8_000)] {
        is_not_believed(sale, nonsense, nonsense).await;
    }
    sale.caller.get("/point/ada").refused(401, "authentication-required").await;
    for header in ["Basic YWRhOmFkYQ==", "Bearer", "bearer", ""] {
        let call = sale.caller.get("/point/ada").header("authorization", header);
        call.refused(401, "authentication-required").await;
    }
}

#[tokio::test]
async fn a_bearer_signed_with_the_secret_is_trusted() {
    let sale = start(&BY_SECRET).await;
    is_believed(&sale, &bearer("ada")).await;
    let (good, other) = (EncodingKey::from_secret(SECRET.as_bytes()), EncodingKey::from_secret(OTHER.as_bytes()));
    is_not_believed(&sale, "another secret", &signed(Algorithm::HS256, &other, &claims("ada"))).await;
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        is_not_believed(&sale, "another algorithm", &signed(algorithm, &good, &claims("ada"))).await;
    }
    let rsa = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    is_not_believed(&sale, "a key of another kind", &signed(Algorithm::RS256, &rsa, &claims("ada"))).await;
    forgeries_are_not_believed(&sale).await;

    let mut parts: Vec<String> = bearer("ada").split('.').map(str::to_owned).collect();
    parts[1] = URL_SAFE_NO_PAD.encode(claims("eve").to_string());
    let call = sale.caller.get("/point/eve").bearer(&parts.join("."));
    call.refused(401, "authentication-required").await;
}

#[tokio::test]
async fn a_bearer_signed_with_an_rsa_key_is_trusted() {
    let sale = start(&[("ONSALE_AUTH", "jwt"), ("ONSALE_JWT_PUBLIC_KEY", RSA_PUBLIC)]).await;
    let rsa = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    is_believed(&sale, &signed(Algorithm::RS256, &rsa, &claims("ada"))).await;
    let ec = EncodingKey::from_ec_pem(EC_PRIVATE.as_bytes()).unwrap();
    is_not_believed(&sale, "a key of another kind", &signed(Algorithm::ES256, &ec, &claims("ada"))).await;
    public_keys_are_no_secrets(&sale, RSA_PUBLIC).await;
    forgeries_are_not_believed(&sale).await;
}

#[tokio::test]
async fn a_bearer_signed_with_a_p256_key_is_trusted() {
    // The key may be named by its file.
    let launch = Sale::launch(ONSALE).set("ONSALE_AUTH", "jwt").set("ONSALE_JWT_PUBLIC_KEY", "key.pem");
    std::fs::write(launch.folder().join("key.pem"), EC_PUBLIC).unwrap();
    let sale = Sale::start(&launch).await;
    let ec = EncodingKey::from_ec_pem(EC_PRIVATE.as_bytes()).unwrap();
    is_believed(&sale, &signed(Algorithm::ES256, &ec, &claims("ada"))).await;
    let rsa = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    is_not_believed(&sale, "a key of another kind", &signed(Algorithm::RS256, &rsa, &claims("ada"))).await;
    public_keys_are_no_secrets(&sale, EC_PUBLIC).await;
    forgeries_are_not_believed(&sale).await;
}

/// A bearer signed with the public key as an HS256 secret is refused: the server chooses the algorithm, not the bearer.
async fn public_keys_are_no_secrets(sale: &Sale, public: &str) {
    for secret in [public, public.trim_end(), &public.replace('\n', "")] {
        let key = EncodingKey::from_secret(secret.as_bytes());
        is_not_believed(sale, "signed with the public key", &signed(Algorithm::HS256, &key, &claims("ada"))).await;
    }
}

#[tokio::test]
async fn a_bearer_is_valid_between_nbf_and_exp() {
    let sale = start(&BY_SECRET).await;
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let with = |claims: Value| signed(Algorithm::HS256, &key, &claims);
    let now = now_millis() / 1000;
    is_not_believed(&sale, "expired long ago", &with(json!({"sub": "ada", "exp": now - 3_600}))).await;
    is_not_believed(&sale, "expired a minute ago", &with(json!({"sub": "ada", "exp": now - 60}))).await;
    is_believed(&sale, &with(json!({"sub": "ada", "exp": now_millis() / 1000 - 5}))).await;
    is_not_believed(&sale, "without an end", &with(json!({"sub": "ada"}))).await;
    for end in [json!(null), json!("tomorrow"), json!(0), json!(-1), json!({})] {
        is_not_believed(&sale, &format!("until {end}"), &with(json!({"sub": "ada", "exp": end}))).await;
    }
    let early = json!({"sub": "ada", "exp": now + 7_200, "nbf": now + 3_600});
    is_not_believed(&sale, "not yet", &with(early)).await;
    let soon = json!({"sub": "ada", "exp": now + 7_200, "nbf": now_millis() / 1000 + 5, "iat": now + 5, "aud": "any"});
    is_believed(&sale, &with(soon)).await;
}

#[tokio::test]
async fn a_bearer_without_a_valid_user_id_is_refused() {
    let sale = start(&BY_SECRET).await;
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let end = now_millis() / 1000 + 3_600;
    is_not_believed(&sale, "without a user", &signed(Algorithm::HS256, &key, &json!({"exp": end}))).await;
    for user in [json!(null), json!(42), json!(["ada"]), json!("")] {
        let bearer = signed(Algorithm::HS256, &key, &json!({"sub": user, "exp": end}));
        is_not_believed(&sale, &format!("of {user}"), &bearer).await;
    }
}

#[tokio::test]
async fn the_scheme_of_the_header_is_read_in_any_case() {
    let sale = start(&BY_SECRET).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme} {}", bearer("ada"));
        sale.caller.get("/point/ada").header("authorization", &header).expect(200).await;
    }
}
