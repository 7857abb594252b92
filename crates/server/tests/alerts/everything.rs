//! Everything that shows metrics, at work: a server on Postgres, Redis and Kafka with its relay and its consumer, and a
//! server on a file whose callers need bearers.

use std::net::SocketAddr;

use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::{Database, shared};
use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Balancer, Sale, without};
use serde_json::json;
use tokio::process::Child;

use crate::support::ONSALE;
use crate::watch::{address, beside};

pub(crate) struct Everything {
    sale: Sale,
    on_a_file: Sale,
    relay: (Child, SocketAddr),
    consumer: (Child, SocketAddr),
    _redis: Redis,
    _kafka: Kafka,
    // Dropped last, after all programs that use it.
    _database: Database,
}

impl Everything {
    /// Starts everything; `None` if this machine lacks a part.
    pub(crate) async fn start() -> Option<Self> {
        if ["prometheus", "kafka", "postgres", "redis"].into_iter().any(without) {
            return None;
        }
        let (redis, kafka) = (Redis::start(Keeps::Nothing).await, Kafka::start().await);
        let database = shared().await.migrated(ONSALE).await;
        let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_KAFKA_BROKERS", kafka.brokers());
        let launch = launch.set("ONSALE_REDIS_URL", redis.url()).set("ONSALE_RELAY", false);
        let sale = Sale::start(&launch).await;
        let (relay, consumer) = (beside(&launch, "relay").await, beside(&launch, "consume").await);
        // No server answers at the URL of its keys.
        let keys = Balancer::port();
        let launch = Sale::launch(ONSALE).set("ONSALE_AUTH", "jwt");
        let launch = launch.set("ONSALE_JWKS_URL", format_args!("http://{}/jwks", keys.address()));
        let launch = launch.set("ONSALE_OIDC_ISSUER", format_args!("http://{}", keys.address()));
        let launch = launch.set("ONSALE_OIDC_CLIENT_ID", "onsale").set("ONSALE_PUBLIC_URL", "http://127.0.0.1:9");
        let on_a_file = Sale::start(&launch).await;
        Some(Self { sale, on_a_file, relay, consumer, _redis: redis, _kafka: kafka, _database: database })
    }

    /// The addresses that serve metrics.
    pub(crate) fn targets(&self) -> [SocketAddr; 4] {
        [address(&self.sale), self.relay.1, self.consumer.1, address(&self.on_a_file)]
    }

    /// A visitor charges points, gets a turn, and pays what does not exist.
    pub(crate) async fn is_used(&self) {
        self.sale.charge("ada", 100).await;
        let concert = self.sale.concert(&json!({})).await;
        let ada = self.sale.active(&concert, "ada").await;
        let unknown = json!({"reservationId": "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01"});
        self.sale.pay(&ada, &unknown).refused(404, "reservation-not-found").await;
    }
}
