//! Settings: where they come from, what is said of bad ones, and what is never said.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod commands;
mod demo;
mod files;
mod log;
mod modes;
mod positions;
mod secrets;
#[path = "../support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::process::Output;

use onsale_testing::{Caller, Launch, Sale};
use serde_json::{Value, json};
use support::{ONSALE, until};

/// A port that is in use: a command that gets as far as binding it fails with another error.
fn taken_port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn said(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

/// That a setting was refused by the name under which it was set, before anything began.
#[track_caller]
fn assert_bad(run: &Output, named: &[&str]) {
    let said = said(run);
    assert_eq!(run.status.code(), Some(2), "{named:?}: {said}");
    assert!(named.iter().all(|name| said.contains(name)), "{named:?}: {said}");
    assert!(run.stdout.is_empty() && !said.contains("panicked"), "{named:?}: {said}");
}

/// Every setting with a value that it takes, and values that it does not.
const TABLE: [(&str, &str, &[&str]); 50] = [
    ("listen", "127.0.0.1:0", &["nonsense", "127.0.0.1", "127.0.0.1:99999", "example.com:80"]),
    ("database-url", "sqlite://onsale.db", &["onsale.db", "sqlite://", "mysql://h/sale", "sqlite://x?mode=ro"]),
    ("redis-url", "redis://127.0.0.1:1", &["127.0.0.1:6379", "redis://", "http://127.0.0.1", "redis-cluster://a,"]),
    ("auth", "open", &["maybe", "OPEN", "jwt"]),
    ("jwt-secret", "a-secret-of-thirty-two-characters", &[]),
    ("jwt-secret-previous", "another-secret-of-thirty-two-chars", &[]),
    ("jwt-public-key", "key.pem", &[]),
    ("jwt-issuer", "https://issuer.example", &[]),
    ("jwt-audience", "onsale", &[]),
    ("jwks-url", "https://issuer.example/keys", &["issuer.example", "ftp://a/keys", "http://", "http://a/keys"]),
    (
        "oidc-issuer",
        "https://id.example",
        &["id.example", "ftp://id.example", "http://id.example", "https://id.example?a"],
    ),
    ("oidc-client-id", "onsale", &[]),
    ("oidc-client-secret", "a-secret-of-thirty-two-characters", &[]),
    ("admin-key", "an-admin-key", &["x", "four", "two words", "schlüssel"]),
    ("admin-key-previous", "another-admin-key", &["x", "four", "two words", "schlüssel"]),
    ("token-secret", "a-secret-of-thirty-two-characters", &[]),
    ("token-secret-previous", "another-secret-of-thirty-two-chars", &[]),
    ("ticket-key", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", &["c2hvcnQ=", "not base64"]),
    ("timezone", "Europe/Oslo", &["Mars/Olympus", "+09:00x"]),
    ("hold-seconds", "60", &["0", "-1", "1.5", "a while", "86401", "99999999999999999999"]),
    ("queue-max-active", "10", &["0", "-5", "1000001", "all"]),
    ("queue-admit-per-second", "10", &["0", "1000001", "1e3"]),
    ("queue-active-seconds", "10", &["0", "86401", "10s"]),
    ("queue-claim-seconds", "10", &["0", "3601", "ten"]),
    ("queue-strict", "true", &["yes", "1", "TRUE"]),
    ("charge", "staff", &["user", "Self", "true"]),
    ("pages", "off", &["desk", "Off", "false"]),
    ("trusted-proxies", "127.0.0.1, 10.0.0.0/8,::1", &["10.0.0.0/33", "example.com", "10.0.0.1 10.0.0.2"]),
    ("client-address-header", "CF-Connecting-IP", &["two words", "a:b", "X-Forwarded-For,Forwarded"]),
    ("rate-limit-per-second", "0", &["-1", "many", "1000001"]),
    ("rate-limit-per-user-per-second", "0", &["-1", "many", "1000001"]),
    ("entries-per-minute", "0", &["-1", "many"]),
    ("caches", "false", &["off", "maybe"]),
    ("entries-per-user-per-minute", "0", &["-1", "many"]),
    ("idempotency-keys-per-user", "0", &["-1", "many", "10000001"]),
    ("queue-polls-per-second", "100", &["0", "-1", "all"]),
    ("kafka-brokers", "127.0.0.1:9092,b:1", &["127.0.0.1", "a:b", ":9092", "a:0"]),
    ("kafka-partitions", "3", &["0", "1001"]),
    ("relay", "false", &["no"]),
    ("events-kept-days", "30", &["0", "-1", "a week"]),
    ("data-platform-url", "https://example.com/events", &["example.com", "ftp://a"]),
    ("metrics-listen", "127.0.0.1:0", &["9090", "a:b"]),
    ("rate-limit-loopback", "true", &["on", "0"]),
    ("connections-max", "10", &["0", "-1", "lots"]),
    ("idle-seconds", "1", &["0", "-1", "1.5", "3601", "a while"]),
    ("drain-seconds", "0", &["-1", "0.5", "3601", "a while"]),
    ("otlp-endpoint", "http://127.0.0.1:4318", &["127.0.0.1:4318", "ftp://a", "http://"]),
    ("otlp-sample", "0.5", &["-0.1", "1.5", "NaN", "all"]),
    ("log", "debug", &["loud", "-1x"]),
    ("log-format", "text", &["xml"]),
];

fn variable(name: &str) -> String {
    format!("ONSALE_{}", key(name).to_uppercase())
}

fn key(name: &str) -> String {
    name.replace('-', "_")
}

#[tokio::test]
async fn a_bad_setting_is_refused_by_its_name() {
    let (_listener, address) = taken_port();
    for (name, _, bad) in TABLE {
        for value in bad {
            let launch = || if name == "listen" { launch() } else { launch().set("ONSALE_LISTEN", &address) };
            let flag = format!("--{name}");
            let by_flag = launch().run(&["serve", &format!("{flag}={value}")]).await;
            assert_bad(&by_flag, &[&flag]);
            let is_secret = ["key", "secret", "previous"].iter().any(|end| name.ends_with(end)) && value.len() > 1;
            assert!(!is_secret || !said(&by_flag).contains(value), "a secret is not shown: {}", said(&by_flag));
            let variable = variable(name);
            let by_variable = launch().set(&variable, value).run(&["serve"]).await;
            assert_bad(&by_variable, &[&variable]);
            let launch = launch();
            write(&launch, "onsale.toml", &format!("{} = {}", key(name), Value::from(*value)));
            assert_bad(&launch.run(&["serve"]).await, &[&key(name), "onsale.toml"]);
        }
    }
}

fn launch() -> Launch {
    Launch::new(ONSALE)
}

fn write(launch: &Launch, name: &str, text: &str) {
    std::fs::write(launch.folder().join(name), text).unwrap();
}

#[tokio::test]
async fn every_setting_can_be_set_in_three_ways() {
    let lines: Vec<String> = TABLE.iter().map(|(name, good, _)| format!("{} = {good:?}", key(name))).collect();
    let in_file = launch();
    write(&in_file, "onsale.toml", &lines.join("\n"));
    let run = in_file.run(&["migrate"]).await;
    assert!(run.status.success(), "{}", said(&run));
    let in_environment = TABLE.iter().fold(launch(), |launch, (name, good, _)| launch.set(&variable(name), good));
    let run = in_environment.run(&["migrate"]).await;
    assert!(run.status.success(), "{}", said(&run));
    let flags: Vec<String> = TABLE.iter().map(|(name, good, _)| format!("--{name}={good}")).collect();
    let arguments: Vec<&str> = ["migrate"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    let run = launch().run(&arguments).await;
    assert!(run.status.success(), "{}", said(&run));
}

/// What a server makes of the setting for new rooms.
async fn max_active(launch: &Launch) -> Value {
    let sale = Sale::start(launch).await;
    let concert = sale.concert(&json!({})).await;
    let room = sale.admin(sale.caller.get(&format!("/admin/concerts/{concert}/queue"))).expect(200).await;
    room["maxActive"].clone()
}

#[tokio::test]
async fn flags_come_before_variables_before_the_file_before_defaults() {
    let launch = Sale::launch(ONSALE);
    assert_eq!(max_active(&launch).await, 200);
    write(&launch, "onsale.toml", "queue_max_active = 5\nhold_seconds = 300\n");
    assert_eq!(max_active(&launch).await, 5);
    let launch = launch.set("ONSALE_QUEUE_MAX_ACTIVE", 6);
    assert_eq!(max_active(&launch).await, 6);
    let launch = launch.with("--queue-max-active").with("7");
    assert_eq!(max_active(&launch).await, 7);

    let launch = Sale::launch(ONSALE).with("--config").with("another.toml");
    write(&launch, "onsale.toml", "queue_max_active = 5");
    write(&launch, "another.toml", "queue_max_active = 8");
    assert_eq!(max_active(&launch).await, 8, "the file that is named counts alone");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let table = [
        ("colour = \"blue\"", "colour"),
        ("hold-seconds = 5", "hold-seconds"),
        ("[queue]\nmax_active = 5", "queue"),
        ("hold_seconds = 1.5", "hold_seconds"),
        ("hold_seconds = 1979-05-27", "hold_seconds"),
        ("hold_seconds = ", "TOML"),
        ("hold_seconds = 5\nhold_seconds = 6", "TOML"),
    ];
    for (line, named) in table {
        let launch = launch();
        write(&launch, "onsale.toml", line);
        assert_bad(&launch.run(&["serve"]).await, &[named, "onsale.toml"]);
    }
    assert_bad(&launch().run(&["serve", "--config", "missing.toml"]).await, &["missing.toml"]);
    let launch = launch();
    std::fs::write(launch.folder().join("onsale.toml"), [0xff, 0xfe, 0x00]).unwrap();
    assert_bad(&launch.run(&["serve"]).await, &["onsale.toml"]);
}

#[tokio::test]
async fn another_file_is_named_as_it_was_named() {
    let launch = launch();
    write(&launch, "another.toml", "hold_seconds = 0");
    assert_bad(&launch.run(&["serve", "--config", "another.toml"]).await, &["hold_seconds", "another.toml"]);
}

#[cfg(not(feature = "otlp"))]
#[tokio::test]
async fn a_program_without_traces_does_not_pretend() {
    for command in ["serve", "relay", "consume"] {
        let launch = launch().set("ONSALE_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let launch = launch.set("ONSALE_KAFKA_BROKERS", "127.0.0.1:1");
        assert_bad(&launch.run(&[command]).await, &["ONSALE_OTLP_ENDPOINT", "--features otlp"]);
    }
}

#[tokio::test]
async fn an_unknown_setting_is_refused_or_logged() {
    let table = [
        (&["serve", "--colour", "blue"][..], "--colour"),
        (&["serve", "--holdseconds=5"], "--holdseconds"),
        (&["serve", "now"], "now"),
        (&["sell"], "sell"),
        (&["events", "forget"], "forget"),
        (&["completions", "tcsh5"], "tcsh5"),
    ];
    for (arguments, named) in table {
        assert_bad(&launch().run(arguments).await, &[named]);
    }
    let launch = launch().set("ONSALE_HOLD_SECOND", 5);
    let server = launch.start().await;
    until("an unknown variable is logged", async || server.log().contains("ONSALE_HOLD_SECOND").then_some(())).await;
}

#[tokio::test]
async fn open_doors_need_a_word() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let run = launch().set("ONSALE_LISTEN", address).run(&["serve"]).await;
        assert_bad(&run, &["ONSALE_AUTH", "ONSALE_AUTH=open-anywhere"]);
        let run = launch().run(&["serve", "--auth=open", &format!("--listen={address}")]).await;
        assert_bad(&run, &["--auth", "ONSALE_AUTH=open-anywhere"]);
    }
    let launch = launch().set("ONSALE_LISTEN", "0.0.0.0:0").set("ONSALE_AUTH", "open-anywhere");
    let server = launch.start().await;
    let port = server.base().strip_prefix("http://0.0.0.0:").unwrap();
    let caller = Caller::new(&format!("http://127.0.0.1:{port}"));
    let charged = caller.patch("/point/ada/charge").json(&json!({"amount": 5})).expect(200).await;
    assert_eq!(charged["balance"], 5);
}

#[tokio::test]
async fn jwt_needs_one_key() {
    let jwt = || launch().set("ONSALE_AUTH", "jwt");
    let keys = ["ONSALE_JWT_SECRET", "ONSALE_JWT_PUBLIC_KEY"];
    assert_bad(&jwt().run(&["serve"]).await, &["ONSALE_AUTH", keys[0], keys[1]]);
    let missing = jwt().set(keys[1], "missing.pem").run(&["serve"]).await;
    assert_bad(&missing, &[keys[1]]);
    let none = jwt();
    write(&none, "key.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    assert_bad(&none.set(keys[1], "key.pem").run(&["serve"]).await, &[keys[1]]);
    let server = jwt().set(keys[0], "short").set("ONSALE_LISTEN", "0.0.0.0:0").set("ONSALE_LOG", "warn").start().await;
    until("a weak secret is logged", async || server.log().contains("32 bytes").then_some(())).await;
    assert!(!server.log().contains("\"short\""), "and not shown");
}

#[tokio::test]
async fn a_sign_in_needs_its_settings() {
    let issuer = ("ONSALE_OIDC_ISSUER", "https://id.example");
    let client = ("ONSALE_OIDC_CLIENT_ID", "onsale");
    let secret = ("ONSALE_OIDC_CLIENT_SECRET", "a-secret-of-thirty-two-characters");
    let url = ("ONSALE_PUBLIC_URL", "https://shop.example");
    let key = ("ONSALE_JWT_SECRET", "a-secret-of-thirty-two-characters");
    let jwt = |settings: &[(&str, &str)]| {
        let launch = launch().set("ONSALE_AUTH", "jwt");
        settings.iter().fold(launch, |launch, (name, value)| launch.set(name, value))
    };
    let other = |jwt_issuer| ("ONSALE_JWT_ISSUER", jwt_issuer);
    for (settings, named) in [
        (&[key, client][..], &["ONSALE_OIDC_CLIENT_ID", "ONSALE_OIDC_ISSUER"][..]),
        (&[key, secret], &["ONSALE_OIDC_CLIENT_SECRET", "ONSALE_OIDC_ISSUER"]),
        (&[issuer, url], &["ONSALE_OIDC_ISSUER", "ONSALE_OIDC_CLIENT_ID"]),
        (&[issuer, client], &["ONSALE_OIDC_ISSUER", "ONSALE_PUBLIC_URL"]),
        (&[issuer, client, ("ONSALE_PUBLIC_URL", "http://shop.example")], &["ONSALE_PUBLIC_URL", "https"]),
        (&[issuer, client, url, other("https://other.example")], &["ONSALE_OIDC_ISSUER", "ONSALE_JWT_ISSUER"]),
        (&[issuer, client, url, other("https://id.example/")], &["ONSALE_OIDC_ISSUER", "ONSALE_JWT_ISSUER"]),
    ] {
        let run = jwt(settings).run(&["serve"]).await;
        assert_bad(&run, named);
        assert!(!said(&run).contains(secret.1), "a secret is not shown: {}", said(&run));
    }
    // The provider does not have to answer, and one who signs in needs no key of bearers.
    for settings in [&[issuer, client, url][..], &[issuer, client, secret, url, key, other("https://id.example")]] {
        drop(jwt(settings).start().await);
    }
}

/// The names of the files in a launch's folder.
fn files(launch: &Launch) -> Vec<String> {
    let entries = std::fs::read_dir(launch.folder()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_start_that_fails_leaves_no_file() {
    let (_listener, address) = taken_port();
    let url = "sqlite://new.db";
    for demo in [&[][..], &["--demo"]] {
        let launch = launch().set("ONSALE_LISTEN", &address).set("ONSALE_DATABASE_URL", url);
        let before = files(&launch);
        let run = launch.run(&[&["serve"], demo].concat()).await;
        assert_eq!(run.status.code(), Some(1), "{}", said(&run));
        assert_eq!(files(&launch), before, "a port in use");
    }
    for (name, value) in [("ONSALE_LISTEN", "192.0.2.1:1"), ("ONSALE_HOLD_SECONDS", "0"), ("ONSALE_AUTH", "jwt")] {
        let launch = launch().set("ONSALE_DATABASE_URL", url).set("ONSALE_AUTH", "open-anywhere").set(name, value);
        let before = files(&launch);
        let run = launch.run(&["serve", "--demo"]).await;
        assert!(!run.status.success(), "{name}={value}");
        assert_eq!(files(&launch), before, "{name}={value}");
    }
    for command in ["audit", "events", "consume"] {
        let launch = launch().set("ONSALE_DATABASE_URL", url);
        let before = files(&launch);
        assert_eq!(launch.run(&[command]).await.status.code(), Some(1), "{command}: there is no database");
        assert_eq!(files(&launch), before, "{command}");
    }
    for command in ["serve", "migrate", "seed"] {
        let launch = launch().set("ONSALE_LISTEN", "127.0.0.1:0").set("ONSALE_DATABASE_URL", "sqlite://diary.txt");
        write(&launch, "diary.txt", &"Dear diary, ".repeat(50));
        let before = files(&launch);
        let run = launch.run(&[command]).await;
        assert_eq!(run.status.code(), Some(1), "{command}: {}", said(&run));
        assert!(said(&run).contains("not a database"), "{command}: {}", said(&run));
        assert_eq!(files(&launch), before, "{command}: a file of something else");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let (_listener, address) = taken_port();
    let run = launch().set("ONSALE_LISTEN", &address).run(&["serve"]).await;
    assert_eq!(run.status.code(), Some(1));
    assert!(said(&run).contains(&address) && run.stdout.is_empty(), "{}", said(&run));
}
