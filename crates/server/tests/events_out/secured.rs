//! With a Kafka that requires TLS, passwords and permissions, as managed services do.

use onsale_testing::kafka::{Guard, Kafka, PASSWORD, Resource, Right, USER};
use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Launch, Sale, without};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};

use crate::broken::admin;
use crate::scene::{Work, all_came_out, charge, value_of};
use crate::support::{ONSALE, until};

const TOPICS: [&str; 3] = ["onsale.points", "onsale.lectures", "onsale.concerts"];
const AWAY: &str = r#"onsale_part_degraded{part="kafka",condition="away"}"#;

/// A sale whose instance does not relay by itself, on the guarded listener of a broker.
async fn launch(kafka: &Kafka) -> (Launch, Database) {
    let database = shared().await.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_KAFKA_BROKERS", kafka.guarded_brokers());
    (launch.set("ONSALE_RELAY", false), database)
}

fn with_password(launch: Launch, mechanism: &str, password: &str) -> Launch {
    let launch = launch.set("ONSALE_KAFKA_SASL_MECHANISM", mechanism).set("ONSALE_KAFKA_SASL_USERNAME", USER);
    launch.set("ONSALE_KAFKA_SASL_PASSWORD", password)
}

/// Waits until `/readyz` and the metrics of an instance say that Kafka is degraded, for this reason.
async fn is_degraded(sale: &Sale, reason: &str) {
    let degraded = async || {
        let parts = sale.caller.get("/readyz").expect(200).await["parts"].clone();
        let kafka = parts.as_array().unwrap().iter().find(|part| part["part"] == "kafka").cloned().unwrap();
        (kafka["status"] == "degraded" && kafka["reasons"].to_string().contains(reason)).then_some(())
    };
    until(&format!("Kafka is degraded: {reason}"), degraded).await;
}

async fn metric(sale: &Sale, series: &str) -> Option<f64> {
    let metrics = sale.caller.get("/metrics").send().await;
    value_of(&String::from_utf8_lossy(&metrics.unpacked()), series)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_over_tls_with_a_client_certificate() {
    if ["postgres", "kafka", "openssl"].into_iter().any(without) {
        return;
    }
    let kafka = Kafka::start_guarded(Guard { encrypts: true, wants_certificates: true, ..Guard::default() }).await;
    let (launch, _database) = launch(&kafka).await;
    let (launch, keys) = (launch.set("ONSALE_KAFKA_SECURITY", "ssl"), kafka.keys());
    // As a file that holds the value, as a value that names a file, and in place.
    let key = std::fs::read_to_string(keys.path("client-key.pem")).unwrap();
    let launch = launch.set("ONSALE_KAFKA_CA_FILE", keys.path("ca.pem").display());
    let launch = launch.set("ONSALE_KAFKA_CERTIFICATE", keys.path("client.pem").display());
    let launch = launch.set("ONSALE_KAFKA_KEY", key);
    let sale = Sale::start(&launch).await;
    let (_relay, _consumer) = (Work::start(&launch, "relay"), Work::start(&launch, "consume"));
    charge(&sale, 0, 30).await;
    all_came_out(&launch, 30).await;
    until("Kafka is well", async || (metric(&sale, AWAY).await? == 0.0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_with_each_sasl_mechanism() {
    if ["postgres", "kafka", "openssl"].into_iter().any(without) {
        return;
    }
    let kafka = Kafka::start_guarded(Guard { encrypts: true, wants_passwords: true, ..Guard::default() }).await;
    let (launch, _database) = launch(&kafka).await;
    let launch = launch.set("ONSALE_KAFKA_SECURITY", "sasl_ssl");
    let mut launch = launch.set("ONSALE_KAFKA_CA", kafka.keys().path("ca.pem").display());
    launch = with_password(launch, "PLAIN", PASSWORD);
    let sale = Sale::start(&launch).await;
    for (round, mechanism) in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].into_iter().enumerate() {
        launch = launch.set("ONSALE_KAFKA_SASL_MECHANISM", mechanism);
        let (relay, consumer) = (Work::start(&launch, "relay"), Work::start(&launch, "consume"));
        charge(&sale, round, 20).await;
        all_came_out(&launch, 20 * (round + 1)).await;
        for work in [relay, consumer] {
            assert!(!work.log().contains(PASSWORD), "{}", work.log());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_password_or_certificate_is_reported_before_any_event() {
    if ["postgres", "kafka", "openssl"].into_iter().any(without) {
        return;
    }
    let kafka = Kafka::start_guarded(Guard { encrypts: true, wants_passwords: true, ..Guard::default() }).await;
    let (launch, _database) = launch(&kafka).await;
    let launch = launch.set("ONSALE_KAFKA_SECURITY", "sasl_ssl").set("ONSALE_RELAY", true);
    let launch = launch.set("ONSALE_KAFKA_CA", kafka.keys().path("ca.pem").display());
    let mut launch = with_password(launch, "SCRAM-SHA-512", "a-wrong-password");
    for reason in ["uthentication", "certificate verify failed"] {
        let sale = Sale::start(&launch).await;
        let (relay, consumer) = (Work::start(&launch, "relay"), Work::start(&launch, "consume"));
        is_degraded(&sale, reason).await;
        assert_eq!(metric(&sale, AWAY).await, Some(1.0));
        until("the cause is logged", async || sale.instance.log().contains(reason).then_some(())).await;
        for work in [relay, consumer] {
            work.has_logged(reason).await;
            work.until_metric(AWAY, |value| value == 1.0).await;
            assert!(!work.log().contains("a-wrong-password"), "{}", work.log());
        }
        launch = launch.set("ONSALE_KAFKA_CA", kafka.keys().path("other-ca.pem").display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn existing_topics_need_no_permission_to_create_them() {
    if ["postgres", "kafka"].into_iter().any(without) {
        return;
    }
    let kafka = Kafka::start_guarded(Guard { wants_passwords: true, wants_rights: true, ..Guard::default() }).await;
    for topic in TOPICS {
        kafka.grant(Resource::Topic, topic, Right::Write);
        kafka.grant(Resource::Topic, topic, Right::Read);
    }
    let (launch, _database) = launch(&kafka).await;
    let launch = launch.set("ONSALE_KAFKA_SECURITY", "sasl_plaintext").set("ONSALE_RELAY", true);
    let launch = with_password(launch, "SCRAM-SHA-256", PASSWORD);
    let sale = Sale::start(&launch).await;
    is_degraded(&sale, "is missing and this user may not make it").await;
    assert_eq!(metric(&sale, AWAY).await, Some(0.0), "the broker answers");
    let consumer = Work::start(&launch, "consume");
    consumer.has_logged("grant this user Read on the group onsale-data-platform").await;
    kafka.grant(Resource::Group, "onsale-data-platform", Right::Read);

    let topics = TOPICS.map(|name| NewTopic::new(name, 2, TopicReplication::Fixed(1)));
    let made = admin(&kafka).create_topics(&topics, &AdminOptions::new()).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    charge(&sale, 0, 20).await;
    all_came_out(&launch, 20).await;
    consumer.has_logged("condition is over").await;
    let topics = r#"onsale_part_degraded{part="kafka",condition="topics"}"#;
    until("nothing is missing", async || (metric(&sale, topics).await? == 0.0).then_some(())).await;
}

#[tokio::test]
async fn settings_that_do_not_fit_together_are_refused() {
    let sasl = |mechanism: &str, username: &str, password: &str| {
        [
            ("ONSALE_KAFKA_SASL_MECHANISM", mechanism.to_owned()),
            ("ONSALE_KAFKA_SASL_USERNAME", username.to_owned()),
            ("ONSALE_KAFKA_SASL_PASSWORD", password.to_owned()),
        ]
    };
    let one = |name, value: &str| vec![(name, value.to_owned())];
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let table = [
        ("tls", vec![], "ONSALE_KAFKA_SECURITY"),
        ("sasl_ssl", vec![], "ONSALE_KAFKA_SASL_MECHANISM"),
        ("sasl_ssl", sasl("GSSAPI", "me", "secret-word").into(), "ONSALE_KAFKA_SASL_MECHANISM"),
        ("sasl_ssl", sasl("PLAIN", "", "secret-word").into(), "ONSALE_KAFKA_SASL_USERNAME"),
        ("SASL_PLAINTEXT", sasl("plain", "me", "").into(), "ONSALE_KAFKA_SASL_PASSWORD"),
        ("plaintext", sasl("", "", "secret-word").into(), "ONSALE_KAFKA_SASL_PASSWORD"),
        ("ssl", sasl("PLAIN", "", "").into(), "ONSALE_KAFKA_SASL_MECHANISM"),
        ("sasl_plaintext", one("ONSALE_KAFKA_CA", certificate), "ONSALE_KAFKA_CA"),
        ("ssl", one("ONSALE_KAFKA_CA", "/no/such/file"), "ONSALE_KAFKA_CA"),
        ("ssl", one("ONSALE_KAFKA_CA", certificate), "ONSALE_KAFKA_CA"),
        ("ssl", one("ONSALE_KAFKA_CERTIFICATE", certificate), "ONSALE_KAFKA_KEY"),
        ("ssl", one("ONSALE_KAFKA_KEY", key), "ONSALE_KAFKA_CERTIFICATE"),
        ("ssl", one("ONSALE_KAFKA_KEY", certificate), "ONSALE_KAFKA_KEY"),
    ];
    for (security, settings, named) in table {
        let launch =
            Sale::launch(ONSALE).set("ONSALE_KAFKA_BROKERS", "127.0.0.1:1").set("ONSALE_KAFKA_SECURITY", security);
        let launch = settings.iter().fold(launch, |launch, (name, value)| launch.set(name, value));
        for command in ["serve", "relay", "consume"] {
            let run = launch.command(&[command]).output().await.unwrap();
            let said = String::from_utf8_lossy(&run.stderr).into_owned();
            assert_eq!(run.status.code(), Some(2), "{security} {settings:?}: {said}");
            assert!(said.starts_with(&format!("onsale: {named} ")), "{security} {settings:?} names {named}: {said}");
            assert!(!said.contains("secret-word"), "{said}");
        }
        assert!(!launch.folder().join("onsale.db").exists(), "nothing is left behind");
    }
}
