//! What a session opens, and when it ends.

use jsonwebtoken::{Algorithm, EncodingKey};
use onsale_testing::{Call, Sale, WallClock, now_millis, without};
use serde_json::json;

use super::provider::{Browser, PUBLIC, Provider};
use super::{KEY, scene, signed_in, user_of};
use crate::support::stream::Stream;
use crate::support::{ONSALE, audit, start, text};
use crate::{SECRET, bearer, signed};

/// A charge of Ada's wallet.
fn charge(sale: &Sale) -> Call {
    sale.caller.patch("/point/ada/charge").json(&json!({"amount": 1_000}))
}

#[tokio::test]
async fn a_user_signs_in_acts_and_signs_out() {
    let (provider, sale) = scene(&[]).await;
    let mut browser = Browser::of(&sale);
    assert_eq!(user_of(&sale, &browser).await, None);
    let location = browser.begin("/#/account").await;
    let back = browser.go(&provider.sign_in(&location, "ada")).await;
    assert_eq!(back.header("cache-control"), Some("no-store"));
    let set: Vec<&str> = back.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let session = &browser.cookies["onsale_user"];
    let expected = [
        "onsale_sign_in=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax".to_owned(),
        format!("onsale_user={session}; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"),
    ];
    assert_eq!(set, expected, "not Secure on a loopback address");

    let shown = browser.with(sale.caller.get("/session")).expect(200).await;
    assert_eq!(shown["userId"], "ada");
    let wallet = browser.with(charge(&sale)).expect(200).await;
    assert_eq!(wallet["balance"], 1_000);
    browser.with(sale.caller.get("/point/ada")).expect(200).await;
    browser.with(sale.caller.get("/point/eve")).refused(403, "not-your-account").await;
    sale.caller.get("/point/ada").refused(401, "authentication-required").await;

    let before = browser.cookie();
    let out = browser.with(sale.caller.post("/session/logout")).send().await;
    out.expect(204);
    browser.keep(&out);
    assert!(!browser.cookies.contains_key("onsale_user"));
    // The cookie is of no use to a thief who has kept it.
    let problem = sale.caller.get("/point/ada").header("cookie", &before).refused(401, "authentication-required").await;
    assert!(text(&problem["detail"]).contains("session has ended"), "{problem}");
    browser.with(sale.caller.post("/session/logout")).expect(204).await;
    audit(&sale).await;
}

#[tokio::test]
async fn each_sign_in_makes_a_new_session_and_ends_the_one_before() {
    let (provider, sale) = scene(&[]).await;
    let mut browser = signed_in(&sale, &provider, "ada").await;
    let first = browser.cookie();
    browser.sign_in(&provider, "ada").await;
    assert_ne!(browser.cookie(), first);
    assert_eq!(user_of(&sale, &browser).await.as_deref(), Some("ada"));
    sale.caller.get("/point/ada").header("cookie", &first).refused(401, "authentication-required").await;
    // Another browser of the same user has a session of its own.
    let other = signed_in(&sale, &provider, "ada").await;
    browser.with(sale.caller.post("/session/logout")).expect(204).await;
    other.with(charge(&sale)).expect(200).await;
}

#[tokio::test]
async fn a_cookie_goes_over_tls_and_below_the_path_of_the_server() {
    let provider = Provider::start(KEY).await;
    let mut settings = provider.settings();
    settings[4].1 = "https://shop.example/tickets";
    let sale = start(&settings).await;
    let mut browser = Browser::of(&sale);
    let login = browser.go("/session/login").await;
    let set = login.header("set-cookie").unwrap();
    assert!(set.ends_with("; Path=/tickets; Max-Age=600; HttpOnly; SameSite=Lax; Secure"), "{set}");
    let location = login.header("location").unwrap();
    assert!(location.contains("redirect_uri=https%3A%2F%2Fshop.example%2Ftickets%2Fsession%2Fcallback"), "{location}");
}

#[tokio::test]
async fn a_bearer_and_a_session_name_the_same_user() {
    let (provider, sale) = scene(&[("ONSALE_JWT_SECRET", SECRET)]).await;
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    for subject in ["ada", "ada@example.com", "auth0|5f7c8ec7c33c6c004bbafe82", "가나다", &"a".repeat(200)] {
        let browser = signed_in(&sale, &provider, subject).await;
        let user = user_of(&sale, &browser).await.unwrap();
        assert_eq!(user == subject, subject == "ada", "{user}");
        assert!(user == subject || (user.starts_with("u_") && user.len() == 45), "{user}");
        let of = |issuer: &str| {
            let claims = json!({"sub": subject, "iss": issuer, "exp": now_millis() / 1000 + 600});
            signed(Algorithm::HS256, &key, &claims)
        };
        let path = format!("/point/{user}");
        sale.caller.get(&path).bearer(&of(&provider.issuer)).expect(200).await;
        browser.with(sale.caller.get(&path)).expect(200).await;
        let other = sale.caller.get(&path).bearer(&of("https://other.example")).send().await;
        assert_eq!(other.status.as_u16(), if user == subject { 200 } else { 403 }, "{subject} of another issuer");
    }
}

#[tokio::test]
async fn a_session_counts_only_without_an_authorization() {
    let (provider, sale) = scene(&[("ONSALE_JWT_SECRET", SECRET)]).await;
    let browser = signed_in(&sale, &provider, "ada").await;
    for authorization in ["Bearer guess", "Basic guess", "Bearer", ""] {
        let call = browser.with(sale.caller.get("/point/ada")).header("authorization", authorization);
        call.refused(401, "authentication-required").await;
    }
    browser.with(sale.caller.get("/point/ada")).bearer(&bearer("eve")).refused(403, "not-your-account").await;
    browser.with(sale.caller.get("/point/eve")).bearer(&bearer("eve")).expect(200).await;
    let shown = browser.with(sale.caller.get("/session")).bearer(&bearer("eve")).expect(200).await;
    assert_eq!(shown, json!({"userId": null, "expiresAt": null}));
    browser.with(sale.caller.post("/session/logout")).bearer(&bearer("eve")).expect(204).await;
    assert_eq!(user_of(&sale, &browser).await.as_deref(), Some("ada"), "that ended nothing");
}

#[tokio::test]
async fn texts_that_this_server_did_not_sign_are_no_session() {
    let (provider, sale) = scene(&[]).await;
    let browser = signed_in(&sale, &provider, "ada").await;
    let good = browser.cookies["onsale_user"].clone();
    let (bytes, signature) = good.split_once('.').unwrap();
    let attempt = {
        let mut other = Browser::of(&sale);
        other.begin("/").await;
        other.cookies["onsale_sign_in"].clone()
    };
    for wrong in [
        "nonsense".to_owned(),
        bytes.to_owned(),
        format!("{bytes}."),
        format!("{bytes}.{}", "A".repeat(43)),
        format!("B{}.{signature}", &bytes[1..]),
        attempt,
        "A".repeat(4_000),
    ] {
        let call = sale.caller.get("/point/ada").header("cookie", &format!("onsale_user={wrong}"));
        call.refused(401, "authentication-required").await;
    }
    sale.caller.get("/point/ada").header("cookie", &format!("a=b; onsale_user={good}; c=d")).expect(200).await;
}

#[tokio::test]
async fn an_ended_session_ends_no_place_hold_or_stream() {
    let (provider, sale) = scene(&[]).await;
    let concert = sale.concert(&json!({"maxActive": 10})).await;
    let performance = sale.performance(&concert, &json!(null)).await;
    let browser = signed_in(&sale, &provider, "ada").await;
    let enter = |browser: &Browser| {
        let body = json!({"userId": "ada", "concertId": concert});
        browser.with(sale.caller.post("/queue/tokens").json(&body))
    };
    let token = text(&enter(&browser).expect(201).await["token"]);
    let cookie = format!("cookie: {}", browser.cookie());
    let base = sale.instance.base();
    let mut stream = Stream::open(base, &format!("/queue/token/events?token={token}"), &[&cookie]).await;
    assert_eq!(stream.status, 200);
    while stream.next().await.unwrap().0 != "active" {}
    let hold = json!({"performanceId": performance, "seats": [1]});
    let held = browser.with(sale.caller.post("/reservations").json(&hold)).token(&token).expect(201).await;
    browser.with(sale.caller.post("/session/logout")).expect(204).await;
    browser.with(sale.caller.get("/queue/token")).token(&token).refused(401, "authentication-required").await;

    let again = signed_in(&sale, &provider, "ada").await;
    let place = enter(&again).expect(200).await;
    assert_eq!((&place["token"], &place["status"]), (&json!(token), &json!("ACTIVE")));
    let path = format!("/reservations/{}", text(&held["reservationId"]));
    assert_eq!(again.with(sale.caller.get(&path)).expect(200).await["status"], "HELD");
    again.with(sale.caller.delete("/queue/token")).token(&token).expect(204).await;
    while stream.next().await.expect("the stream outlives its session").0 != "expired" {}
    audit(&sale).await;
}

#[tokio::test]
async fn a_session_lasts_twelve_hours_after_its_last_use() {
    if without("faketime") {
        return;
    }
    let provider = Provider::start(KEY).await;
    let launch = provider.settings().iter().fold(Sale::launch(ONSALE), |launch, (name, value)| launch.set(name, value));
    let clock = WallClock::within(launch.folder());
    let sale = Sale::start(&launch.by_clock(&clock)).await;
    let mut browser = signed_in(&sale, &provider, "ada").await;
    let first = browser.cookie();
    let read = browser.with(sale.caller.get("/point/ada")).send().await;
    assert_eq!(read.header("set-cookie"), None, "not each use renews it");
    clock.set_ahead(10 * 3_600);
    // An answer that a shared cache may keep sets no cookie.
    let list = browser.with(sale.caller.get("/lectures")).send().await;
    assert!(list.header("cache-control").unwrap().contains("public"), "{list:?}");
    assert_eq!(list.header("set-cookie"), None);
    let used = browser.with(sale.caller.get("/point/ada")).send().await;
    let set = used.header("set-cookie").expect("a use renews the session").to_owned();
    assert!(set.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"), "{set}");
    browser.keep(&used);
    clock.set_ahead(13 * 3_600);
    sale.caller.get("/point/ada").header("cookie", &first).refused(401, "authentication-required").await;
    browser.with(sale.caller.get("/point/ada")).expect(200).await;
    clock.set_ahead(26 * 3_600);
    browser.with(sale.caller.get("/point/ada")).refused(401, "authentication-required").await;
    // Without a session there is nothing to renew.
    let read = sale.caller.get("/session").header("origin", PUBLIC).send().await;
    assert_eq!(read.header("set-cookie"), None);
}

#[tokio::test]
async fn without_a_provider_there_is_no_sign_in() {
    let sale = start(&[]).await;
    for path in ["/session/login", "/session/callback?code=a&state=b"] {
        sale.caller.get(path).refused(404, "not-found").await;
    }
    let cookie = "onsale_user=anything";
    let shown = sale.caller.get("/session").header("cookie", cookie).expect(200).await;
    assert_eq!(shown, json!({"userId": null, "expiresAt": null}));
    sale.caller.post("/session/logout").header("cookie", cookie).expect(204).await;
    sale.caller.get("/point/ada").header("cookie", cookie).expect(200).await;
}
