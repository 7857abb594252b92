//! TLS with real proxies and certificates. Each client is limited by its own address, whatever headers it sends, behind
//! one proxy and behind two. Events pass without delay. Plain HTTP is redirected.

use std::net::SocketAddr;
use std::process::Stdio;

use onsale_testing::{PATIENCE, Sale, without};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::chain::{Certificate, Edge, Kind, NAME, plain_haproxy, plain_nginx, ran};
use crate::files;
use crate::support::{start, text};

/// Where every proxy of these tests is called from, and calls from.
const PROXIES: &str = "127.0.0.1";

/// A sale in which an address may enter twice, and then once a minute.
async fn sale() -> (Sale, SocketAddr, String) {
    let settings = [
        ("ONSALE_TRUSTED_PROXIES", PROXIES),
        ("ONSALE_ENTRIES_PER_MINUTE", "1"),
        ("ONSALE_PUBLIC_URL", "https://shop.example"),
    ];
    let sale = start(&settings).await;
    let concert = sale.concert(&json!({"maxActive": 1})).await;
    let address = sale.instance.base().strip_prefix("http://").unwrap().parse().unwrap();
    (sale, address, concert)
}

fn missing(kind: Kind) -> bool {
    let part = match kind {
        Kind::Haproxy => "haproxy",
        Kind::Nginx => "nginx",
        Kind::Caddy => "caddy",
    };
    without("openssl") || without(part)
}

/// The status of an entry by a client of this address that claims another address in a header.
async fn enters(edge: &Edge, concert: &str, from: &str, user: &str, claims: Option<&str>) -> String {
    let body = json!({"userId": user, "concertId": concert}).to_string();
    let claim = format!("X-Forwarded-For: {}", claims.unwrap_or_default());
    let mut arguments = vec!["--json", &body];
    if claims.is_some() {
        arguments.extend(["--header", &claim]);
    }
    edge.printed(from, "/queue/tokens", "%{http_code}", &arguments).await
}

/// Clients of two addresses enter. Each has its own limit, and no header gives it another one.
async fn each_has_its_own_limit(edge: &Edge, concert: &str) {
    for (user, status) in [("ada", "201"), ("bob", "201"), ("eve", "429")] {
        assert_eq!(enters(edge, concert, "127.0.1.1", user, None).await, status, "{user}: {}", edge.log());
    }
    for claims in ["198.51.100.7", "127.0.1.2", "198.51.100.8, 127.0.0.1", "unknown"] {
        assert_eq!(enters(edge, concert, "127.0.1.1", "eve", Some(claims)).await, "429", "{claims}");
    }
    for (user, status) in [("dan", "201"), ("fay", "201"), ("eve", "429")] {
        assert_eq!(enters(edge, concert, "127.0.1.2", user, None).await, status, "{user}: {}", edge.log());
    }
}

#[tokio::test]
async fn each_client_has_its_own_limit_behind_a_tls_proxy() {
    for kind in [Kind::Haproxy, Kind::Nginx, Kind::Caddy] {
        if missing(kind) {
            continue;
        }
        let (sale, behind, concert) = sale().await;
        let edge = Edge::start(kind, &Certificate::make(&sale), behind).await;
        println!("{kind:?}");
        each_has_its_own_limit(&edge, &concert).await;
    }
}

#[tokio::test]
async fn each_client_has_its_own_limit_behind_two_proxies() {
    for kind in [Kind::Haproxy, Kind::Nginx, Kind::Caddy] {
        for inner in [Kind::Haproxy, Kind::Nginx] {
            // HAProxy's checks have no `Host`, and nginx would pass them on without one, as HTTP/1.1.
            let is_unfit = matches!((kind, inner), (Kind::Haproxy, Kind::Nginx));
            if is_unfit || missing(kind) || missing(inner) {
                continue;
            }
            let (sale, behind, concert) = sale().await;
            let (_inner, between) = match inner {
                Kind::Haproxy => plain_haproxy("192.0.2.0/24 127.0.0.1", behind).await,
                Kind::Nginx | Kind::Caddy => plain_nginx(PROXIES, behind).await,
            };
            let edge = Edge::start(kind, &Certificate::make(&sale), between).await;
            println!("{kind:?}, {inner:?}");
            each_has_its_own_limit(&edge, &concert).await;
        }
    }
}

/// The other topology: no proxy is in front of the balancer, so headers of clients are ignored.
#[tokio::test]
async fn the_balancer_at_the_edge_ignores_forwarded_addresses_of_clients() {
    for inner in [Kind::Haproxy, Kind::Nginx] {
        if missing(inner) || missing(Kind::Nginx) {
            continue;
        }
        let (_sale, behind, concert) = sale().await;
        let (_inner, edge) = match inner {
            Kind::Haproxy => plain_haproxy("", behind).await,
            Kind::Nginx | Kind::Caddy => plain_nginx("", behind).await,
        };
        let caller = onsale_testing::Caller::new(&format!("http://{edge}"));
        for (number, status) in [201, 201, 429, 429].into_iter().enumerate() {
            let body = json!({"userId": format!("user-{number}"), "concertId": concert});
            let call = caller.post("/queue/tokens").json(&body);
            let reply = call.header("x-forwarded-for", &format!("198.51.100.{number}")).send().await;
            assert_eq!(reply.status, status, "{inner:?}, {number}");
        }
    }
}

#[tokio::test]
async fn events_pass_without_delay_over_http_2_and_two_proxies() {
    for kind in [Kind::Haproxy, Kind::Nginx, Kind::Caddy] {
        if missing(kind) || missing(Kind::Haproxy) {
            continue;
        }
        let (sale, behind, concert) = sale().await;
        let (_inner, between) = plain_haproxy(PROXIES, behind).await;
        let edge = Edge::start(kind, &Certificate::make(&sale), between).await;
        sale.active(&concert, "the-first").await;
        let token = text(&sale.enter(&concert, "the-second").await["token"]);
        let path = format!("/queue/token/events?token={token}");
        let mut curl = edge.curl(PROXIES, &path, &["--no-buffer", "--http2", "--include"]);
        let mut curl = curl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(curl.stdout.take().unwrap()).lines();
        let mut seen = Vec::new();
        let first = async {
            while !seen.iter().any(|line: &String| line.starts_with("event:")) {
                let line = lines.next_line().await.unwrap();
                seen.push(line.unwrap_or_else(|| panic!("{kind:?}: the stream ended: {}", edge.log())));
            }
        };
        tokio::time::timeout(PATIENCE, first).await.unwrap_or_else(|_| panic!("{kind:?}: no event"));
        assert!(seen[0].starts_with("HTTP/2 200"), "{kind:?}: {}", seen[0]);
        // The stream is still open, so the event was not held back until the end of the answer.
        assert!(curl.try_wait().unwrap().is_none(), "{kind:?}");
    }
}

/// A proxy that keeps a connection on which it owes the server a body loses the next request on it, of any client.
#[tokio::test]
async fn a_refusal_before_the_body_does_not_disturb_other_requests_over_http_2() {
    for kind in [Kind::Haproxy, Kind::Nginx, Kind::Caddy] {
        if missing(kind) {
            continue;
        }
        let (sale, behind, _) = sale().await;
        let edge = Edge::start(kind, &Certificate::make(&sale), behind).await;
        let long = sale.instance.folder().join("long");
        std::fs::write(&long, "x".repeat(60_000)).unwrap();
        let long = format!("@{}", long.display());
        for round in 0..20 {
            for (body, path, status) in
                [("{}", "/nowhere", "404"), (long.as_str(), "/nowhere", "404"), ("{}", "/payments", "401")]
            {
                let printed = edge.printed(PROXIES, path, "%{http_code}", &["--http2", "--json", body]).await;
                assert_eq!(printed, status, "{kind:?}, {round}, {path} {}: {}", body.len(), edge.log());
            }
            let printed = edge.printed("127.0.1.1", "/lectures", "%{http_code}", &["--http2"]).await;
            assert_eq!(printed, "200", "{kind:?}, {round}: {}", edge.log());
        }
    }
}

#[tokio::test]
async fn plain_http_is_redirected_and_metrics_are_not_exposed() {
    for kind in [Kind::Haproxy, Kind::Nginx, Kind::Caddy] {
        if missing(kind) {
            continue;
        }
        let (sale, behind, _) = sale().await;
        let edge = Edge::start(kind, &Certificate::make(&sale), behind).await;
        assert_eq!(edge.printed(PROXIES, "/metrics", "%{http_code}", &[]).await, "404", "{kind:?}");
        assert_eq!(
            edge.printed(PROXIES, "/lectures?limit=1", "%{http_code} %{http_version}", &[]).await,
            "200 2",
            "{kind:?}"
        );
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}", "--data", "x"]);
        curl.args(["--header", &format!("Host: {NAME}")]).arg(format!("http://{}/lectures?limit=1", edge.plain));
        let run = ran(&mut curl).await;
        let printed = String::from_utf8(run.stdout).unwrap();
        // Caddy names the port, if it is not 443.
        let printed = printed.replace(&format!("{NAME}:"), NAME);
        assert!(
            printed.starts_with(&format!("308 https://{NAME}")) && printed.ends_with("/lectures?limit=1"),
            "{kind:?}: {printed}"
        );
    }
}

/// Compares the parts of the files with and without TLS that are about requests and instances.
#[test]
fn the_tls_configuration_treats_requests_as_the_plain_one_does() {
    let from = |file: &str, mark: &str| {
        let text = files::text(file);
        let at = text.find(mark).unwrap_or_else(|| panic!("{file} holds {mark:?}"));
        text[at..].to_owned()
    };
    let until = |text: &str, mark: &str| text[..text.find(mark).unwrap_or_else(|| panic!("{mark:?}"))].to_owned();
    for mark in ["\nbackend instances", "    # X-Forwarded-For names the client"] {
        assert_eq!(from("deploy/haproxy.cfg", mark), from("deploy/haproxy-tls.cfg", mark));
    }
    let times = |file: &str| until(&from(file, "defaults\n"), "\nfrontend");
    assert_eq!(times("deploy/haproxy.cfg"), times("deploy/haproxy-tls.cfg"));
    let mark = "        # Larger than what onsale takes";
    assert_eq!(from("deploy/nginx.conf", mark), from("deploy/nginx-tls.conf", mark));
    let trust = |file: &str| until(&from(file, "worker_processes"), "\n    server {");
    assert_eq!(trust("deploy/nginx.conf"), trust("deploy/nginx-tls.conf"));
}
