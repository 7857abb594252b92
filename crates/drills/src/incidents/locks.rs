//! Locks that other programs take.

use std::time::{Duration, Instant};

use onsale_testing::postgres::driver::Client;
use serde_json::json;

use super::Incident;
use crate::scene::{Scene, Stage};

/// Longest time until Postgres finds a deadlock.
const DEADLOCK_MAX: Duration = Duration::from_secs(90);

/// A session of another program locks the performance, and is left open.
pub(super) struct ForeignLock;

impl Incident for ForeignLock {
    const NAME: &'static str = "foreign-lock";

    async fn cause(&mut self, scene: &mut Scene) {
        let sql = scene.sql().await;
        let lock = format!(
            "SET application_name = 'report'; BEGIN; \
             SELECT FROM performances WHERE performance_id = '{}' FOR UPDATE",
            scene.performance
        );
        sql.batch_execute(&lock).await.expect("the performance is locked");
        scene.sessions.push(sql);
    }

    fn what(&self) -> &'static str {
        "another program locks the performance and does not end its transaction"
    }
}

/// Another program locks the same rows as the sale, in another order.
pub(super) struct Deadlocks;

impl Incident for Deadlocks {
    const NAME: &'static str = "deadlocks";

    fn stage(&self) -> Stage {
        // Postgres looks for a deadlock before a batch gives up waiting for a lock; usually it is the other way round.
        Stage { parameters: &[("deadlock_timeout", "150ms")], ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        scene.shell.set("POSTGRES_LOG", scene.parts.store.server().log_path().display());
    }

    async fn cause(&mut self, scene: &mut Scene) {
        let sql = scene.sql().await;
        // It waits for locks longer than the sale, so Postgres ends the transaction of the sale.
        let waits = "SET application_name = 'nightly-job'; SET deadlock_timeout = '10min'";
        sql.batch_execute(waits).await.expect("a session of another program");
        let (began, mut tries) = (Instant::now(), 0);
        while scene.parts.store.server().deadlocks().await == 0 {
            assert!(began.elapsed() < DEADLOCK_MAX, "Postgres finds no deadlock");
            tries += 1;
            lock_in_the_wrong_order(scene, &sql, tries).await;
        }
        scene.sessions.push(sql);
    }

    fn what(&self) -> &'static str {
        "another program locks the performance before a wallet; the sale does it the other way round"
    }
}

/// The other program locks the performance and then a wallet, while the sale holds the wallet and waits for the performance.
async fn lock_in_the_wrong_order(scene: &Scene, sql: &Client, tries: u32) {
    let (user, first) = (format!("stray-{tries}"), scene.first());
    let token = first.active(&scene.concert, &user).await;
    first.charge(&user, 100).await;
    let lock = format!("BEGIN; SELECT FROM performances WHERE performance_id = '{}' FOR UPDATE", scene.performance);
    sql.batch_execute(&lock).await.expect("the performance is locked");
    let body = json!({"performanceId": scene.performance, "seats": [19_000 + tries]});
    let held = tokio::spawn(first.caller.post("/reservations").token(&token).json(&body).try_send());
    let other = scene.sql().await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let began = Instant::now();
    while other.query_one(waits, &[]).await.expect("the sessions").get::<_, i64>(0) == 0 {
        assert!(began.elapsed() < DEADLOCK_MAX, "no session waits for the performance");
    }
    let wallet = format!("SELECT FROM accounts WHERE user_id = '{user}' FOR UPDATE; COMMIT");
    sql.batch_execute(&wallet).await.expect("the wallet is locked");
    // Either answer will do: a later try may close the circle.
    drop(held.await);
}
