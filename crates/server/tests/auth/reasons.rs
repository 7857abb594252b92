//! The reason of a refused bearer is in the answer (RFC 6750), in the log and in the metrics; the bearer itself never is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onsale_testing::{Call, Sale, now_millis};
use serde_json::{Value, json};

use crate::support::{start, until};
use crate::{BY_SECRET, SECRET, bearer, claims, signed};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "onsale-tests";

fn key() -> EncodingKey {
    EncodingKey::from_secret(SECRET.as_bytes())
}

fn with(claims: &Value) -> String {
    signed(Algorithm::HS256, &key(), claims)
}

fn good() -> Value {
    json!({"sub": "ada", "exp": now_millis() / 1000 + 3_600, "iss": ISSUER, "aud": AUDIENCE})
}

/// The claims of a good bearer with one of them replaced, or left out if it is null.
fn but(name: &str, value: Value) -> String {
    let mut claims = good();
    claims[name] = value;
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    with(&claims)
}

/// A bearer with this header and a valid signature.
fn headed(head: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(head), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key(), Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

async fn start_strict() -> Sale {
    let settings = [&BY_SECRET[..], &[("ONSALE_JWT_ISSUER", ISSUER), ("ONSALE_JWT_AUDIENCE", AUDIENCE)]].concat();
    start(&settings).await
}

/// Expects a refusal with this word in its detail, and the same detail in the challenge.
async fn refused_for(call: Call, word: &str) {
    let reply = call.send().await;
    let problem = reply.refused(401, "authentication-required");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(word), "{word}: {detail}");
    let challenge = reply.header("www-authenticate").unwrap();
    assert_eq!(challenge, format!("Bearer error=\"invalid_token\", error_description=\"{detail}\""));
}

#[tokio::test]
async fn the_answer_names_the_reason_of_a_refused_bearer() {
    let sale = start_strict().await;
    let now = now_millis() / 1000;
    let other = EncodingKey::from_secret(b"another-secret-of-32-bytes-and-more-for-tests");
    let table = [
        (but("exp", json!(now - 3_600)), "(exp)"),
        (but("exp", json!(null)), "exp"),
        (but("exp", json!("tomorrow")), "exp"),
        (but("nbf", json!(now + 3_600)), "not valid yet"),
        (but("nbf", json!("now")), "nbf"),
        (but("iss", json!("https://other.example")), "(iss)"),
        (but("iss", json!(null)), "(iss)"),
        (but("iss", json!(format!("{ISSUER}/"))), "(iss)"),
        (but("aud", json!("another")), "(aud)"),
        (but("aud", json!(null)), "(aud)"),
        (but("aud", json!([])), "(aud)"),
        (but("aud", json!(["another", "third"])), "(aud)"),
        (but("aud", json!(7)), "(aud)"),
        (but("sub", json!(42)), "sub"),
        (but("sub", json!(null)), "sub"),
        (but("sub", json!("")), "sub"),
        (but("sub", json!(format!("u_{}", "x".repeat(43)))), "sub"),
        (signed(Algorithm::HS256, &other, &good()), "signature"),
        (signed(Algorithm::HS512, &key(), &good()), "(alg)"),
        (headed(&json!({"alg": "HS256", "crit": ["exp"], "exp": 1}), &good()), "(crit)"),
        (headed(&json!({"alg": "HS256", "crit": []}), &good()), "(crit)"),
        (headed(&json!({"alg": "HS256", "crit": null}), &good()), "(crit)"),
        (headed(&json!({"alg": "HS256", "crit": "b64", "b64": false}), &good()), "(crit)"),
        (headed(&json!({"alg": "none"}), &good()), "(alg)"),
        (headed(&json!({"alg": "HS256", "kid": 7}), &good()), "no JWT"),
        (headed(&json!(["HS256"]), &good()), "no JWT"),
        (headed(&json!({"alg": "HS256"}), &json!("ada")), "no JWT"),
        ("nonsense".to_owned(), "no JWT"),
        ("a.b.c.d".to_owned(), "no JWT"),
    ];
    for (bearer, word) in table {
        refused_for(sale.caller.get("/point/ada").bearer(&bearer), word).await;
    }
    let twice = sale.caller.get("/point/ada").bearer(&with(&good())).bearer(&with(&good()));
    refused_for(twice, "more than one").await;
    for accepted in [
        with(&good()),
        but("aud", json!([AUDIENCE, "another"])),
        headed(&json!({"alg": "HS256", "kid": "any", "typ": "at+jwt"}), &good()),
    ] {
        sale.caller.get("/point/ada").bearer(&accepted).expect(200).await;
    }
}

#[tokio::test]
async fn a_challenge_without_credentials_has_no_error_code() {
    let sale = start(&BY_SECRET).await;
    let without = |path: &str| sale.caller.get(path);
    let admin = "/admin/concerts/019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01/queue";
    for call in [
        without("/point/ada"),
        without("/point/ada").header("authorization", "Basic YWRhOmFkYQ=="),
        without("/point/ada").header("authorization", "Bearer"),
        without(admin),
        without(admin).header("authorization", "Basic YWRhOmFkYQ=="),
    ] {
        let reply = call.send().await;
        assert_eq!((reply.status.as_u16(), reply.header("www-authenticate")), (401, Some("Bearer")), "{}", reply.call);
    }
    let reply = without(admin).bearer("a-wrong-admin-key").send().await;
    reply.refused(401, "admin-key-invalid");
    assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer error=\"invalid_token\", error_desc"));
    let reply = sale.caller.get("/queue/token").bearer(&bearer("ada")).send().await;
    assert_eq!(reply.header("www-authenticate"), Some("Queue-Token"));
}

#[tokio::test]
async fn issuer_and_audience_are_checked_only_if_they_are_set() {
    let sale = start(&BY_SECRET).await;
    let mut claims = claims("ada");
    for (issuer, audience) in [(json!("any"), json!("any")), (json!(7), json!({})), (json!(null), json!(["a", "b"]))] {
        (claims["iss"], claims["aud"]) = (issuer, audience);
        sale.caller.get("/point/ada").bearer(&with(&claims)).expect(200).await;
    }
}

#[tokio::test]
async fn refused_bearers_are_counted_and_logged_but_not_shown() {
    let sale = start_strict().await;
    let expired = but("exp", json!(now_millis() / 1000 - 3_600));
    for _ in 0..50 {
        sale.caller.get("/point/ada").bearer(&expired).expect(401).await;
    }
    let line = async || sale.instance.log().contains("has expired").then_some(());
    until("the reason is logged", line).await;
    let log = sale.instance.log();
    assert!(log.matches("has expired").count() < 10, "not a line for each: {log}");
    assert!(expired.split('.').all(|part| !log.contains(part)), "{log}");
    let metrics = sale.caller.get("/metrics").send().await.body;
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    assert!(metrics.contains("onsale_bearers_refused_total{reason=\"expired\"} 50"), "{metrics}");
}

#[tokio::test]
async fn a_cached_bearer_expires_with_its_exp() {
    let sale = start(&BY_SECRET).await;
    // The leeway of 30 s, minus 2 s for the test itself.
    let exp = now_millis() / 1000 - 28;
    let short = signed(Algorithm::HS256, &key(), &json!({"sub": "ada", "exp": exp}));
    let call = || sale.caller.get("/point/ada").bearer(&short);
    call().expect(200).await;
    let ended = async || (call().send().await.status == 401).then_some(());
    until("it expires", ended).await;
    let unsigned = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims("ada"), &key()).unwrap();
    let (message, _) = unsigned.rsplit_once('.').unwrap();
    sale.caller.get("/point/ada").bearer(&unsigned).expect(200).await;
    refused_for(sale.caller.get("/point/ada").bearer(&format!("{message}.AAAA")), "signature").await;
}
