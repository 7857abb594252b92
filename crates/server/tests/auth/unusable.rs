//! Keys that cannot be used: the server names them and does not start.

use onsale_testing::Launch;

use crate::keys::{EC_PUBLIC, RSA_PUBLIC};
use crate::other_keys::UNUSABLE;
use crate::support::ONSALE;

/// Starts a server with this value, which must fail. Returns its error.
async fn refused(name: &str, value: &str) -> String {
    let run = Launch::new(ONSALE).set("ONSALE_AUTH", "jwt").set(name, value).run(&["serve"]).await;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{value}: {said}");
    assert!(said.contains(name) && run.stdout.is_empty(), "{value}: {said}");
    said
}

#[tokio::test]
async fn an_unusable_key_ends_the_start_with_its_kind() {
    for (key, called) in UNUSABLE {
        let said = refused("ONSALE_JWT_PUBLIC_KEY", key).await;
        assert!(said.contains(called), "{called}: {said}");
        let body = key.lines().nth(1).unwrap();
        assert!(!said.contains(body), "the key is not shown: {said}");
    }
}

#[tokio::test]
async fn an_unusable_key_among_others_is_named_by_its_position() {
    for (key, called) in UNUSABLE {
        let said = refused("ONSALE_JWT_PUBLIC_KEY", &format!("{RSA_PUBLIC}{EC_PUBLIC}{key}")).await;
        assert!(said.contains(called) || said.contains("PEM"), "{called}: {said}");
    }
    let nine = RSA_PUBLIC.repeat(9);
    assert!(refused("ONSALE_JWT_PUBLIC_KEY", &nine).await.contains("more than 8"));
    refused("ONSALE_JWT_PUBLIC_KEY", "not a key").await;
}

#[tokio::test]
async fn unusable_secrets_and_urls_end_the_start() {
    let one = "a-secret-of-thirty-two-characters";
    refused("ONSALE_JWT_SECRET", ", ,").await;
    refused("ONSALE_JWT_SECRET", &[one; 9].join(",")).await;
    for url in ["keys.json", "ftp://127.0.0.1/keys", "http://"] {
        refused("ONSALE_JWKS_URL", url).await;
    }
}
