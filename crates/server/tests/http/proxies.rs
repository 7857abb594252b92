//! Behind a proxy that caches every answer that allows it, no user gets the answer of another user.

use onsale_testing::{Caller, Nginx, Reply, Sale, without};
use serde_json::json;

use crate::support::room::room;
use crate::support::{start, text};
use crate::{JWT, bearer};

/// A proxy that keeps every answer for ten minutes, for all clients, unless the answer forbids it.
async fn caching_proxy(sale: &Sale) -> Nginx {
    let http = "  proxy_cache_path cache keys_zone=all:1m;";
    let server = format!(
        "    location / {{\n      proxy_pass {};\n      proxy_cache all;\n      proxy_cache_key $request_uri;\n      \
         proxy_cache_valid any 10m;\n      add_header X-Kept $upstream_cache_status always;\n    }}",
        sale.instance.base()
    );
    Nginx::start(http, &server).await
}

fn came_from_the_server(reply: &Reply) {
    assert_eq!(reply.header("x-kept"), Some("MISS"), "{}", reply.call);
}

#[tokio::test]
async fn a_shared_cache_never_gives_one_users_answer_to_another() {
    if without("nginx") {
        return;
    }
    let sale = start(&JWT).await;
    let proxy = caching_proxy(&sale).await;
    let caller = Caller::new(&proxy.base());
    let charge = json!({"amount": 500});
    caller.patch("/point/ada/charge").bearer(&bearer("ada")).json(&charge).expect(200).await;
    for path in [
        "/point/ada",
        "/point/ada/histories",
        "/users/ada/reservations",
        "/users/ada/payments",
        "/lectures/application/ada",
    ] {
        for _ in 0..2 {
            let own = caller.get(path).bearer(&bearer("ada")).send().await;
            own.expect(200);
            came_from_the_server(&own);
            let foreign = caller.get(path).bearer(&bearer("bob")).send().await;
            foreign.refused(403, "not-your-account");
            came_from_the_server(&foreign);
            caller.get(path).refused(401, "authentication-required").await;
        }
    }
    // A change is seen at once.
    caller.patch("/point/ada/charge").bearer(&bearer("ada")).json(&charge).expect(200).await;
    assert_eq!(caller.get("/point/ada").bearer(&bearer("ada")).expect(200).await["balance"], 1_000);
}

/// The path is the same for all who wait: only a header names the client.
#[tokio::test]
async fn a_shared_cache_never_stores_a_place_in_line() {
    if without("nginx") {
        return;
    }
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    sale.performance(&concert, &serde_json::Value::Null).await;
    let (ada, bob) = (sale.active(&concert, "ada").await, sale.active(&concert, "bob").await);
    let proxy = caching_proxy(&sale).await;
    let caller = Caller::new(&proxy.base());
    for _ in 0..2 {
        for (token, user) in [(&ada, "ada"), (&bob, "bob")] {
            let place = caller.get("/queue/token").token(token).expect(200).await;
            assert_eq!(text(&place["userId"]), user);
        }
        caller.get("/queue/token").refused(401, "queue-token-missing").await;
        let dates = format!("/concerts/{concert}/dates");
        caller.get(&dates).token(&ada).expect(200).await;
        caller.get(&dates).refused(401, "queue-token-missing").await;
    }
    // The proxy may serve again what is the same for all clients.
    caller.get("/concerts").expect(200).await;
    let again = crate::support::until("the proxy answers by itself", async || {
        let reply = caller.get("/concerts").send().await;
        (reply.header("x-kept") == Some("HIT")).then_some(reply)
    });
    again.await.expect(200);
}

/// Problems, health and metrics must not be cached.
#[tokio::test]
async fn a_shared_cache_does_not_store_health_metrics_or_errors() {
    if without("nginx") {
        return;
    }
    let sale = start(&[]).await;
    let proxy = caching_proxy(&sale).await;
    let caller = Caller::new(&proxy.base());
    for path in ["/healthz", "/readyz", "/metrics", "/nowhere", "/reservations/019ab3c0-9b02-7e6f-a1c3-7d0e5f2a4b03"] {
        for _ in 0..2 {
            came_from_the_server(&caller.get(path).send().await);
        }
    }
}
