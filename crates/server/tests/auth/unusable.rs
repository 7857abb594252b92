//! Keys that no bearer could be checked with: the server says so and does not start.

use onsale_testing::Launch;

use crate::keys::{EC_PUBLIC, RSA_PUBLIC};
use crate::other_keys::UNUSABLE;
use crate::support::ONSALE;

/// Starts a server with this value, which must not start. Returns what it says.
async fn refused(name: &str, value: &str) -> String {
    let run = Launch::new(ONSALE).set("ONSALE_AUTH", "jwt").set(name, value).run(&["serve"]).await;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{value}: {said}");
    assert!(said.contains(name) && run.stdout.is_empty(), "{value}: {said}");
    said
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_named_at_the_start() {
    for (key, called) in UNUSABLE {
        let said = refused("ONSALE_JWT_PUBLIC_KEY", key).await;
        assert!(said.contains(called), "{called}: {said}");
        let body = key.lines().nth(1).unwrap();
        assert!(!said.contains(body), "the key is not shown: {said}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_named_among_others() {
    for (key, called) in UNUSABLE {
        let said = refused("ONSALE_JWT_PUBLIC_KEY", &format!("{RSA_PUBLIC}{EC_PUBLIC}{key}")).await;
        assert!(said.contains(called) || said.contains("PEM"), "{called}: {said}");
    }
    let nine = RSA_PUBLIC.repeat(9);
    assert!(refused("ONSALE_JWT_PUBLIC_KEY", &nine).await.contains("8 at most"));
    refused("ONSALE_JWT_PUBLIC_KEY", "not a key").await;
}

#[tokio::test]
async fn secrets_and_addresses_that_cannot_be_used_are_named() {
    let one = "a-secret-of-thirty-two-characters";
    refused("ONSALE_JWT_SECRET", ", ,").await;
    refused("ONSALE_JWT_SECRET", &[one; 9].join(",")).await;
    for url in ["keys.json", "ftp://127.0.0.1/keys", "http://"] {
        refused("ONSALE_JWKS_URL", url).await;
    }
}
