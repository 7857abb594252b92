//! Writes with a session come from pages of the server, and a sign-in returns to one.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use super::provider::{Browser, PUBLIC};
use super::{scene, signed_in, user_of};
use crate::support::text;

/// A charge of Ada's wallet with the session, from anywhere.
fn charge(sale: &Sale, browser: &Browser) -> Call {
    let call = sale.caller.patch("/point/ada/charge").json(&json!({"amount": 1_000}));
    call.header("cookie", &browser.cookie())
}

async fn balance(sale: &Sale, browser: &Browser) -> Value {
    browser.with(sale.caller.get("/point/ada")).expect(200).await["balance"].clone()
}

#[tokio::test]
async fn writes_with_a_session_come_from_a_page_of_the_server() {
    let shop = "https://shop.example";
    let (provider, sale) = scene(&[("ONSALE_CORS_ORIGINS", shop)]).await;
    let browser = signed_in(&sale, &provider, "ada").await;
    for headers in [
        &[][..],
        &[("origin", shop)],
        &[("origin", "http://evil.example")],
        &[("origin", "http://127.0.0.1:10")],
        &[("origin", "https://127.0.0.1:9")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", PUBLIC), ("origin", PUBLIC)],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        &[("origin", shop), ("sec-fetch-site", "same-origin")],
    ] {
        let out = sale.caller.post("/session/logout").header("cookie", &browser.cookie());
        for call in [charge(&sale, &browser), out] {
            let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
            let reply = call.send().await;
            reply.refused(403, "origin-not-allowed");
            assert_eq!(reply.header("access-control-allow-credentials"), None, "{headers:?}");
        }
    }
    assert_eq!(balance(&sale, &browser).await, 0, "nothing was done");
    assert_eq!(user_of(&sale, &browser).await.as_deref(), Some("ada"), "and the session goes on");
    charge(&sale, &browser).header("origin", PUBLIC).expect(200).await;
    charge(&sale, &browser).header("sec-fetch-site", "same-origin").expect(200).await;
    assert_eq!(balance(&sale, &browser).await, 2_000);
}

#[tokio::test]
async fn a_page_of_another_site_reads_nothing_with_a_session() {
    let shop = "https://shop.example";
    let (provider, sale) = scene(&[("ONSALE_CORS_ORIGINS", shop)]).await;
    let browser = signed_in(&sale, &provider, "ada").await;
    let read = || sale.caller.get("/point/ada").header("cookie", &browser.cookie());
    for origin in [shop, "http://evil.example", "null"] {
        read().header("origin", origin).refused(401, "authentication-required").await;
    }
    read().expect(200).await;
    read().header("origin", PUBLIC).expect(200).await;
}

#[tokio::test]
async fn a_sign_in_returns_to_a_page_of_the_server_only() {
    let (provider, sale) = scene(&[]).await;
    for (page, returned) in
        [("/", "/"), ("/#/concerts/7", "/#/concerts/7"), ("/a/../docs?x=y", "/docs?x=y"), ("/@evil", "/@evil")]
    {
        let mut browser = Browser::of(&sale);
        let location = browser.begin(page).await;
        let back = browser.go(&provider.sign_in(&location, "ada")).await;
        assert_eq!(back.header("location"), Some(format!("{PUBLIC}{returned}").as_str()), "{page}");
    }
    let mut browser = Browser::of(&sale);
    let location = browser.go("/session/login").await.header("location").unwrap().to_owned();
    let back = browser.go(&provider.sign_in(&location, "ada")).await;
    assert_eq!(back.header("location"), Some(format!("{PUBLIC}/").as_str()), "the first page, if none is named");
    for page in [
        "",
        "https%3A%2F%2Fevil.example%2F",
        "%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "%5C%5Cevil.example",
        "%2F%09%2Fevil.example",
        "evil.example",
        "@evil.example",
        ".evil.example",
        "javascript%3Aalert(1)",
        "%2Fa%0D%0ASet-Cookie%3A%20a%3Db",
        &format!("%2F{}", "a".repeat(500)),
        "%2Fa&return=%2Fb",
    ] {
        let refused = browser.go(&format!("/session/login?return={page}")).await;
        let problem = refused.refused(422, "invalid-request");
        assert_eq!(text(&problem["errors"][0]["field"]), "return", "{page}");
        assert_eq!(refused.header("set-cookie"), None);
    }
}
