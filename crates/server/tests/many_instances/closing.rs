//! The closing scene: three instances sell one concert, and one of them is killed in the middle of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::{Call, Caller, Dice, Reply, Sale, Signal};
use serde_json::{Value, json};

use crate::many::{Many, admissions, most_at_once, places};
use crate::support::room::{admitted_at, places_are_beside, queue};
use crate::support::{column, text, until};

const BUYERS: usize = 300;
const SEATS: u64 = 60;
const PRICE: i64 = 1_000;
const MAX_ACTIVE: u64 = 25;
const ACTIVE_SECONDS: i64 = 600;

/// After this many payments one instance is killed.
const PAID_BEFORE_KILL: usize = 20;

/// The sale that all buyers share.
struct Hall {
    callers: Vec<Caller>,
    concert: String,
    performance: String,
    inside: AtomicUsize,
    inside_max: AtomicUsize,
    paid: AtomicUsize,
    moved: AtomicUsize,
    is_killed: AtomicBool,
}

impl Hall {
    /// After enough payments the next ones wait for the kill: on a busy machine all seats could be sold before it.
    async fn until_killed(&self) {
        let may_pay = || self.paid.load(Ordering::SeqCst) < PAID_BEFORE_KILL || self.is_killed.load(Ordering::SeqCst);
        until("an instance is killed", async || may_pay().then_some(())).await;
    }
}

/// What became of one buyer.
struct Visit {
    user: String,
    admitted_at: i64,
    token: String,
    /// Each payment that was acknowledged: the body that asked for it, its key, and the answer.
    paid: Option<(Value, String, Reply)>,
}

/// One buyer, at one of the instances.
struct Buyer<'a> {
    hall: &'a Hall,
    at: usize,
    user: String,
    token: String,
    keys: usize,
    dice: Dice,
}

impl Buyer<'_> {
    /// Asks the same until there is an answer: at another instance where this one is gone.
    async fn ask(&mut self, call: impl Fn(&Caller) -> Call) -> Reply {
        let patience = Instant::now();
        loop {
            match call(&self.hall.callers[self.at]).try_send().await {
                Ok(reply) if reply.status != 503 => return reply,
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(_) => {
                    self.at = (self.at + 1) % self.hall.callers.len();
                    self.hall.moved.fetch_add(1, Ordering::Relaxed);
                }
            }
            assert!(patience.elapsed() < onsale_testing::PATIENCE, "no instance answers {}", self.user);
        }
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        format!("{}-{}", self.user, self.keys)
    }

    /// Enters, and again wherever the way leads: the place is always the same.
    async fn enter(&mut self) -> Value {
        let body = json!({"userId": self.user, "concertId": self.hall.concert});
        let reply = self.ask(|caller| caller.post("/queue/tokens").json(&body)).await;
        assert!(reply.status.is_success(), "{:?}", reply.body);
        let place = reply.json();
        if self.token.is_empty() {
            self.token = text(&place["token"]);
        }
        assert_eq!(place["token"], self.token, "{} lost a place: {place}", self.user);
        place
    }

    async fn poll(&mut self) -> Value {
        let token = self.token.clone();
        self.ask(|caller| caller.get("/queue/token").token(&token)).await.expect(200)
    }

    /// Waits for the turn; when it began.
    async fn wait(&mut self) -> i64 {
        let mut place = self.enter().await;
        let mut position = u64::MAX;
        let mut at = self.at;
        while place["status"] == "WAITING" {
            let now = place["position"].as_u64().unwrap();
            // Instances may differ by a moment; at each, and over any longer time, one only comes nearer.
            assert!(now <= position || at != self.at, "{} goes back from {position} to {now}", self.user);
            (position, at) = (now, self.at);
            tokio::time::sleep(Duration::from_millis(150 + self.dice.below(50))).await;
            place = if self.dice.below(8) == 0 { self.enter().await } else { self.poll().await };
        }
        assert_eq!(place["status"], "ACTIVE", "{}: {place}", self.user);
        admitted_at(&place, ACTIVE_SECONDS)
    }

    /// Tries seats until one is held, or nothing is left.
    async fn hold(&mut self) -> Option<Value> {
        loop {
            let seat = self.dice.below(SEATS) + 1;
            let body = json!({"performanceId": self.hall.performance, "seats": [seat]});
            let (token, key) = (self.token.clone(), self.key());
            let reply = self.ask(|caller| caller.post("/reservations").token(&token).key(&key).json(&body)).await;
            if reply.status == 201 {
                return Some(reply.json());
            }
            reply.refused(409, "seat-taken");
            if self.poll().await["soldOut"] == true {
                return None;
            }
        }
    }

    async fn pay(&mut self, held: &Value) -> (Value, String, Reply) {
        let body = json!({"reservationId": held["reservationId"]});
        let (token, key) = (self.token.clone(), self.key());
        let reply = self.ask(|caller| caller.post("/payments").token(&token).key(&key).json(&body)).await;
        assert_eq!(reply.expect(201)["seats"], held["seats"]);
        (body, key, reply)
    }

    async fn visit(mut self) -> Visit {
        let path = format!("/point/{}/charge", self.user);
        let key = self.key();
        let charged = self.ask(|caller| caller.patch(&path).key(&key).json(&json!({"amount": 2 * PRICE}))).await;
        assert_eq!(charged.expect(200)["balance"], 2 * PRICE, "charged once");
        let admitted_at = self.wait().await;
        let inside = self.hall.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.hall.inside_max.fetch_max(inside, Ordering::SeqCst);
        let held = self.hold().await;
        self.hall.inside.fetch_sub(1, Ordering::SeqCst);
        let mut paid = None;
        if let Some(held) = held {
            self.hall.until_killed().await;
            paid = Some(self.pay(&held).await);
            self.hall.paid.fetch_add(1, Ordering::SeqCst);
        } else {
            let (token, key) = (self.token.clone(), self.key());
            self.ask(|caller| caller.delete("/queue/token").token(&token).key(&key)).await.expect(204);
        }
        Visit { user: self.user, admitted_at, token: self.token, paid }
    }
}

async fn open(many: &Many) -> Hall {
    let queue = json!({"maxActive": MAX_ACTIVE, "admitPerSecond": 100, "activeSeconds": ACTIVE_SECONDS,
        "claimSeconds": 3_600});
    let concert = many.at(0).concert(&queue).await;
    let seats = json!([{"from": 1, "to": SEATS, "price": PRICE}]);
    let performance = many.at(1).performance(&concert, &seats).await;
    let callers = many.sales.iter().map(|sale| Caller::new(sale.instance.base())).collect();
    let [inside, inside_max, paid, moved] = [0; 4].map(AtomicUsize::new);
    let is_killed = AtomicBool::new(false);
    Hall { callers, concert, performance, inside, inside_max, paid, moved, is_killed }
}

/// Every acknowledged payment is there, each for seats of its own, and its answer can be had again.
async fn check_payments(many: &Many, hall: &Hall, visits: &[Visit], survivors: &[usize]) {
    let mut sold = BTreeSet::new();
    for (visit, number) in visits.iter().zip(0..) {
        let sale = many.at(survivors[number % survivors.len()]);
        let wallet = sale.caller.get(&format!("/point/{}", visit.user)).expect(200).await;
        let payments = sale.caller.get(&format!("/users/{}/payments", visit.user)).expect(200).await;
        let Some((body, key, reply)) = &visit.paid else {
            assert_eq!((&wallet["balance"], &payments), (&json!(2 * PRICE), &json!([])), "{}", visit.user);
            continue;
        };
        let paid = reply.json();
        assert_eq!((&wallet["balance"], &payments), (&json!(PRICE), &json!([paid])), "{}", visit.user);
        for seat in paid["seats"].as_array().unwrap() {
            assert!(sold.insert(seat.as_u64().unwrap()), "seat {seat} was sold twice");
        }
        let again = sale.caller.post("/payments").token(&visit.token).key(key).json(body).send().await;
        assert_eq!((again.status, &again.body), (reply.status, &reply.body));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    assert!(sold.iter().copied().eq(1..=SEATS), "every seat, once: {sold:?}");
    let held = many.sql().await.query_one("SELECT count(*) FROM seats WHERE NOT sold", &[]).await.unwrap();
    assert_eq!(held.get::<_, i64>(0), 0, "nothing is left held");
    let viewer = many.at(survivors[0]).active(&hall.concert, "viewer").await;
    let path = format!("/concerts/{}/dates", hall.concert);
    until("the dates show that nothing is left", async || {
        let dates = many.at(survivors[1]).caller.get(&path).token(&viewer).expect(200).await;
        (column(&dates, "remaining") == [json!(0)]).then_some(())
    })
    .await;
}

/// Places have no gap, one for each user, and are admitted in order, by the answers to the buyers and by the database.
async fn check_line(many: &Many, hall: &Hall, visits: &[Visit]) {
    if places_are_beside() {
        return;
    }
    let sql = many.sql().await;
    let handed_out = places(&sql, &hall.concert).await;
    assert!(handed_out.iter().map(|(place, _)| *place).eq(1..=i64::try_from(BUYERS).unwrap()), "{handed_out:?}");
    let users: BTreeMap<&str, i64> = handed_out.iter().map(|(place, user)| (user.as_str(), *place)).collect();
    assert_eq!(users.len(), BUYERS, "one place a user");
    let mut admitted_at: Vec<(i64, i64)> =
        visits.iter().map(|visit| (users[&*visit.user], visit.admitted_at)).collect();
    admitted_at.sort_unstable();
    assert!(admitted_at.is_sorted_by_key(|(_, admitted)| *admitted), "in the order of places: {admitted_at:?}");
    assert!(admitted_at.iter().map(|(_, admitted)| *admitted).eq(admissions(&sql, &hall.concert).await));
    let most = most_at_once(&sql, &hall.concert).await;
    let inside = hall.inside_max.load(Ordering::SeqCst);
    println!("at most {most} of {MAX_ACTIVE} turns at once by the database, {inside} by the buyers themselves");
    assert!(most <= i64::try_from(MAX_ACTIVE).unwrap() && inside as u64 <= MAX_ACTIVE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_instances_sell_one_concert_while_one_is_killed() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let hall = open(&many).await;
    let seed = Dice::seed();
    let buyer = |number: usize| Buyer {
        hall: &hall,
        at: number % 3,
        user: format!("buyer-{number}"),
        token: String::new(),
        keys: 0,
        dice: Dice::new(seed + number as u64),
    };
    let since = Instant::now();
    let visits = futures_util::future::join_all((0..BUYERS).map(|number| buyer(number).visit()));
    let killing = async {
        until("some have paid", async || (hall.paid.load(Ordering::SeqCst) >= PAID_BEFORE_KILL).then_some(())).await;
        many.at(1).instance.signal(Signal::KILL);
        hall.is_killed.store(true, Ordering::SeqCst);
        hall.paid.load(Ordering::SeqCst)
    };
    let (visits, paid_before) = tokio::join!(visits, killing);
    let moved = hall.moved.load(Ordering::SeqCst);
    println!(
        "{BUYERS} buyers in {:?}: {} paid, {paid_before} of them before the kill; {moved} requests went elsewhere",
        since.elapsed(),
        visits.iter().filter(|visit| visit.paid.is_some()).count()
    );
    let is_middle = PAID_BEFORE_KILL <= paid_before && (paid_before as u64) < SEATS;
    assert!(is_middle && moved > 0, "it was killed in the middle");
    check_line(&many, &hall, &visits).await;
    many.is_in_order().await;
    check_payments(&many, &hall, &visits, &[0, 2]).await;

    // Another takes its place.
    let third = Sale::start(&many.launch.another()).await;
    let shown = queue(&third, &hall.concert).await;
    assert_eq!((&shown["waiting"], &shown["issued"]), (&json!(0), &json!(BUYERS + 1)));
    many.is_in_order().await;
}
