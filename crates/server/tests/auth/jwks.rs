//! The JWK Set: fetched at start, fetched again for an unknown key id, kept if a fetch fails.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onsale_testing::Sale;
use serde_json::{Value, json};

use crate::keys::{EC_PRIVATE, EC_PUBLIC, RSA_PRIVATE};
use crate::other_keys::{SECOND_EC_PRIVATE, SECOND_EC_PUBLIC};
use crate::support::{at_once, start, until};
use crate::{SECRET, bearer, claims};

/// The JWK Set that an issuer publishes, and the number of requests for it.
struct Published {
    asked: usize,
    status: StatusCode,
    body: String,
    /// The time before each answer.
    slow: Duration,
}

#[derive(Clone)]
struct Issuer {
    published: Arc<Mutex<Published>>,
    url: String,
}

async fn publish(State(published): State<Arc<Mutex<Published>>>) -> Response {
    let (slow, status, body) = {
        let mut published = published.lock().unwrap();
        published.asked += 1;
        (published.slow, published.status, published.body.clone())
    };
    tokio::time::sleep(slow).await;
    (status, body).into_response()
}

impl Issuer {
    async fn start(keys: &[Value]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let body = json!({"keys": keys}).to_string();
        let published = Published { asked: 0, status: StatusCode::OK, body, slow: Duration::ZERO };
        let issuer = Self { published: Arc::new(Mutex::new(published)), url };
        let router = Router::new().route("/keys", get(publish)).with_state(issuer.published.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    async fn sale(&self) -> Sale {
        start(&[("ONSALE_AUTH", "jwt"), ("ONSALE_JWKS_URL", &self.url)]).await
    }

    fn change(&self, change: impl FnOnce(&mut Published)) {
        change(&mut self.published.lock().unwrap());
    }

    fn publishes(&self, keys: &[Value]) {
        self.change(|published| published.body = json!({"keys": keys}).to_string());
    }

    fn asked(&self) -> usize {
        self.published.lock().unwrap().asked
    }
}

/// A P-256 key as a JWK: the last 64 bytes of its DER are its coordinates.
fn ec(id: &str, pem: &str) -> Value {
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let (x, y) = der[der.len() - 64..].split_at(32);
    let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256", "x": x, "y": y, "extra": [1]})
}

/// The RSA key of these tests as a JWK.
fn rsa(id: &str) -> Value {
    let key = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    let mut jwk = json!(jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap());
    jwk["kid"] = id.into();
    jwk
}

fn signed(id: Option<&str>, algorithm: Algorithm, key: &EncodingKey) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, &claims("ada"), key).unwrap()
}

fn by_ec(id: &str, private: &str) -> String {
    signed(Some(id), Algorithm::ES256, &EncodingKey::from_ec_pem(private.as_bytes()).unwrap())
}

fn by_rsa(id: Option<&str>) -> String {
    signed(id, Algorithm::RS256, &EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap())
}

async fn is_believed(sale: &Sale, bearer: &str) {
    sale.caller.get("/point/ada").bearer(bearer).expect(200).await;
}

async fn is_refused_for(sale: &Sale, bearer: &str, word: &str) {
    let problem = sale.caller.get("/point/ada").bearer(bearer).refused(401, "authentication-required").await;
    assert!(problem["detail"].as_str().unwrap().contains(word), "{word}: {problem}");
}

#[tokio::test]
async fn the_keys_of_a_set_are_trusted_by_their_ids() {
    let odd = [json!({"kty": "oct", "kid": "o", "k": "AAAA"}), json!({"kty": "OKP", "crv": "Ed25519"}), json!(7)];
    let keys = [&odd[..], &[ec("one", EC_PUBLIC), rsa("two"), ec("three", SECOND_EC_PUBLIC)]].concat();
    let issuer = Issuer::start(&keys).await;
    let sale = issuer.sale().await;
    for good in [by_ec("one", EC_PRIVATE), by_rsa(Some("two")), by_rsa(None), by_ec("three", SECOND_EC_PRIVATE)] {
        is_believed(&sale, &good).await;
    }
    is_refused_for(&sale, &by_ec("three", EC_PRIVATE), "signature").await;
    is_refused_for(&sale, &by_ec("two", EC_PRIVATE), "(alg)").await;
    is_refused_for(&sale, &bearer("ada"), "(alg)").await;
    assert_eq!(issuer.asked(), 1, "none of these has an unknown id");
    let ready = sale.caller.get("/readyz").expect(200).await;
    let part = ready["parts"].as_array().unwrap().iter().find(|part| part["part"] == "jwks");
    assert_eq!(part.unwrap()["status"], "ok");
}

#[tokio::test]
async fn unknown_key_ids_request_at_most_one_fetch_a_minute() {
    let issuer = Issuer::start(&[ec("one", EC_PUBLIC)]).await;
    let sale = issuer.sale().await;
    is_believed(&sale, &by_ec("one", EC_PRIVATE)).await;
    issuer.publishes(&[ec("one", EC_PUBLIC), ec("two", SECOND_EC_PUBLIC)]);
    issuer.change(|published| published.slow = Duration::from_millis(300));
    let second = by_ec("two", SECOND_EC_PRIVATE);
    let new = at_once((0..20).map(|_| sale.caller.get("/point/ada").bearer(&second)));
    let known = by_ec("one", EC_PRIVATE);
    let known = at_once((0..20).map(|_| sale.caller.get("/point/ada").bearer(&known)));
    let (new, known) = tokio::join!(new, known);
    for reply in new.iter().chain(&known) {
        reply.expect(200);
    }
    assert_eq!(issuer.asked(), 2, "all of them share one fetch");
    for number in 0..20 {
        is_refused_for(&sale, &by_ec(&format!("made-up-{number}"), EC_PRIVATE), "(kid)").await;
    }
    assert_eq!(issuer.asked(), 2, "no more within the minute");
}

#[tokio::test]
async fn a_request_waits_for_a_fetch_that_began_after_it_came() {
    let issuer = Issuer::start(&[ec("one", EC_PUBLIC)]).await;
    let sale = issuer.sale().await;
    // Longer than it takes to send the second request. That one waits for two fetches, and gives up after 6 s.
    issuer.change(|published| published.slow = Duration::from_secs(2));
    let (made_up, second) = (by_ec("made-up", EC_PRIVATE), by_ec("two", SECOND_EC_PRIVATE));
    let first = is_refused_for(&sale, &made_up, "(kid)");
    let then = async {
        until("the set is being fetched", async || (issuer.asked() == 2).then_some(())).await;
        // The issuer publishes this key only now, so the running fetch does not bring it.
        issuer.publishes(&[ec("one", EC_PUBLIC), ec("two", SECOND_EC_PUBLIC)]);
        is_believed(&sale, &second).await;
    };
    tokio::join!(first, then);
    assert_eq!(issuer.asked(), 3);
    is_refused_for(&sale, &made_up, "(kid)").await;
    assert_eq!(issuer.asked(), 3, "no more within the minute");
}

/// A server behind a proxy on this machine, so that its limits by address hold for clients.
fn behind_a_proxy<'a>(issuer: &'a Issuer, limit: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("ONSALE_AUTH", "jwt"),
        ("ONSALE_JWKS_URL", &issuer.url),
        ("ONSALE_TRUSTED_PROXIES", "127.0.0.1"),
        ("ONSALE_RATE_LIMIT_PER_SECOND", limit),
        ("ONSALE_RATE_LIMIT_PER_USER_PER_SECOND", "1000"),
    ]
}

const OFFICE: (&str, &str) = ("x-forwarded-for", "203.0.113.7");

#[tokio::test]
async fn a_public_route_never_waits_for_keys() {
    let issuer = Issuer::start(&[ec("one", EC_PUBLIC)]).await;
    let sale = start(&behind_a_proxy(&issuer, "1000")).await;
    issuer.change(|published| published.slow = Duration::from_secs(4));
    let unknown = by_ec("made-up", EC_PRIVATE);
    for path in ["/concerts", "/lectures", "/openapi.json"] {
        sale.caller.get(path).header(OFFICE.0, OFFICE.1).bearer(&unknown).expect(200).await;
    }
    assert_eq!(issuer.asked(), 1, "no route needed the bearer");
}

#[tokio::test]
async fn a_fetch_of_unchanged_keys_keeps_known_bearers_valid() {
    let issuer = Issuer::start(&[ec("one", EC_PUBLIC)]).await;
    let sale = start(&behind_a_proxy(&issuer, "5")).await;
    let call = |bearer: &str| sale.caller.get("/point/ada").header(OFFICE.0, OFFICE.1).bearer(bearer);
    let known = by_ec("one", EC_PRIVATE);
    call(&known).expect(200).await;
    call(&by_ec("made-up", EC_PRIVATE)).refused(401, "authentication-required").await;
    assert_eq!(issuer.asked(), 2, "the set was fetched again");
    let forged = by_ec("one", SECOND_EC_PRIVATE);
    let shut = async || {
        let replies = at_once((0..40).map(|_| call(&forged))).await;
        let last = call(&known).send().await;
        assert_eq!(last.status, 200, "{last:?}");
        replies.iter().any(|reply| reply.status == 429).then_some(())
    };
    until("the address has used up its limit of bad bearers", shut).await;
}

#[tokio::test]
async fn keys_stay_trusted_if_a_fetch_fails() {
    let issuer = Issuer::start(&[ec("one", EC_PUBLIC)]).await;
    let good = by_ec("one", EC_PRIVATE);
    let many: Vec<Value> = (0..101).map(|number| ec(&number.to_string(), EC_PUBLIC)).collect();
    let bodies = [
        (500, json!({"keys": []}).to_string()),
        (200, "{".to_owned()),
        (200, json!({"keys": []}).to_string()),
        (200, json!({"keys": many}).to_string()),
        (200, format!("{{\"keys\": [{}]}}{}", ec("two", SECOND_EC_PUBLIC), " ".repeat(2 * 1024 * 1024))),
        (302, json!({"keys": [ec("two", SECOND_EC_PUBLIC)]}).to_string()),
    ];
    for (status, body) in bodies {
        issuer.change(|published| published.status = StatusCode::OK);
        issuer.publishes(&[ec("one", EC_PUBLIC)]);
        let sale = issuer.sale().await;
        issuer.change(|published| {
            (published.status, published.body) = (StatusCode::from_u16(status).unwrap(), body);
        });
        let before = issuer.asked();
        is_refused_for(&sale, &by_ec("two", SECOND_EC_PRIVATE), "(kid)").await;
        assert!(issuer.asked() > before);
        is_believed(&sale, &good).await;
    }
}

#[tokio::test]
async fn a_server_that_starts_without_keys_reports_it_and_fetches_them_later() {
    let issuer = Issuer::start(&[]).await;
    issuer.change(|published| published.status = StatusCode::SERVICE_UNAVAILABLE);
    let settings = [("ONSALE_AUTH", "jwt"), ("ONSALE_JWKS_URL", issuer.url.as_str()), ("ONSALE_JWT_SECRET", SECRET)];
    let sale = start(&settings).await;
    let reply = sale.caller.get("/point/ada").bearer(&by_ec("one", EC_PRIVATE)).send().await;
    reply.refused(503, "unavailable");
    assert!(reply.header("retry-after").is_some());
    is_believed(&sale, &bearer("ada")).await;
    let ready = sale.caller.get("/readyz").expect(200).await;
    let part = ready["parts"].as_array().unwrap().iter().find(|part| part["part"] == "jwks");
    assert_eq!(part.unwrap()["status"], "degraded");
    issuer.publishes(&[ec("one", EC_PUBLIC)]);
    issuer.change(|published| published.status = StatusCode::OK);
    let later = async || {
        let reply = sale.caller.get("/point/ada").bearer(&by_ec("one", EC_PRIVATE)).send().await;
        (reply.status == 200).then_some(())
    };
    until("the keys are here", later).await;
}
