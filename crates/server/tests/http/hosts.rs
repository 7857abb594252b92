//! `Host` of requests and `Origin` of writes.

use serde_json::{Value, json};

use crate::JWT;
use crate::support::raw::{RawReply, exchange};
use crate::support::{ONSALE, start};

/// Sends a head of these lines, with `Connection: close`, and a body of 12 bytes if it is a write.
async fn send(base: &str, line: &str, headers: &[&str]) -> RawReply {
    let body = r#"{"amount":1}"#;
    let mut request = format!("{line}\r\nconnection: close\r\n");
    for header in headers {
        request.push_str(&format!("{header}\r\n"));
    }
    if line.starts_with('P') {
        request.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    } else {
        request.push_str("\r\n");
    }
    exchange(base, request.as_bytes()).await.unwrap_or_else(|| panic!("no answer: {line} {headers:?}"))
}

fn is_problem(reply: &RawReply, status: u16, code: &str, what: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{what}: {reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{what}");
}

#[tokio::test]
async fn a_request_needs_exactly_one_valid_host() {
    for settings in [&[][..], &JWT] {
        let sale = start(settings).await;
        let base = sale.instance.base();
        let bad: [&[&str]; 19] = [
            &[],
            &["host: localhost", "host: localhost"],
            &["host: localhost", "Host: evil.example"],
            &["host:"],
            &["host: "],
            &["host: :80"],
            &["host: local host"],
            &["host: localhost,evil.example"],
            &["host: localhost, localhost"],
            &["host: http://localhost"],
            &["host: localhost/x"],
            &["host: localhost?x"],
            &["host: ada@localhost"],
            &["host: localhost:port"],
            &["host: localhost:99999"],
            &["host: localhost:-1"],
            &["host: [::1"],
            &["host: ::1"],
            &["host: caf\u{e9}"],
        ];
        for headers in bad {
            for line in ["GET /lectures HTTP/1.1", "GET /nowhere HTTP/1.1", "PATCH /point/ada/charge HTTP/1.1"] {
                let reply = send(base, line, headers).await;
                is_problem(&reply, 400, "malformed-request", &format!("{line} {headers:?}"));
            }
        }
        for headers in [&["host: localhost"][..], &["HOST: LOCALHOST:1"], &["host: [::1]:80"], &["host: 127.0.0.1:"]] {
            assert_eq!(send(base, "GET /lectures HTTP/1.1", headers).await.status, 200, "{headers:?}");
        }
        // HTTP/1.0 knows no Host.
        assert_eq!(send(base, "GET /lectures HTTP/1.0", &[]).await.status, 200);
        assert_eq!(send(base, "GET /lectures HTTP/1.0", &["host: localhost"]).await.status, 200);
        let twice = send(base, "GET /lectures HTTP/1.0", &["host: localhost", "host: localhost"]).await;
        is_problem(&twice, 400, "malformed-request", "HTTP/1.0 with two");
    }
}

#[tokio::test]
async fn the_host_of_an_absolute_target_overrides_the_header() {
    let sale = start(&[]).await;
    let base = sale.instance.base();
    let absolute = |url: &str| format!("GET {url} HTTP/1.1");
    let own = absolute("http://localhost/lectures?limit=1");
    assert_eq!(send(base, &own, &["host: localhost"]).await.status, 200);
    assert_eq!(send(base, &own, &["host: evil.example"]).await.status, 200, "RFC 9112, section 3.2.2");
    is_problem(&send(base, &own, &[]).await, 400, "malformed-request", "no Host");
    is_problem(&send(base, &own, &["host: a b"]).await, 400, "malformed-request", "no sound Host");
    let foreign = send(base, &absolute("http://evil.example/lectures"), &["host: localhost"]).await;
    is_problem(&foreign, 403, "origin-not-allowed", "a foreign target");
    let user = send(base, &absolute("http://ada@localhost/lectures"), &["host: localhost"]).await;
    is_problem(&user, 400, "malformed-request", "a user in the target");
}

const LOCAL: [&str; 12] = [
    "localhost",
    "LocalHost",
    "localhost:8080",
    "localhost.",
    "localhost.:8080",
    "onsale.localhost",
    "a.b.localhost:80",
    "127.0.0.1",
    "127.0.0.1:8080",
    "[::1]",
    "[::1]:8080",
    "192.0.2.7:8080",
];

const FOREIGN: [&str; 9] = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evillocalhost",
    "onsale",
    "shop.example",
    "2130706433",
    "0x7f000001",
];

/// Origins of other sites than these hosts.
const CROSS: [&str; 12] = [
    "https://evil.example",
    "http://evil.example:8080",
    "null",
    "",
    "http://localhost:3000",
    "http://localhost.evil.example",
    "file://",
    "http://",
    "http://user@localhost",
    "chrome-extension://abc",
    "http://localhost/",
    "http://localhost, http://localhost",
];

#[tokio::test]
async fn in_open_mode_foreign_hosts_are_refused() {
    let sale = start(&[]).await;
    let base = sale.instance.base();
    for host in LOCAL {
        for line in ["GET /lectures HTTP/1.1", "PATCH /point/ada/charge HTTP/1.1", "GET /healthz HTTP/1.1"] {
            let reply = send(base, line, &[&format!("host: {host}")]).await;
            assert_eq!(reply.status, 200, "{line} {host}: {reply:?}");
        }
    }
    let before = sale.caller.get("/point/ada").expect(200).await;
    for host in FOREIGN {
        for line in [
            "GET /lectures HTTP/1.1",
            "GET /point/ada HTTP/1.1",
            "GET / HTTP/1.1",
            "GET /metrics HTTP/1.1",
            "OPTIONS /lectures HTTP/1.1",
            "GET /nowhere HTTP/1.1",
            "PATCH /point/ada/charge HTTP/1.1",
            "POST /admin/concerts HTTP/1.1",
        ] {
            // For the browser, a page under such a name has the same origin.
            for origin in [vec![], vec![format!("origin: http://{host}")]] {
                let host = format!("host: {host}");
                let headers: Vec<&str> =
                    std::iter::once(host.as_str()).chain(origin.iter().map(String::as_str)).collect();
                is_problem(
                    &send(base, line, &headers).await,
                    403,
                    "origin-not-allowed",
                    &format!("{line} {headers:?}"),
                );
            }
        }
    }
    assert_eq!(sale.caller.get("/point/ada").expect(200).await, before);
}

#[tokio::test]
async fn in_open_mode_writes_from_other_origins_are_refused() {
    let sale = start(&[]).await;
    let base = sale.instance.base();
    let write = "PATCH /point/ada/charge HTTP/1.1";
    for (host, origin) in [
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost", "https://localhost"),
        ("localhost:443", "https://localhost"),
        ("LOCALHOST:8080", "http://localhost:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("onsale.localhost:8080", "http://onsale.localhost:8080"),
    ] {
        let reply = send(base, write, &[&format!("host: {host}"), &format!("origin: {origin}")]).await;
        assert_eq!(reply.status, 200, "{host} {origin}: {reply:?}");
    }
    let before = sale.caller.get("/point/ada").expect(200).await;
    for origin in CROSS {
        let headers = ["host: localhost", &format!("origin: {origin}")];
        for line in [
            write,
            "POST /queue/tokens HTTP/1.1",
            "DELETE /queue/token HTTP/1.1",
            "PUT /lectures HTTP/1.1",
            "POST /admin/lectures HTTP/1.1",
            "POST /nowhere HTTP/1.1",
        ] {
            is_problem(&send(base, line, &headers).await, 403, "origin-not-allowed", &format!("{line} {origin:?}"));
        }
        for line in ["GET /lectures HTTP/1.1", "GET /point/ada HTTP/1.1", "HEAD /lectures HTTP/1.1"] {
            let reply = send(base, line, &headers).await;
            assert_eq!(reply.status, 200, "a page cannot read it: {line} {origin:?}");
            assert_eq!(reply.header("access-control-allow-origin"), None, "{line} {origin:?}");
        }
    }
    let two = ["host: localhost", "origin: http://localhost", "origin: http://localhost"];
    is_problem(&send(base, write, &two).await, 403, "origin-not-allowed", "two origins");
    let other_port = ["host: localhost:8080", "origin: http://localhost:8081"];
    is_problem(&send(base, write, &other_port).await, 403, "origin-not-allowed", "another port");
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        let reply = send(base, write, &["host: localhost", &format!("sec-fetch-site: {site}")]).await;
        assert_eq!(reply.status, status, "{site}: {reply:?}");
    }
    let after = sale.caller.get("/point/ada").expect(200).await;
    assert_eq!(after["balance"], json!(before["balance"].as_i64().unwrap() + 2));
    // A request of HTTP/1.0 without a host has no own origin.
    let reply = send(base, "PATCH /point/ada/charge HTTP/1.0", &["origin: http://localhost"]).await;
    is_problem(&reply, 403, "origin-not-allowed", "HTTP/1.0");
    assert_eq!(send(base, "PATCH /point/ada/charge HTTP/1.0", &[]).await.status, 200);
}

#[tokio::test]
async fn allowed_origins_and_the_public_url_are_accepted() {
    let settings =
        [("ONSALE_PUBLIC_URL", "https://shop.example/tickets"), ("ONSALE_CORS_ORIGINS", "https://www.partner.example")];
    let sale = start(&settings).await;
    let base = sale.instance.base();
    let write = "PATCH /point/ada/charge HTTP/1.1";
    for (host, origin, status) in [
        ("shop.example", None, 200),
        ("Shop.Example:443", None, 200),
        ("shop.example.", None, 200),
        ("shop.example", Some("https://shop.example"), 200),
        ("localhost", Some("https://shop.example"), 200),
        ("localhost", Some("https://www.partner.example"), 200),
        ("shop.example", Some("https://www.partner.example"), 200),
        ("localhost", Some("http://shop.example"), 403),
        ("localhost", Some("https://partner.example"), 403),
        ("localhost", Some("https://www.partner.example:8443"), 403),
        ("localhost", Some("https://evil.example"), 403),
        ("www.partner.example", None, 403),
        ("evil.example", None, 403),
        ("sub.shop.example", None, 403),
    ] {
        let mut headers = vec![format!("host: {host}")];
        headers.extend(origin.map(|origin| format!("origin: {origin}")));
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        assert_eq!(send(base, write, &headers).await.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn with_jwt_or_open_anywhere_every_host_and_origin_is_accepted() {
    let open_anywhere = [("ONSALE_AUTH", "open-anywhere")];
    for (settings, status) in [(&open_anywhere[..], 200), (&JWT, 401)] {
        let sale = start(settings).await;
        let base = sale.instance.base();
        for host in LOCAL.iter().chain(&FOREIGN) {
            let headers = [&format!("host: {host}"), "origin: https://evil.example", "sec-fetch-site: cross-site"];
            assert_eq!(send(base, "GET /lectures HTTP/1.1", &headers).await.status, 200, "{host}");
            // Browsers do not attach bearers by themselves, so a foreign page cannot act.
            assert_eq!(send(base, "PATCH /point/ada/charge HTTP/1.1", &headers).await.status, status, "{host}");
        }
    }
}

#[tokio::test]
async fn every_operation_documents_foreign_origins_and_malformed_requests() {
    let printed = onsale_testing::Launch::new(ONSALE).run(&["openapi"]).await;
    let document: Value = serde_json::from_slice(&printed.stdout).unwrap();
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            let examples =
                |status: &str| &operation["responses"][status]["content"]["application/problem+json"]["examples"];
            let id = &operation["operationId"];
            assert!(examples("403")["origin-not-allowed"].is_object(), "{id}");
            assert!(examples("400")["malformed-request"].is_object(), "{id}");
        }
    }
}
