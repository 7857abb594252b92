//! What goes to standard output, what goes to the log, and what goes nowhere.

use onsale_testing::{Sale, Signal, now_millis};
use serde_json::{Value, json};

use super::launch;
use super::support::stream::Stream;
use super::support::{ONSALE, logged, text, until};

#[tokio::test]
async fn standard_output_is_for_the_address_and_standard_error_for_the_log() {
    let sale = Sale::start(&Sale::launch(ONSALE).set("ONSALE_LOG", "debug")).await;
    let base = sale.instance.base().to_owned();
    let port = base.strip_prefix("http://127.0.0.1:").expect("an address of this machine");
    assert!(port.parse::<u16>().unwrap() > 0, "port 0 picked a free one: {base}");
    sale.charge("ada", 5).await;
    sale.caller.get("/nowhere").refused(404, "not-found").await;
    sale.instance.signal(Signal::TERM);
    until("the end is logged", async || sale.instance.log().contains("\"stopped\"").then_some(())).await;
    assert_eq!(sale.instance.output().trim_end(), format!("onsale listening on {base}"), "and nothing else");
    let log = sale.instance.log();
    assert!(sale.instance.ended().await.success());
    assert!(log.lines().count() >= 4, "{log}");
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["level"].is_string() && entry["message"].is_string() && entry["timestamp"].is_string(), "{line}");
    }
    let launch = launch().set("ONSALE_LOG_FORMAT", "text").set("ONSALE_HOLD_SECOND", 1);
    let server = launch.start().await;
    let told = async || server.log().lines().next().map(str::to_owned);
    let line = until("something is logged", told).await;
    assert!(serde_json::from_str::<Value>(&line).is_err() && line.contains("WARN"), "for people: {line}");
}

/// The message about a setting that does nothing.
const IDLE: &str = "this setting has no effect in this process";

/// The lines of a log with this message.
fn entries(log: &str, message: &str) -> Vec<Value> {
    let entries = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter(|entry| entry["message"] == message).collect()
}

#[tokio::test]
async fn a_start_logs_what_is_on_and_off() {
    let launch = Sale::launch(ONSALE)
        .set("ONSALE_REDIS_URL", "redis://a-user:redis-password@127.0.0.1:1")
        .set("ONSALE_KAFKA_BROKERS", "127.0.0.1:1")
        .set("ONSALE_AUTH", "jwt")
        .set("ONSALE_JWT_SECRET", "a-secret-of-thirty-two-characters")
        .set("ONSALE_QUEUE_STRICT", "true");
    let sale = Sale::start(&launch).await;
    logged(&sale, "onsale starts").await;
    let log = sale.instance.log();
    let [start] = &entries(&log, "onsale starts")[..] else { panic!("one line logs the start: {log}") };
    let told = json!({
        "version": start["version"], "command": "serve", "redis": start["redis"], "kafka": "127.0.0.1:1", "relay": true,
        "data_platform": "none", "auth": "jwt", "queue_strict": true, "caches": true, "admin": true,
        "rate_limit_per_second": 2_000, "connections_max": 20_000, "events_kept_days": "none",
    });
    for (name, value) in told.as_object().unwrap() {
        assert_eq!(start[name], *value, "{name}: {start}");
    }
    assert!(start["version"].as_str().unwrap().starts_with(char::is_numeric), "{start}");
    assert!(start["redis"].as_str().unwrap().contains("127.0.0.1:1"), "{start}");
    assert!(start["database"].as_str().unwrap().contains("://"), "{start}");
    for secret in ["redis-password", "a-secret-of-thirty-two-characters", onsale_testing::ADMIN_KEY] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(entries(&log, IDLE).is_empty(), "{log}");
}

#[tokio::test]
async fn a_setting_without_effect_is_logged_once() {
    let launch = Sale::launch(ONSALE)
        .set("ONSALE_DATA_PLATFORM_URL", "http://a-user:platform-password@127.0.0.1:1")
        .set("ONSALE_KAFKA_GROUP", "a-group")
        .set("ONSALE_JWT_SECRET", "a-secret-of-thirty-two-characters")
        .with("--kafka-partitions=3");
    let sale = Sale::start(&launch).await;
    let whole = async || {
        let log = sale.instance.log();
        (entries(&log, IDLE).len() >= 4).then_some(log)
    };
    let log = until("each setting is logged", whole).await;
    let idle = entries(&log, IDLE);
    let names: Vec<&str> = idle.iter().map(|entry| entry["setting"].as_str().unwrap()).collect();
    let expected = ["--kafka-partitions", "ONSALE_KAFKA_GROUP", "ONSALE_DATA_PLATFORM_URL", "ONSALE_JWT_SECRET"];
    assert_eq!(names, expected, "{log}");
    assert!(
        idle.iter().all(|entry| entry["level"] == "WARN" && !entry["reason"].as_str().unwrap().is_empty()),
        "{log}"
    );
    assert!(!log.contains("platform-password") && !log.contains("a-secret-of-thirty-two"), "{log}");
}

/// A bearer of this user.
fn bearer(user: &str, secret: &str) -> String {
    let claims = json!({"sub": user, "exp": now_millis() / 1000 + 3_600});
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let (jwt_secret, token_secret) = ("the-jwt-secret-of-this-very-test-run", "the-token-secret-of-this-test-run");
    let launch = Sale::launch(ONSALE)
        .set("ONSALE_ADMIN_KEY", "an-admin-key-for-tests-only")
        .set("ONSALE_AUTH", "jwt")
        .set("ONSALE_JWT_SECRET", jwt_secret)
        .set("ONSALE_TOKEN_SECRET", token_secret)
        .set("ONSALE_LOG", "trace");
    let sale = Sale::start(&launch).await;
    let concert = sale.concert(&json!({})).await;
    let performance = sale.performance(&concert, &json!(null)).await;
    let (ada, stranger) = (bearer("ada", jwt_secret), bearer("ada", "another secret"));
    let charge = || sale.caller.patch("/point/ada/charge").json(&json!({"amount": 100_000}));
    charge().bearer(&ada).key("a-key-of-ada").expect(200).await;
    charge().bearer(&stranger).refused(401, "authentication-required").await;
    let enter = sale.caller.post("/queue/tokens").json(&json!({"userId": "ada", "concertId": concert}));
    let token = text(&enter.bearer(&ada).expect(201).await["token"]);
    let active = async || {
        let place = sale.caller.get("/queue/token").token(&token).bearer(&ada).expect(200).await;
        (place["status"] == "ACTIVE").then_some(())
    };
    until("a turn", active).await;
    let hold = sale.caller.post("/reservations").json(&json!({"performanceId": performance, "seats": [1]}));
    let held = hold.token(&token).bearer(&ada).expect(201).await;
    let mut stream = Stream::open(sale.instance.base(), &format!("/queue/token/events?token={token}"), &[]).await;
    assert_eq!(stream.next().await.unwrap().0, "active");
    sale.pay(&token, &held).bearer(&ada).expect(201).await;
    sale.caller.get("/queue/token").token(&format!("{token}x")).bearer(&ada).refused(401, "queue-token-invalid").await;
    let path = format!("/admin/concerts/{concert}/queue");
    sale.caller.get(&path).bearer("a-wrong-admin-key").refused(401, "admin-key-invalid").await;

    sale.instance.signal(Signal::TERM);
    until("the end is logged", async || sale.instance.log().contains("\"stopped\"").then_some(())).await;
    let log = sale.instance.log() + &sale.instance.output();
    assert!(log.contains("/queue/token/events") && log.lines().count() > 10, "requests are logged: {log}");
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    for secret in [
        "an-admin-key-for-tests-only".to_owned(),
        "a-wrong-admin-key".to_owned(),
        jwt_secret.to_owned(),
        token_secret.to_owned(),
        signature(&token),
        signature(&ada),
        signature(&stranger),
    ] {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}
