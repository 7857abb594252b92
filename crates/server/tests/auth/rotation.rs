//! Several keys at once: a rotation, while clients hold bearers of the old and of the new key.

use jsonwebtoken::{Algorithm, EncodingKey};
use onsale_testing::Sale;
use serde_json::json;

use crate::keys::{EC_PRIVATE, EC_PUBLIC, RSA_PRIVATE, RSA_PUBLIC};
use crate::other_keys::{SECOND_EC_PRIVATE, SECOND_EC_PUBLIC};
use crate::support::{ONSALE, start, text};
use crate::{SECRET, bearer, claims, signed};

const SECOND_SECRET: &str = "a-second-secret-for-tests-of-32-bytes-and-more";

fn by_secret(secret: &str) -> String {
    signed(Algorithm::HS256, &EncodingKey::from_secret(secret.as_bytes()), &claims("ada"))
}

fn by_rsa() -> String {
    signed(Algorithm::RS256, &EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap(), &claims("ada"))
}

fn by_ec(private: &str) -> String {
    signed(Algorithm::ES256, &EncodingKey::from_ec_pem(private.as_bytes()).unwrap(), &claims("ada"))
}

async fn are_believed(sale: &Sale, bearers: &[String]) {
    for bearer in bearers {
        sale.caller.get("/point/ada").bearer(bearer).expect(200).await;
    }
}

#[tokio::test]
async fn every_public_key_of_a_file_is_trusted() {
    let pems = format!("{RSA_PUBLIC}# the next key\n{EC_PUBLIC}\n{SECOND_EC_PUBLIC}");
    let launch = Sale::launch(ONSALE).set("ONSALE_AUTH", "jwt").set("ONSALE_JWT_PUBLIC_KEY", "keys.pem");
    std::fs::write(launch.folder().join("keys.pem"), &pems).unwrap();
    for sale in [Sale::start(&launch).await, start(&[("ONSALE_AUTH", "jwt"), ("ONSALE_JWT_PUBLIC_KEY", &pems)]).await] {
        are_believed(&sale, &[by_rsa(), by_ec(EC_PRIVATE), by_ec(SECOND_EC_PRIVATE)]).await;
        sale.caller.get("/point/ada").bearer(&bearer("ada")).refused(401, "authentication-required").await;
    }
}

#[tokio::test]
async fn public_keys_may_be_in_several_files() {
    let launch = Sale::launch(ONSALE).set("ONSALE_AUTH", "jwt").set("ONSALE_JWT_PUBLIC_KEY", "one.pem, two.pem");
    std::fs::write(launch.folder().join("one.pem"), EC_PUBLIC).unwrap();
    std::fs::write(launch.folder().join("two.pem"), RSA_PUBLIC).unwrap();
    let sale = Sale::start(&launch).await;
    are_believed(&sale, &[by_ec(EC_PRIVATE), by_rsa()]).await;
}

#[tokio::test]
async fn every_secret_is_trusted_also_together_with_public_keys() {
    let secrets = format!("{SECRET}, {SECOND_SECRET}");
    let keys = [("ONSALE_AUTH", "jwt"), ("ONSALE_JWT_SECRET", secrets.as_str()), ("ONSALE_JWT_PUBLIC_KEY", RSA_PUBLIC)];
    let sale = start(&keys).await;
    are_believed(&sale, &[by_secret(SECRET), by_secret(SECOND_SECRET), by_rsa()]).await;
    // Neither the public key nor the whole text of the setting is a secret.
    for forged in [RSA_PUBLIC, secrets.as_str()] {
        let call = sale.caller.get("/point/ada").bearer(&by_secret(forged));
        call.refused(401, "authentication-required").await;
    }
    let launch = Sale::launch(ONSALE).set("ONSALE_AUTH", "jwt").set("ONSALE_JWT_SECRET_FILE", "secrets");
    std::fs::write(launch.folder().join("secrets"), format!("{SECRET}\n{SECOND_SECRET}\n")).unwrap();
    are_believed(&Sale::start(&launch).await, &[by_secret(SECRET), by_secret(SECOND_SECRET)]).await;
}

#[tokio::test]
async fn a_part_of_a_secret_with_a_comma_is_not_a_secret() {
    let secret = "p4ssw0rd,and-a-long-rest-of-the-same-secret";
    let sale = start(&[("ONSALE_AUTH", "jwt"), ("ONSALE_JWT_SECRET", secret)]).await;
    are_believed(&sale, &[by_secret(secret)]).await;
    for part in secret.split(',') {
        let call = sale.caller.get("/point/ada").bearer(&by_secret(part));
        call.refused(401, "authentication-required").await;
    }
}

#[tokio::test]
async fn a_previous_secret_of_bearers_is_trusted() {
    let previous = ("ONSALE_JWT_SECRET_PREVIOUS", SECOND_SECRET);
    let sale = start(&[("ONSALE_AUTH", "jwt"), ("ONSALE_JWT_SECRET", SECRET), previous]).await;
    are_believed(&sale, &[by_secret(SECRET), by_secret(SECOND_SECRET)]).await;
    // Also next to keys of another kind, for a change from a secret to them.
    let sale = start(&[("ONSALE_AUTH", "jwt"), ("ONSALE_JWT_PUBLIC_KEY", RSA_PUBLIC), previous]).await;
    are_believed(&sale, &[by_rsa(), by_secret(SECOND_SECRET)]).await;
    sale.caller.get("/point/ada").bearer(&by_secret(SECRET)).refused(401, "authentication-required").await;
}

#[tokio::test]
async fn a_previous_admin_key_opens_the_same_calls() {
    let launch = Sale::launch(ONSALE).set("ONSALE_ADMIN_KEY_PREVIOUS", "the-former-admin-key-of-tests");
    let sale = Sale::start(&launch).await;
    for key in [onsale_testing::ADMIN_KEY, "the-former-admin-key-of-tests"] {
        sale.caller.get("/admin/keys").bearer(key).expect(200).await;
    }
    let make = |key: &str| {
        let body = json!({"title": "Once", "startsAt": "2090-01-01T10:00:00Z"});
        sale.caller.post("/admin/lectures").json(&body).bearer(key).key("once")
    };
    // Both are root: an answer that one of them got is given to the other.
    let first = make("the-former-admin-key-of-tests").expect(201).await;
    let again = make(onsale_testing::ADMIN_KEY).send().await;
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (first, Some("true")));
    let log = sale.admin(sale.caller.get("/admin/log")).expect(200).await;
    assert_eq!(log[0]["actor"], json!({"keyId": null, "name": "root"}));
    sale.caller.get("/admin/keys").bearer("the-former-admin-key-of-test").refused(401, "admin-key-invalid").await;
}

#[tokio::test]
async fn queue_tokens_of_the_previous_secret_are_valid() {
    let (one, other) = ("a-first-secret-of-32-bytes-or-more", "a-second-secret-of-32-bytes-or-more");
    let launch = Sale::launch(ONSALE).set("ONSALE_TOKEN_SECRET", one);
    let sale = Sale::start(&launch).await;
    let concert = sale.concert(&json!({"maxActive": 10, "admitPerSecond": 10})).await;
    let token = text(&sale.enter(&concert, "ada").await["token"]);
    assert!(sale.instance.terminate().await.success());

    let launch = launch.set("ONSALE_TOKEN_SECRET", other).set("ONSALE_TOKEN_SECRET_PREVIOUS", one);
    let sale = Sale::start(&launch).await;
    sale.caller.get("/queue/token").token(&token).expect(200).await;
    // The same place, signed with the new secret.
    let renewed = sale.enter(&concert, "ada").await;
    assert_ne!(renewed["token"], token.as_str());
    let renewed = text(&renewed["token"]);
    assert!(sale.instance.terminate().await.success());

    let sale = Sale::start(&launch.set("ONSALE_TOKEN_SECRET_PREVIOUS", "")).await;
    sale.caller.get("/queue/token").token(&renewed).expect(200).await;
    sale.caller.get("/queue/token").token(&token).refused(401, "queue-token-invalid").await;
}
