//! Answers of a provider that sign no user in.

use axum::http::StatusCode;
use onsale_testing::{Reply, now_millis};
use serde_json::json;

use super::provider::{Browser, CLIENT, PUBLIC};
use super::{scene, signed_in, user_of};
use crate::keys::EC_PRIVATE;
use crate::other_keys::SECOND_EC_PRIVATE;
use crate::support::{logged, until};

/// That the browser was sent to the words for a failed sign-in, without a session.
#[track_caller]
fn assert_failed(back: &Reply, word: &str, why: &str) {
    let found = (back.status.as_u16(), back.header("location"));
    assert_eq!(found, (303, Some(format!("{PUBLIC}/#/sign-in/{word}").as_str())), "{why}");
    let mut set = back.headers.get_all("set-cookie").iter();
    assert!(set.all(|cookie| cookie.to_str().unwrap().starts_with("onsale_sign_in=;")), "{why}: {back:?}");
}

#[tokio::test]
async fn an_answer_to_another_sign_in_is_refused() {
    let (provider, sale) = scene(&[]).await;
    let mut browser = Browser::of(&sale);
    let begun = browser.begin("/").await;
    let good = provider.sign_in(&begun, "ada");
    let state = good.split("state=").nth(1).unwrap().split('&').next().unwrap();
    for (path, why) in [
        (good.replace(state, &"A".repeat(43)), "another state"),
        (good.replace(&format!("&state={state}"), ""), "no state"),
        (format!("{good}&state={state}"), "two states"),
    ] {
        let mut same = Browser::of(&sale);
        same.cookies = browser.cookies.clone();
        assert_failed(&same.go(&path).await, "invalid", why);
        assert!(same.cookies.is_empty(), "the values of a sign-in are good for one answer");
    }
    // A foreign page leads a visitor to the answer that it got for itself.
    let mut victim = Browser::of(&sale);
    assert_failed(&victim.go(&good).await, "invalid", "no sign-in has begun");
    victim.begin("/").await;
    assert_failed(&victim.go(&good).await, "invalid", "a sign-in of another browser");

    let kept = browser.cookies.clone();
    assert_eq!(browser.go(&good).await.header("location"), Some(format!("{PUBLIC}/").as_str()));
    assert_eq!(user_of(&sale, &browser).await.as_deref(), Some("ada"));
    // Each code is good for one sign-in, also for a browser that has kept everything.
    let mut thief = Browser::of(&sale);
    thief.cookies = kept;
    assert_failed(&thief.go(&good).await, "invalid", "a code that was used");
    logged(&sale, "refused a sign-in").await;
    assert!(!sale.instance.log().contains(state), "no value of a sign-in is in the log");
}

#[tokio::test]
async fn an_answer_without_a_user_makes_no_session() {
    let (provider, sale) = scene(&[]).await;
    let issuer = &provider.issuer;
    for (query, word) in [
        ("error=access_denied", "refused"),
        ("error=login_required&error_description=a+b", "refused"),
        ("error=server_error", "unavailable"),
        ("error=temporarily_unavailable&code=a", "unavailable"),
        ("", "invalid"),
        ("code=invented", "invalid"),
        (format!("code=invented&iss={issuer}").as_str(), "invalid"),
        ("code=invented&iss=https%3A%2F%2Fother.example", "invalid"),
        ("code=a&code=b", "invalid"),
    ] {
        let mut browser = Browser::of(&sale);
        let good = provider.sign_in(&browser.begin("/").await, "ada");
        let state = good.split("state=").nth(1).unwrap().split('&').next().unwrap();
        let back = browser.go(&format!("/session/callback?state={state}&{query}")).await;
        assert_failed(&back, word, query);
    }
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_sign_in_is_refused() {
    let (provider, sale) = scene(&[]).await;
    let now = now_millis() / 1000;
    for claims in [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"nonce": 7}),
        json!({"aud": "another"}),
        json!({"aud": ["another", "third"]}),
        json!({"aud": null}),
        json!({"aud": [CLIENT, "another"], "azp": "another"}),
        json!({"iss": "https://other.example"}),
        json!({"iss": null}),
        json!({"exp": now - 600}),
        json!({"exp": null}),
        json!({"nbf": now + 3_600}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": format!("u_{}", "A".repeat(43))}),
    ] {
        provider.claims(claims.clone());
        let mut browser = Browser::of(&sale);
        let begun = browser.begin("/").await;
        let back = browser.go(&provider.sign_in(&begun, "ada")).await;
        assert_failed(&back, "invalid", &claims.to_string());
        assert_eq!(user_of(&sale, &browser).await, None, "{claims}");
    }
    provider.claims(json!({"aud": [CLIENT, "another"], "azp": CLIENT, "email": "eve@example.com"}));
    assert_eq!(user_of(&sale, &signed_in(&sale, &provider, "ada").await).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn an_id_token_is_signed_by_a_key_of_the_provider() {
    let (provider, sale) = scene(&[]).await;
    provider.signs_with(SECOND_EC_PRIVATE, "one");
    let mut browser = Browser::of(&sale);
    let begun = browser.begin("/").await;
    assert_failed(&browser.go(&provider.sign_in(&begun, "ada")).await, "invalid", "another key");
    // A key that the provider has changed to is fetched at once.
    provider.signs_with(EC_PRIVATE, "two");
    signed_in(&sale, &provider, "ada").await;
}

#[tokio::test]
async fn a_provider_that_fails_is_reported() {
    let (provider, sale) = scene(&[]).await;
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_REQUEST, StatusCode::FOUND] {
        provider.answers(Some(status));
        let mut browser = Browser::of(&sale);
        let begun = browser.begin("/").await;
        assert_failed(&browser.go(&provider.sign_in(&begun, "ada")).await, "unavailable", status.as_str());
    }
    provider.answers(None);
    signed_in(&sale, &provider, "ada").await;
    let counted = |outcome: &str, number: u32| format!("onsale_sign_ins_total{{outcome=\"{outcome}\"}} {number}\n");
    until("the outcomes are counted", async || {
        let metrics = sale.caller.get("/metrics").send().await;
        let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
        [counted("unavailable", 3), counted("ok", 1)].iter().all(|line| metrics.contains(line)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_description_of_another_provider_is_not_used() {
    let (provider, sale) = scene(&[]).await;
    for wrong in [
        json!({"issuer": "https://other.example"}),
        json!({"issuer": format!("{}/", provider.issuer)}),
        json!({"token_endpoint": "http://other.example/token"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"jwks_uri": 7}),
    ] {
        provider.describes(wrong.clone());
        assert_failed(&Browser::of(&sale).go("/session/login").await, "unavailable", &wrong.to_string());
    }
    provider.describes(json!({}));
    signed_in(&sale, &provider, "ada").await;
}
