//! The rush: buyers at three instances, and around them every other call of the API and every command of the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_testing::{Dice, PATIENCE, Sale, Signal, signal};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::stage::Stage;

/// How many buyers there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// Buyers that act at the same time.
    pub(crate) at_once: usize,
    /// All buyers. Each makes one journey.
    pub(crate) buyers: usize,
    /// Seats of each of the three performances.
    pub(crate) seats: u32,
}

/// Three instances and what they sell.
pub(crate) struct Rush {
    pub(crate) sales: Vec<Sale>,
    concert: String,
    performances: Vec<String>,
    lecture: String,
    seats: u32,
    /// The beginning of the names of users, so that each rush has new ones.
    prefix: String,
}

/// A pause between two polls.
const POLL: Duration = Duration::from_millis(20);

impl Rush {
    /// Starts the instances and creates a concert and a lecture.
    pub(crate) async fn prepare(stage: &Stage, crowd: Crowd, prefix: &str) -> Self {
        // The third one ends holds after a second, so that some lapse, and lets a user keep few answers.
        let hasty = [("ONSALE_HOLD_SECONDS", "1"), ("ONSALE_IDEMPOTENCY_KEYS_PER_USER", "8")];
        let sales = vec![stage.instance(&[]).await, stage.instance(&[]).await, stage.instance(&hasty).await];
        let sale = &sales[0];
        let open = json!({"maxActive": 1_000, "admitPerSecond": 10_000, "claimSeconds": 3_600});
        let concert = sale.concert(&open).await;
        let mut performances = Vec::new();
        for day in 1..=3 {
            let seats = json!([{"from": 1, "to": crowd.seats, "price": 500}]);
            performances.push(sale.performance_at(&concert, &seats, day * 86_400).await);
        }
        let lecture = sale.lecture(u32::try_from(crowd.buyers / 2).unwrap_or(1).max(1)).await;
        Self { sales, concert, performances, lecture, seats: crowd.seats, prefix: prefix.to_owned() }
    }

    /// All buyers make their journeys. Returns how long that took.
    pub(crate) async fn run(self: &Arc<Self>, crowd: Crowd) -> Duration {
        let (began, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let mut buyers = JoinSet::new();
        for _ in 0..crowd.at_once {
            let (rush, next) = (self.clone(), next.clone());
            buyers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= crowd.buyers {
                        return;
                    }
                    rush.journey(number).await;
                }
            });
        }
        while let Some(ended) = buyers.join_next().await {
            ended.expect("a buyer saw only possible answers");
        }
        began.elapsed()
    }

    /// What one buyer does: points, a lecture, the waiting room, seats, a payment, and reading it all.
    async fn journey(&self, number: usize) {
        let sale = &self.sales[number % 2];
        let (user, mut dice) = (format!("{}-{number}", self.prefix), Dice::new(number as u64));
        let caller = &sale.caller;
        let charge = || caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": 1_000}));
        charge().key(&format!("charge-{user}")).expect(200).await;
        charge().expect(200).await;
        let apply = json!({"userId": user, "lectureId": self.lecture});
        let applied = caller.post("/lectures/apply").json(&apply).send().await;
        if applied.status.is_success() && number.is_multiple_of(4) {
            let path = format!("/lectures/application/{user}/{}", self.lecture);
            caller.delete(&path).expect(204).await;
        }
        let token = sale.active(&self.concert, &user).await;
        let performance = &self.performances[number % 3];
        let dates = dates(sale, &self.concert, &token).await;
        let date = text(&dates[number % dates.len()]["date"]);
        caller.get(&format!("/concerts/{}/seats?date={date}", self.concert)).token(&token).expect(200).await;
        // Buyers prefer the first rows, so some want the same seat.
        let seat =
            1 + u32::try_from(dice.below(u64::from(self.seats)).min(dice.below(u64::from(self.seats)))).unwrap_or(0);
        let hold = json!({"performanceId": performance, "seats": [seat]});
        let held = caller.post("/reservations").token(&token).json(&hold).send().await;
        if held.status.as_u16() == 201 {
            let held = held.json();
            let paid = sale.pay(&token, &held).key(&format!("pay-{user}")).expect(201).await;
            self.read(number, &user, &held, &paid).await;
        } else {
            caller.delete("/queue/token").token(&token).send().await;
        }
    }

    /// Reads at another instance what a buyer has bought.
    async fn read(&self, number: usize, user: &str, held: &Value, paid: &Value) {
        let caller = &self.sales[(number + 1) % 2].caller;
        for path in [
            format!("/point/{user}"),
            format!("/point/{user}/histories"),
            format!("/lectures/application/{user}"),
            format!("/reservations/{}", text(&held["reservationId"])),
            format!("/payments/{}", text(&paid["paymentId"])),
            format!("/users/{user}/reservations"),
            format!("/users/{user}/payments"),
        ] {
            caller.get(&path).expect(200).await;
        }
    }

    /// Every other call, each once or a few times, so that every statement of a running sale is sent.
    pub(crate) async fn corners(&self, stage: &Stage) -> Outcome<()> {
        self.points_and_lists().await;
        self.lectures().await;
        super::office::lectures(&self.sales[0], &self.sales[1]).await?;
        super::staff::all(&self.sales[0], &self.prefix).await?;
        self.line().await;
        self.seats().await?;
        super::refunds::all(&self.sales[0]).await;
        super::codes::all(&self.sales[0]).await;
        super::draws::all(&self.sales[0]).await?;
        self.evening(stage).await?;
        self.past(stage).await?;
        self.events(stage).await
    }

    async fn points_and_lists(&self) {
        let [sale, other, hasty] = &self.sales[..] else { return };
        // Near the limit of keys a lane counts a user's answers.
        for number in 0..4 {
            let charge = hasty.caller.patch("/point/hoarder/charge").json(&json!({"amount": 1}));
            charge.key(&format!("{}-{number}", self.prefix)).expect(200).await;
        }
        // The same lane finds this row at its remembered address.
        for _ in 0..4 {
            sale.charge("hot-wallet", 10).await;
        }
        sale.caller.patch("/point/hot-wallet/use").json(&json!({"amount": 1})).expect(200).await;
        // Two wallets in one batch: each lane takes what waits.
        let crowd = (0..64).map(|number| {
            let path = format!("/point/wallet-{}/charge", number % 8);
            tokio::spawn(sale.caller.patch(&path).json(&json!({"amount": 1})).send())
        });
        for charged in crowd.collect::<Vec<_>>() {
            charged.await.expect("a charge").expect(200);
        }
        for path in ["/concerts", "/lectures", "/lectures?date=2020-02-02", "/readyz", "/metrics"] {
            other.caller.get(path).expect(200).await;
        }
    }

    async fn lectures(&self) {
        let sale = &self.sales[0];
        let lecture = sale.lecture(2).await;
        let apply =
            |user: &str| sale.caller.post("/lectures/apply").json(&json!({"userId": user, "lectureId": lecture}));
        for user in ["ada", "bob"] {
            apply(user).expect(201).await;
        }
        sale.caller.delete(&format!("/lectures/application/ada/{lecture}")).expect(204).await;
        apply("cyd").expect(201).await;
        apply("dan").refused(409, "lecture-full").await;
        let history = sale.caller.get(&format!("/admin/lectures/{lecture}/history"));
        sale.admin(history).expect(200).await;
    }

    /// A line in which some leave, with new settings.
    async fn line(&self) {
        let sale = &self.sales[0];
        let line = sale.concert(&json!({"maxActive": 5})).await;
        let queue = format!("/admin/concerts/{line}/queue");
        let pause = |is_paused: bool| sale.admin(sale.caller.patch(&queue).json(&json!({"paused": is_paused})));
        pause(true).expect(200).await;
        let mut tokens = Vec::new();
        for user in ["fin", "gil", "hal"] {
            tokens.push(text(&sale.enter(&line, user).await["token"]));
        }
        sale.caller.delete("/queue/token").token(&tokens[1]).expect(204).await;
        sale.admin(sale.caller.get(&queue)).expect(200).await;
        // The other instance reads which places were given up.
        let status = self.sales[1].caller.get("/queue/token").token(&tokens[2]);
        status.expect(200).await;
        pause(false).expect(200).await;
        for token in [&tokens[0], &tokens[2]] {
            sale.until_status(token, "ACTIVE").await;
            sale.caller.delete("/queue/token").token(token).expect(204).await;
        }
        // A user who enters again gets another place.
        sale.active(&line, "fin").await;
    }

    /// Seats held twice in a row, released, left, and lapsed.
    async fn seats(&self) -> Outcome<()> {
        let [sale, other, hasty] = &self.sales[..] else { return Ok(()) };
        let concert = sale.concert(&json!({})).await;
        let performance = sale.performance(&concert, &Value::Null).await;
        let tokens = [sale.active(&concert, "ada").await, sale.active(&concert, "bob").await];
        // The other instance has a map of the seats, and reads the events since then.
        let date = text(&dates(other, &concert, &tokens[0]).await[0]["date"]);
        let seats = format!("/concerts/{concert}/seats?date={date}");
        other.caller.get(&seats).token(&tokens[0]).expect(200).await;
        let first = sale.hold(&tokens[0], &performance, &[1]).await;
        let shown = async {
            let is_free = |map: &Value| map["performances"][0]["seats"][0]["status"] == "AVAILABLE";
            while is_free(&other.caller.get(&seats).token(&tokens[0]).expect(200).await) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, shown).await.expect("the other instance shows the hold");
        for seat in [2, 3] {
            sale.hold(&tokens[0], &performance, &[seat]).await;
        }
        let released = format!("/reservations/{}", text(&first["reservationId"]));
        sale.caller.delete(&released).token(&tokens[0]).expect(204).await;
        let lapsing = hasty.hold(&tokens[1], &performance, &[9]).await;
        let path = format!("/reservations/{}", text(&lapsing["reservationId"]));
        let lapsed = async {
            while sale.caller.get(&path).expect(200).await["status"] != "EXPIRED" {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, lapsed).await.expect("a hold lapses");
        // Leaving ends the holds that are left.
        sale.caller.delete("/queue/token").token(&tokens[0]).expect(204).await;
        self.overtime().await
    }

    /// A hold that outlives a short turn: instances read the holds of turns that end soon. The seat is named by its date.
    async fn overtime(&self) -> Outcome<()> {
        let sale = &self.sales[0];
        let brief = sale.concert(&json!({})).await;
        sale.performance(&brief, &Value::Null).await;
        let token = sale.active(&brief, "cyd").await;
        let date = text(&dates(sale, &brief, &token).await[0]["date"]);
        let short = sale.caller.patch(&format!("/admin/concerts/{brief}/queue")).json(&json!({"activeSeconds": 2}));
        sale.admin(short).expect(200).await;
        // On a busy machine a turn may be over before its user holds the seat: then another user tries.
        let users = AtomicUsize::new(0);
        wait(|| async {
            let user = format!("dot-{}", users.fetch_add(1, Ordering::Relaxed));
            let token = text(&sale.enter(&brief, &user).await["token"]);
            let body = json!({"date": date, "seats": [1]});
            let held = sale.caller.post("/reservations").token(&token).json(&body).send().await;
            Ok(held.status.as_u16() == 201)
        })
        .await
    }

    /// What an operator does in the evening of a sale: holds last longer, buyers read why, and the sale is closed.
    async fn evening(&self, stage: &Stage) -> Outcome<()> {
        let sale = &self.sales[0];
        let concert = sale.concert(&json!({})).await;
        let performance = sale.performance(&concert, &Value::Null).await;
        let token = sale.active(&concert, "ivy").await;
        sale.hold(&token, &performance, &[1]).await;
        let longer = json!({"seconds": 60, "reason": "the database was away"});
        for path in [format!("performances/{performance}"), format!("concerts/{concert}")] {
            let extend = sale.caller.post(&format!("/admin/{path}/holds/extend")).json(&longer);
            sale.admin(extend).expect(200).await;
        }
        wait(|| async {
            let written = "SELECT bool_and(written) FROM hold_extensions";
            Ok(stage.sql.query_one(written, &[]).await?.get::<_, bool>(0))
        })
        .await?;
        let closed = json!({"closed": true, "notice": {"en": "The sale is over."}});
        sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}")).json(&closed)).expect(200).await;
        let closed = json!({"closed": true});
        let closed = sale.caller.patch(&format!("/admin/performances/{performance}")).json(&closed);
        sale.admin(closed).expect(200).await;
        Ok(())
    }

    /// What is over: a room, its places, and kept answers become old, and an instance starts that deletes them.
    async fn past(&self, stage: &Stage) -> Outcome<()> {
        let sale = &self.sales[0];
        let concert = sale.concert(&json!({})).await;
        sale.performance(&concert, &Value::Null).await;
        let token = sale.active(&concert, "eve").await;
        sale.caller.delete("/queue/token").token(&token).expect(204).await;
        let settled = format!("SELECT active = 0 FROM rooms WHERE concert_id = '{concert}'");
        wait(|| async { Ok(stage.sql.query_one(&settled, &[]).await?.get::<_, bool>(0)) }).await?;
        let start = format!("SELECT starts_at FROM performances WHERE concert_id = '{concert}'");
        let start: i64 = stage.sql.query_one(&start, &[]).await?.get(0);
        let aged = format!(
            "UPDATE performances SET starts_at = 1000 WHERE concert_id = '{concert}';
            UPDATE rooms SET updated_at = 1000 WHERE concert_id = '{concert}';
            UPDATE places SET issued_at = 1000 WHERE concert_id = '{concert}';
            UPDATE turns SET settled_at = 1000 WHERE concert_id = '{concert}';
            UPDATE kept_answers SET kept_at = 1000 WHERE key = (SELECT min(key) FROM kept_answers);"
        );
        stage.sql.batch_execute(&aged).await?;
        let late = stage.instance(&[("ONSALE_PLACES_KEPT_DAYS", "1")]).await;
        // A concert that this instance has not seen yet, by its id alone.
        late.caller.get("/readyz").expect(200).await;
        let dropped = format!(
            "SELECT retired_version = version AND places_dropped_to > 0 AND NOT EXISTS (SELECT FROM kept_answers WHERE kept_at = 1000)
            FROM rooms WHERE concert_id = '{concert}'"
        );
        wait(|| async { Ok(stage.sql.query_one(&dropped, &[]).await?.get::<_, bool>(0)) }).await?;
        // As the log of administrators has it.
        let back = format!("UPDATE performances SET starts_at = {start} WHERE concert_id = '{concert}'");
        Ok(stage.sql.batch_execute(&back).await?)
    }

    /// The outbox, its relay, and the commands about events.
    async fn events(&self, stage: &Stage) -> Outcome<()> {
        let launch = stage.launch();
        let mut consumer = stage.consumer(&launch)?;
        let all_sent = || async { Ok(stage.run(&["events", "--state", "pending"]).await?.is_empty()) };
        wait(all_sent).await?;
        let dead = "UPDATE events SET state = 'DEAD', reason = 'set by hand' WHERE position = (SELECT min(position) FROM events)";
        stage.sql.batch_execute(dead).await?;
        for command in [
            &["events", "--state", "dead"][..],
            &["events", "--last", "5"],
            &["events"],
            &["events", "retry"],
            &["events", "replay", "--since", "2020-02-02T00:00:00Z"],
        ] {
            stage.run(command).await?;
        }
        self.sales[0].charge("hot-wallet", 1).await;
        wait(all_sent).await?;
        // An idle relay only queries whether it has work.
        let counters = stage.counters().await;
        let idle = "SELECT count(*) > 0 FROM pg_stat_statements WHERE query LIKE 'SELECT EXISTS (SELECT FROM events%'";
        wait(|| async { Ok(counters.query_one(idle, &[]).await?.get::<_, bool>(0)) }).await?;
        signal(&consumer, Signal::TERM);
        tokio::time::timeout(PATIENCE, consumer.wait()).await.map_err(|_| "the consumer does not end")??;
        stage.run(&["audit"]).await.map(drop)
    }

    /// Stops all three instances with SIGTERM.
    pub(crate) async fn stop(self) {
        for sale in self.sales {
            sale.instance.terminate().await;
        }
    }
}

/// Waits until an answer is yes.
///
/// # Errors
/// If it is not within the patience of tests, or the question fails.
pub(crate) async fn wait<F: Future<Output = Outcome<bool>>>(ask: impl Fn() -> F) -> Outcome<()> {
    let asking = async {
        while !ask().await? {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, asking).await.map_err(|_| "never so")?
}

/// The dates of a concert, once this instance knows its performances: another one may have created them a moment ago.
async fn dates(sale: &Sale, concert: &str, token: &str) -> Vec<Value> {
    let known = async {
        loop {
            let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(token).expect(200).await;
            match dates.as_array() {
                Some(dates) if !dates.is_empty() => return dates.clone(),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("the instance learns of the performances")
}

/// The text of a value; empty if it is none.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
