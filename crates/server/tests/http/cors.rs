//! CORS: origins whose pages call the API from a browser.

use hyper::Method;
use onsale_testing::{Caller, Launch, Reply};

use crate::support::{ONSALE, start};
use crate::{JWT, bearer};

const SHOP: &str = "https://shop.example";
const OTHER: &str = "http://localhost:3000";
const NAMED: (&str, &str) = ("ONSALE_CORS_ORIGINS", "https://Shop.example:443, http://localhost:3000");

/// The names in a list, in lower case.
fn listed(reply: &Reply, header: &str) -> Vec<String> {
    let list = reply.header(header).unwrap_or_else(|| panic!("{}: no {header}", reply.call));
    list.split(',').map(|name| name.trim().to_lowercase()).collect()
}

fn is_shared_with(reply: &Reply, origin: &str) {
    assert_eq!(reply.header("access-control-allow-origin"), Some(origin), "{} {}", reply.call, reply.status);
    assert_eq!(reply.header("access-control-allow-credentials"), None, "{}", reply.call);
    let exposed = listed(reply, "access-control-expose-headers");
    for name in ["link", "retry-after", "etag", "idempotency-replayed", "www-authenticate", "x-request-id"] {
        assert!(exposed.iter().any(|known| known == name), "{}: {name} is not among {exposed:?}", reply.call);
    }
}

fn varies_by_origin(reply: &Reply) {
    assert!(listed(reply, "vary").contains(&"origin".to_owned()), "{}", reply.call);
}

fn is_not_shared(reply: &Reply) {
    let any = reply.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
    assert!(any.is_none(), "{}: {any:?}", reply.call);
}

#[tokio::test]
async fn every_answer_to_an_allowed_origin_has_cors_headers() {
    let sale = start(&[NAMED, ("ONSALE_ADMIN_KEY", "an-admin-key-for-tests-only")]).await;
    let caller = Caller::new(sale.instance.base());
    for origin in [SHOP, OTHER] {
        for (method, path, status) in [
            (Method::GET, "/lectures", 200),
            (Method::GET, "/healthz", 200),
            (Method::GET, "/openapi.json", 200),
            (Method::GET, "/nowhere", 404),
            (Method::PUT, "/lectures", 405),
            (Method::OPTIONS, "/lectures", 405),
            (Method::GET, "/point/%ff", 400),
            (Method::GET, "/lectures?x=1", 422),
            (Method::GET, "/queue/token", 401),
            (Method::POST, "/admin/lectures", 401),
            (Method::PATCH, "/point/ada/charge", 415),
        ] {
            let reply = caller.call(method, path).header("origin", origin).send().await;
            assert_eq!(reply.status, status, "{}", reply.call);
            is_shared_with(&reply, origin);
            varies_by_origin(&reply);
        }
        let foreign_host = caller.get("/lectures").header("origin", origin).header("host", "evil.example").send().await;
        foreign_host.refused(403, "origin-not-allowed");
        is_shared_with(&foreign_host, origin);
    }
    let packed = caller.get("/lectures").header("origin", SHOP).header("accept-encoding", "gzip").send().await;
    assert_eq!(packed.headers.get_all("vary").iter().count(), 1);
    assert_eq!(listed(&packed, "vary"), ["accept-encoding", "origin"]);
    let unchanged = caller.get("/lectures").header("origin", SHOP).header("if-none-match", "*").send().await;
    assert_eq!(unchanged.status, 304);
    is_shared_with(&unchanged, SHOP);
}

#[tokio::test]
async fn early_refusals_have_cors_headers_too() {
    let limits = [("ONSALE_RATE_LIMIT_PER_SECOND", "1"), ("ONSALE_RATE_LIMIT_LOOPBACK", "true")];
    let sale = start(&[NAMED, limits[0], limits[1]]).await;
    let caller = Caller::new(sale.instance.base());
    for _ in 0..20 {
        let reply = caller.get("/point/ada").header("origin", SHOP).send().await;
        is_shared_with(&reply, SHOP);
        if reply.status == 429 {
            return;
        }
    }
    panic!("no request was one too many");
}

#[tokio::test]
async fn a_preflight_lists_allowed_methods_and_headers() {
    let sale = start(&[NAMED]).await;
    let caller = Caller::new(sale.instance.base());
    for (path, method) in [
        ("/point/ada/charge", "PATCH"),
        ("/queue/tokens", "POST"),
        ("/queue/token", "DELETE"),
        ("/lectures", "GET"),
        ("/queue/token/events", "GET"),
        ("/nowhere", "POST"),
    ] {
        let ask = || caller.call(Method::OPTIONS, path).header("access-control-request-method", method);
        let asked_for = "authorization,content-type,idempotency-key,queue-token,traceparent";
        let reply = ask().header("origin", SHOP).header("access-control-request-headers", asked_for).send().await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0), "{path}");
        is_shared_with(&reply, SHOP);
        varies_by_origin(&reply);
        assert!(listed(&reply, "access-control-allow-methods").contains(&method.to_lowercase()), "{method}");
        let headers = listed(&reply, "access-control-allow-headers");
        for name in [
            "authorization",
            "content-type",
            "idempotency-key",
            "if-none-match",
            "last-event-id",
            "queue-token",
            "traceparent",
            "x-request-id",
            "x-requested-with",
            "tracestate",
            "baggage",
        ] {
            assert!(headers.iter().any(|known| known == name), "{name} is not among {headers:?}");
        }
        let seconds: u32 = reply.header("access-control-max-age").unwrap().parse().unwrap();
        assert!((1..=7_200).contains(&seconds), "{seconds}");
        let foreign = ask().header("origin", "https://evil.example").send().await;
        assert!([404, 405].contains(&foreign.status.as_u16()), "{}", foreign.status);
        is_not_shared(&foreign);
        varies_by_origin(&foreign);
    }
}

#[tokio::test]
async fn other_origins_get_no_cors_headers() {
    let sale = start(&[NAMED]).await;
    let caller = Caller::new(sale.instance.base());
    for origin in [
        "https://evil.example",
        "https://shop.example.evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://SHOP.example",
        "https://shop.example/",
        "null",
        "",
        "*",
    ] {
        let reply = caller.get("/lectures").header("origin", origin).send().await;
        assert_eq!(reply.status, 200, "{origin:?}");
        is_not_shared(&reply);
        varies_by_origin(&reply);
    }
    let none = caller.get("/lectures").send().await;
    is_not_shared(&none);
    varies_by_origin(&none);
}

#[tokio::test]
async fn without_the_setting_no_answer_has_cors_headers() {
    let sale = start(&[]).await;
    let caller = Caller::new(sale.instance.base());
    for method in [Method::GET, Method::OPTIONS] {
        let call =
            caller.call(method, "/lectures").header("origin", SHOP).header("access-control-request-method", "GET");
        let reply = call.send().await;
        is_not_shared(&reply);
        assert!(!reply.header("vary").unwrap_or_default().contains("origin"));
    }
}

#[tokio::test]
async fn with_jwt_the_setting_may_allow_every_origin() {
    let sale = start(&[JWT[0], JWT[1], ("ONSALE_CORS_ORIGINS", "*")]).await;
    let caller = Caller::new(sale.instance.base());
    let own = caller.get("/point/ada").bearer(&bearer("ada")).header("origin", "https://any.example").send().await;
    own.expect(200);
    is_shared_with(&own, "*");
    let refused = caller.get("/point/ada").header("origin", "https://any.example").send().await;
    refused.refused(401, "authentication-required");
    is_shared_with(&refused, "*");
}

#[tokio::test]
async fn invalid_origins_end_the_start() {
    for (auth, origins) in [
        ("open", "*"),
        ("open-anywhere", "*"),
        ("open", "shop.example"),
        ("open", "https://shop.example/shop"),
        ("open", "https://shop.example/"),
        ("open", "https://*.shop.example"),
        ("open", "https://shop.example,*"),
        ("open", "null"),
        ("open", "ftp://shop.example"),
        ("open", ","),
    ] {
        let launch = Launch::new(ONSALE).set("ONSALE_AUTH", auth).set("ONSALE_CORS_ORIGINS", origins);
        let run = launch.set("ONSALE_LISTEN", "127.0.0.1:0").run(&["serve"]).await;
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(2), "{auth} {origins}: {said}");
        assert!(said.contains("ONSALE_CORS_ORIGINS") && run.stdout.is_empty(), "{origins}: {said}");
    }
}
