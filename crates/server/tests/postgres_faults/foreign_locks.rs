//! Another session of the database holds a row or a table: only the commands that need it wait or fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Call, PATIENCE, Sale, without};
use serde_json::{Value, json};

use crate::scene::{Scene, charge, database, in_time, metric, recovered, unavailable};
use crate::support::room::room;
use crate::support::{text, until};

/// How long a command waits for a lock before it fails: three seconds, and the rest for a slow machine. The time of a request
/// ends later.
const WAIT: std::ops::Range<Duration> = Duration::from_millis(2_500)..Duration::from_millis(8_500);

/// How long most commands that need nothing that is locked may take, at the most: less than a command waits for a lock. A
/// batch finds out what is locked, once for each lock, and keeps its other commands waiting meanwhile.
const STRANGER_MAX: Duration = Duration::from_millis(2_000);

/// Strangers that are served at least during one wait for a lock, on a slow machine too. If they waited for the lock, it
/// would be those of two or three rounds.
const STRANGERS_MIN: usize = 40;

/// Charges of one locked wallet: so few that the last one is sent before the first has waited for too long.
const CHARGES: usize = 6;

/// A concert with a performance, and people in its room.
struct Evening {
    concert: String,
    performance: String,
    tokens: Vec<String>,
}

impl Evening {
    async fn prepare(sale: &Sale, name: &str, people: usize) -> Self {
        let concert = sale.concert(&room(1_000)).await;
        let performance = sale.performance(&concert, &json!([{"from": 1, "to": 1_000, "price": 10}])).await;
        let mut tokens = Vec::new();
        for number in 0..people {
            let user = format!("{name}-{number}");
            sale.charge(&user, 100).await;
            tokens.push(sale.active(&concert, &user).await);
        }
        Self { concert, performance, tokens }
    }

    fn hold(&self, sale: &Sale, person: usize, seat: u32) -> Call {
        let body = json!({"performanceId": self.performance, "seats": [seat]});
        sale.caller.post("/reservations").token(&self.tokens[person]).json(&body)
    }

    fn enter(&self, sale: &Sale, user: &str) -> Call {
        sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": self.concert}))
    }
}

fn apply(sale: &Sale, lecture: &str, user: &str) -> Call {
    sale.caller.post("/lectures/apply").json(&json!({"userId": user, "lectureId": lecture}))
}

/// An instance, what is sold there, and the session that locks.
struct Stage {
    scene: Arc<Scene>,
    lecture: String,
    other_lecture: String,
    evening: Evening,
    other: Arc<Evening>,
    sql: Client,
    _database: Database,
}

impl Stage {
    async fn set() -> Option<Self> {
        if without("postgres") {
            return None;
        }
        let database = database().await;
        let address = shared().await.address();
        let scene = Arc::new(Scene::on(address, &database, 1).await);
        let sale = scene.sale();
        let (lecture, other_lecture) = (sale.lecture(1_000).await, sale.lecture(1_000_000).await);
        let evening = Evening::prepare(sale, "ours", 8).await;
        let other = Arc::new(Evening::prepare(sale, "theirs", 60).await);
        let sql = scene.sql(address).await;
        Some(Self { scene, lecture, other_lecture, evening, other, sql, _database: database })
    }

    fn sale(&self) -> &Sale {
        self.scene.sale()
    }

    /// Everything that foreign sessions do, repeatedly until `stop` is set. None of it fails; how long each took.
    fn strangers(&self, label: &str, kinds: Kinds) -> Strangers {
        let (scene, other, stop) = (self.scene.clone(), self.other.clone(), Arc::new(AtomicBool::new(false)));
        let served = Arc::new(AtomicUsize::new(0));
        let (lecture, label, stopped) =
            (self.other_lecture.clone(), label.replace(|c: char| !c.is_ascii_lowercase(), "-"), stop.clone());
        let counted = served.clone();
        let working = tokio::spawn(async move {
            let sale = scene.sale();
            let (mut took, mut round) = (Vec::new(), 0_u32);
            while !stopped.load(Ordering::Relaxed) {
                let mut calls: Vec<Call> = (0..8)
                    .map(|number| charge(sale, &format!("stranger-{number}"), 1, &format!("{label}-{round}-{number}")))
                    .collect();
                if kinds.lectures {
                    calls.push(apply(sale, &lecture, &format!("{label}-{round}")));
                }
                if kinds.concerts {
                    calls.push(other.enter(sale, &format!("{label}-{round}")));
                }
                for call in calls.into_iter().map(|call| tokio::spawn(timed(call))).collect::<Vec<_>>() {
                    took.push(call.await.unwrap());
                }
                counted.store(took.len(), Ordering::Relaxed);
                round += 1;
            }
            took
        });
        Strangers { stop, served, working }
    }
}

/// What strangers do besides charging.
#[derive(Clone, Copy)]
struct Kinds {
    lectures: bool,
    concerts: bool,
}

const EVERYTHING: Kinds = Kinds { lectures: true, concerts: true };

struct Strangers {
    stop: Arc<AtomicBool>,
    /// Those that were served in rounds that are over.
    served: Arc<AtomicUsize>,
    working: tokio::task::JoinHandle<Vec<Duration>>,
}

impl Strangers {
    async fn were_served(self, during: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.working.await.unwrap();
        took.sort_unstable();
        let (served, middle, slowest) = (took.len(), took[took.len() / 2], took[took.len() - 1]);
        println!("{during}: {served} strangers were served, half of them in {middle:?}, the slowest in {slowest:?}");
        assert!(middle < STRANGER_MAX, "{during}: half of the strangers waited {middle:?}");
        assert!(served > STRANGERS_MIN, "{during}: only {served} strangers were served");
    }
}

/// A call of a stranger, which must succeed; how long it took.
async fn timed(call: Call) -> Duration {
    let since = Instant::now();
    let reply = call.send().await;
    assert!(reply.status.is_success(), "a stranger: {} {:?}", reply.call, reply.body);
    since.elapsed()
}

/// While the lock is held the call fails after its wait, again and again, and no stranger feels it. One that waits when
/// the lock is released succeeds.
async fn is_alone_with_it(stage: &Stage, what: &str, lock: &str, kinds: Kinds, call: impl Fn() -> Call) {
    stage.sql.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
    let strangers = stage.strangers(what, kinds);
    for _ in 0..2 {
        let waited = unavailable(call()).await;
        assert!(WAIT.contains(&waited), "{what}: failed after {waited:?}");
    }
    let waiting = tokio::spawn(in_time(call()));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!waiting.is_finished(), "{what}: it waits for the lock");
    stage.sql.batch_execute("ROLLBACK").await.unwrap();
    strangers.were_served(what).await;
    let reply = waiting.await.unwrap();
    assert!(reply.status.is_success(), "{what}: {} {:?}", reply.status, reply.body);
    let parked = async || metric(stage.sale(), "onsale_desk_commands_parked").await;
    until("nothing waits any longer", async || (parked().await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_is_felt_only_by_the_commands_that_need_it() {
    let Some(stage) = Stage::set().await else { return };
    let (sale, evening) = (stage.sale(), &stage.evening);
    sale.charge("ada", 1).await;
    let row = "SELECT FROM accounts WHERE user_id = 'ada' FOR UPDATE";
    is_alone_with_it(&stage, "a wallet", row, EVERYTHING, || charge(sale, "ada", 1, "ada")).await;

    let row = format!("UPDATE lectures SET title = 'x' WHERE lecture_id = '{}'", stage.lecture);
    is_alone_with_it(&stage, "a lecture", &row, EVERYTHING, || apply(sale, &stage.lecture, "ada")).await;

    let row = format!("SELECT FROM rooms WHERE concert_id = '{}' FOR NO KEY UPDATE", evening.concert);
    is_alone_with_it(&stage, "a room", &row, EVERYTHING, || evening.enter(sale, "newcomer")).await;

    let row = format!("SELECT FROM performances WHERE performance_id = '{}' FOR UPDATE", evening.performance);
    is_alone_with_it(&stage, "a performance", &row, EVERYTHING, || evening.hold(sale, 0, 1)).await;

    let held = evening.hold(sale, 1, 2).expect(201).await;
    let pay = || sale.pay(&evening.tokens[1], &held).key("pay");
    is_alone_with_it(&stage, "a payment's performance", &row, EVERYTHING, pay).await;

    evening.hold(sale, 2, 3).expect(201).await;
    let leave = || sale.caller.delete("/queue/token").token(&evening.tokens[2]);
    is_alone_with_it(&stage, "a leaver's performance", &row, EVERYTHING, leave).await;
    stage.scene.is_in_order(shared().await.address(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_is_felt_only_by_the_commands_that_need_it() {
    let Some(stage) = Stage::set().await else { return };
    let (sale, evening) = (stage.sale(), &stage.evening);
    let table = "LOCK TABLE seats IN ACCESS EXCLUSIVE MODE";
    is_alone_with_it(&stage, "seats", table, EVERYTHING, || evening.hold(sale, 0, 1)).await;

    let kinds = Kinds { lectures: false, ..EVERYTHING };
    let table = "ALTER TABLE lecture_history ADD COLUMN note text";
    is_alone_with_it(&stage, "a changed table", table, kinds, || apply(sale, &stage.lecture, "ada")).await;

    let kinds = Kinds { concerts: false, ..EVERYTHING };
    let table = "LOCK TABLE places IN SHARE MODE";
    is_alone_with_it(&stage, "places", table, kinds, || evening.enter(sale, "newcomer")).await;
    stage.scene.is_in_order(shared().await.address(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_waits_behind_a_long_read_is_felt_only_by_the_commands_that_need_it() {
    let Some(stage) = Stage::set().await else { return };
    let (sale, address) = (stage.sale(), shared().await.address());
    stage.sql.batch_execute("BEGIN; SELECT count(*) FROM lecture_history").await.unwrap();
    let waiter = stage.scene.sql(address).await;
    let waits = tokio::spawn(async move { waiter.batch_execute("BEGIN; LOCK TABLE lecture_history; COMMIT").await });
    let other = stage.scene.sql(address).await;
    let queued = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'lecture_history'::regclass
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND NOT granted)";
    until("a session waits for the lock", async || {
        other.query_one(queued, &[]).await.unwrap().get::<_, bool>(0).then_some(())
    })
    .await;
    let strangers = stage.strangers("a queue", Kinds { lectures: false, ..EVERYTHING });
    unavailable(apply(sale, &stage.lecture, "ada")).await;
    strangers.were_served("a queue").await;
    stage.sql.batch_execute("ROLLBACK").await.unwrap();
    waits.await.unwrap().unwrap();
    recovered(|| apply(sale, &stage.lecture, "ada")).await.0.expect(201);
    stage.scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_of_a_locked_wallet_take_effect_in_the_order_in_which_they_came() {
    let Some(stage) = Stage::set().await else { return };
    let sale = stage.sale();
    sale.charge("ada", 1_000).await;
    stage.sql.batch_execute("BEGIN; SELECT FROM accounts WHERE user_id = 'ada' FOR UPDATE").await.unwrap();
    let mut sent = Vec::new();
    // The second request under a key waits with the first.
    let keys = [0, 0].into_iter().chain(1..CHARGES);
    for (number, key) in keys.enumerate() {
        sent.push(tokio::spawn(in_time(charge(sale, "ada", 1 << key, &format!("ada-{key}")))));
        // The next one is sent when this one waits, so that it comes after it on a slow machine too.
        let parked = async || (metric(sale, "onsale_desk_commands_parked").await > number as u64).then_some(());
        until("it waits for the lock", parked).await;
    }
    stage.sql.batch_execute("ROLLBACK").await.unwrap();
    let mut replies = Vec::new();
    for reply in sent {
        replies.push(reply.await.unwrap());
    }
    assert_eq!(replies[0].body, replies[1].body, "one answer for one key");
    let rows = sale.caller.get("/point/ada/histories?limit=200").expect(200).await;
    let amounts: Vec<i64> = rows.as_array().unwrap().iter().rev().map(|row| row["amount"].as_i64().unwrap()).collect();
    let sent: Vec<i64> = std::iter::once(1_000).chain((0..CHARGES).map(|key| 1 << key)).collect();
    assert_eq!(amounts, sent, "each once, in the order in which they were sent");
    stage.scene.is_in_order(shared().await.address(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_answer_is_given_again() {
    let Some(stage) = Stage::set().await else { return };
    let sale = stage.sale();
    let first = charge(sale, "ada", 5, "key").send().await;
    first.expect(200);
    stage.sql.batch_execute("BEGIN; SELECT FROM kept_answers WHERE key = 'key' FOR UPDATE").await.unwrap();
    let strangers = stage.strangers("an answer", EVERYTHING);
    let (mut replays, began) = (0, Instant::now());
    while replays < 20 || strangers.served.load(Ordering::Relaxed) <= STRANGERS_MIN {
        assert!(began.elapsed() < PATIENCE, "strangers are not served while an answer is locked");
        replays += 1;
        let again = in_time(charge(sale, "ada", 5, "key")).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(text(&Value::from(again.header("idempotency-replayed"))), "true");
    }
    // Another session keeps an answer under a key that comes only now.
    let keep = "INSERT INTO kept_answers SELECT owner, 'theirs', fingerprint, answer, kept_at FROM kept_answers
        WHERE key = 'key'";
    stage.sql.batch_execute(keep).await.unwrap();
    unavailable(charge(sale, "ada", 5, "theirs")).await;
    stage.sql.batch_execute("ROLLBACK").await.unwrap();
    recovered(|| charge(sale, "ada", 5, "theirs")).await.0.expect(200);
    strangers.were_served("an answer").await;
    stage.scene.is_in_order(shared().await.address(), 0).await;
}
