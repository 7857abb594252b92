//! A clock that is wrong for a moment: the system's under a server on a file, the database's under a server on Postgres.

use std::time::{Duration, Instant};

use onsale_testing::postgres::{Server, Setup};
use onsale_testing::{Launch, Sale, WallClock, now_millis, without};
use serde_json::{Value, json};

use crate::support::evening::path_of;
use crate::support::room::{room, token};
use crate::support::{ONSALE, logged, millis, until};

const HOLD_SECONDS: i64 = 8;

/// Half an hour, within which no turn of these tests ends.
const AHEAD: i64 = 1_800;

/// Far less than the clock was ahead.
const SOON: Duration = Duration::from_secs(180);

/// A sale with the clock that it goes by.
struct Scene {
    sale: Sale,
    launch: Launch,
    clock: Clock,
}

enum Clock {
    System(WallClock),
    Database(Box<Server>),
}

impl Scene {
    async fn on_file() -> Option<Self> {
        if without("faketime") {
            return None;
        }
        let launch = Sale::launch(ONSALE).on("sqlite://sale.db").set("ONSALE_HOLD_SECONDS", HOLD_SECONDS);
        let clock = WallClock::within(launch.folder());
        let launch = launch.by_clock(&clock);
        let sale = Sale::start(&launch).await;
        Some(Self { sale, launch, clock: Clock::System(clock) })
    }

    async fn on_postgres() -> Option<Self> {
        if without("faketime") || without("postgres") {
            return None;
        }
        let server = Setup::unsynced().with_own_clock().start().await;
        let launch = Sale::launch(ONSALE).on(server.url("postgres")).set("ONSALE_HOLD_SECONDS", HOLD_SECONDS);
        let sale = Sale::start(&launch).await;
        Some(Self { sale, launch, clock: Clock::Database(Box::new(server)) })
    }

    fn set_ahead(&self, seconds: i64) {
        match &self.clock {
            Clock::System(clock) => clock.set_ahead(seconds),
            Clock::Database(server) => server.set_clock_ahead(seconds),
        }
    }

    /// The number of a series in the metrics.
    async fn metric(&self, series: &str) -> f64 {
        let shown = String::from_utf8(self.sale.caller.get("/metrics").send().await.body.to_vec()).unwrap();
        let line = shown.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series}: {shown}")).parse().unwrap()
    }

    /// Waits until the server has seen the clock jump.
    async fn has_jumped(&self, direction: &str) {
        let series = format!("onsale_clock_jumps_total{{direction=\"{direction}\"}}");
        until("the jump is counted", async || (self.metric(&series).await >= 1.0).then_some(())).await;
    }

    /// Every invariant holds, and no history goes back in time.
    async fn is_sound(&self) {
        let audit = self.launch.run(&["audit"]).await;
        assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
        let events = self.launch.run(&["events", "--json"]).await;
        let mut last = std::collections::BTreeMap::new();
        for line in String::from_utf8(events.stdout).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let (subject, at) = (event["subject"].as_str().unwrap().to_owned(), millis(&event["time"]));
            let before = last.insert(subject, at).unwrap_or_default();
            assert!(before <= at, "the history goes on: {event}");
        }
    }
}

/// How long a hold lasts from now on, in milliseconds.
fn left(held: &Value) -> i64 {
    millis(&held["heldUntil"]) - now_millis()
}

async fn no_hold_is_longer(scene: Scene) {
    let Scene { sale, .. } = &scene;
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let [ada, bob, cyd] = [sale.active(&concert, "ada"), sale.active(&concert, "bob"), sale.active(&concert, "cyd")];
    let (ada, bob, cyd) = tokio::join!(ada, bob, cyd);
    sale.charge("bob", 1_000_000).await;

    scene.set_ahead(AHEAD);
    let ahead = sale.hold(&ada, &performance, &[1]).await;
    assert!(left(&ahead) > 1_000 * (AHEAD - 60), "the clock is ahead: {ahead}");
    sale.charge("bob", 1).await;
    scene.has_jumped("forward").await;
    scene.set_ahead(0);
    let set_back = Instant::now();
    for seat in 2..=3 {
        let held = sale.hold(&bob, &performance, &[seat]).await;
        assert!((1..=1_000 * HOLD_SECONDS).contains(&left(&held)), "as long as the setting: {held}");
        let paid = sale.pay(&bob, &held);
        if seat == 2 {
            sale.caller.delete(&path_of(&held)).token(&bob).expect(204).await;
        } else {
            let paid = paid.expect(201).await;
            assert!((millis(&paid["paidAt"]) - now_millis()).abs() < 60_000, "{paid}");
        }
    }
    scene.has_jumped("back").await;
    let ready = sale.caller.get("/readyz").send().await;
    let ready = (ready.status, String::from_utf8(ready.body.to_vec()).unwrap());
    assert!(ready.0 == 200 && ready.1.contains("clock jumped"), "{ready:?}");
    logged(sale, "clock jumped").await;

    let ended = async || (sale.caller.get(&path_of(&ahead)).expect(200).await["status"] == "EXPIRED").then_some(());
    until("the hold that was taken ahead ends", ended).await;
    assert!(set_back.elapsed() < SOON, "{:?}", set_back.elapsed());
    assert!(left(&sale.hold(&cyd, &performance, &[1]).await) <= 1_000 * HOLD_SECONDS);
    scene.is_sound().await;
}

async fn no_turn_is_longer(scene: Scene) {
    let Scene { sale, .. } = &scene;
    let settings = json!({"maxActive": 1, "admitPerSecond": 1, "activeSeconds": 3_600, "claimSeconds": 2});
    let concert = sale.concert(&settings).await;
    scene.set_ahead(AHEAD);
    // Read once, so that the server has seen it.
    sale.charge("ada", 1).await;
    let ada = sale.enter(&concert, "ada").await;
    sale.until_status(&token(&ada), "ACTIVE").await;
    scene.set_ahead(0);
    let set_back = Instant::now();
    sale.charge("ada", 1).await;
    let bob = token(&sale.enter(&concert, "bob").await);
    let place = sale.until(&bob, |place| {
        let as_of = millis(&place["asOf"]) - now_millis();
        place["status"] == "ACTIVE" && as_of < 60_000
    });
    let place = place.await;
    assert!(set_back.elapsed() < SOON, "the silent turn ended after {:?}", set_back.elapsed());
    assert!(millis(&place["activeUntil"]) - now_millis() <= 3_600_000, "{place}");
    // At one a second, the next is called within seconds.
    let cyd = token(&sale.enter(&concert, "cyd").await);
    sale.caller.delete("/queue/token").token(&bob).expect(204).await;
    sale.until_status(&cyd, "ACTIVE").await;
    assert!(set_back.elapsed() < SOON);
    scene.is_sound().await;
}

async fn no_key_is_forgotten(scene: Scene) {
    let Scene { sale, .. } = &scene;
    let charge = || sale.caller.patch("/point/ada/charge").json(&json!({"amount": 5})).key("a-key");
    let first = charge().expect(200).await;
    scene.set_ahead(25 * 3_600);
    sale.charge("bob", 1).await;
    scene.has_jumped("forward").await;
    // Several rounds of what would drop it.
    let series = "onsale_background_runs_total{task=\"lapsed-holds\"}";
    let before = scene.metric(series).await;
    until("background work went on", async || (scene.metric(series).await >= before + 6.0).then_some(())).await;
    scene.set_ahead(0);
    sale.charge("bob", 1).await;
    let again = charge().send().await;
    assert_eq!((again.header("idempotency-replayed"), again.json()), (Some("true"), first), "answered once");
    scene.is_sound().await;
}

macro_rules! on_each_clock {
    ($($test:ident),+) => {
        mod on_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(scene) = super::Scene::on_file().await {
                    super::$test(scene).await;
                }
            })+
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(scene) = super::Scene::on_postgres().await {
                    super::$test(scene).await;
                }
            })+
        }
    };
}
on_each_clock!(no_hold_is_longer, no_turn_is_longer, no_key_is_forgotten);
