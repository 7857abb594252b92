//! A provider that is away: no user signs in, and nothing else stops.

use onsale_testing::Port;
use serde_json::json;

use super::provider::{Browser, PUBLIC, Provider};
use super::{KEY, scene, signed_in, user_of};
use crate::support::{start, text};

#[tokio::test]
async fn a_server_starts_without_its_provider() {
    let port = Port::free();
    let provider = Provider::at(&format!("http://{}", port.address()), KEY);
    let sale = start(&provider.settings()).await;
    sale.caller.get("/readyz").expect(200).await;
    let mut browser = Browser::of(&sale);
    let login = browser.go("/session/login").await;
    let expected = format!("{PUBLIC}/#/sign-in/unavailable");
    assert_eq!((login.status.as_u16(), login.header("location")), (303, Some(expected.as_str())));
    assert_eq!(login.header("set-cookie"), None);
    drop(port);
    let address = provider.issuer.trim_start_matches("http://");
    provider.serve(tokio::net::TcpListener::bind(address).await.unwrap());
    signed_in(&sale, &provider, "ada").await;
}

#[tokio::test]
async fn sessions_and_places_outlive_the_provider() {
    let (provider, sale) = scene(&[]).await;
    let concert = sale.concert(&json!({"maxActive": 10})).await;
    let browser = signed_in(&sale, &provider, "ada").await;
    let mut other = Browser::of(&sale);
    let begun = other.begin("/").await;
    let back = provider.sign_in(&begun, "eve");
    let body = json!({"userId": "ada", "concertId": concert});
    let entered = browser.with(sale.caller.post("/queue/tokens").json(&body)).expect(201).await;
    provider.stop();
    let failed = other.go(&back).await;
    assert_eq!(failed.header("location"), Some(format!("{PUBLIC}/#/sign-in/unavailable").as_str()));
    assert_eq!(user_of(&sale, &browser).await.as_deref(), Some("ada"));
    let charge = sale.caller.patch("/point/ada/charge").json(&json!({"amount": 1_000}));
    browser.with(charge).expect(200).await;
    let token = text(&entered["token"]);
    browser.with(sale.caller.get("/queue/token")).token(&token).expect(200).await;
    browser.with(sale.caller.post("/session/logout")).expect(204).await;
    assert_eq!(user_of(&sale, &browser).await, None);
}
