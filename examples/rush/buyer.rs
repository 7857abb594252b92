//! A buyer: waits in line, then tries to buy a seat.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::{Connection, Histogram, Outcome, Performance, Request, Tally};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// What a seat costs, in points.
pub(crate) const PRICE: u64 = 50_000;

/// Percentage of buyers who release their seat again, so that it must be sold to another buyer.
const RELEASE_PERCENT: u64 = 10;

/// What all buyers share: what is for sale, and counts. All counts are relaxed: they only grow, and guard no other data.
pub(crate) struct Rush {
    pub(crate) concert: String,
    pub(crate) performance: Performance,
    /// Set when all buyers are done. Relaxed: the thread that prints progress may see it a second later.
    pub(crate) is_over: AtomicBool,
    pub(crate) arrived: AtomicU64,
    pub(crate) admitted: AtomicU64,
    pub(crate) sold: AtomicU64,
    /// Seats that buyers released again.
    pub(crate) released: AtomicU64,
    /// Buyers who left without a seat.
    pub(crate) too_late: AtomicU64,
    /// Buyers who got an answer that the contract does not allow.
    pub(crate) failed: AtomicU64,
}

impl Rush {
    /// Seats for sale, before any buyer arrives.
    pub(crate) fn new(concert: String, performance: Performance) -> Self {
        let zero = AtomicU64::default;
        Self {
            concert,
            performance,
            is_over: AtomicBool::new(false),
            arrived: zero(),
            admitted: zero(),
            sold: zero(),
            released: zero(),
            too_late: zero(),
            failed: zero(),
        }
    }
}

/// The current value of a counter.
pub(crate) fn count(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

fn increment(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}

/// What the buyers of one thread measured.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) calls: Tally,
    /// From the entry to the turn, of admitted buyers.
    pub(crate) waited: Histogram,
    /// From the entry to the payment.
    pub(crate) bought: Histogram,
    /// Errors of failed buyers, with how many had each.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Measured {
    /// Adds what another thread measured.
    pub(crate) fn merge(&mut self, other: Self) {
        self.calls.merge(other.calls);
        self.waited.merge(&other.waited);
        self.bought.merge(&other.bought);
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }
}

/// Kept connections of one thread. A buyer with a request takes one.
pub(crate) struct Connections {
    idle: RefCell<Vec<Connection>>,
    /// One permit for each idle connection.
    permits: Semaphore,
}

impl Connections {
    /// All connections are idle.
    pub(crate) fn new(connections: Vec<Connection>) -> Self {
        let permits = Semaphore::new(connections.len());
        Self { idle: RefCell::new(connections), permits }
    }
}

/// A reply that is kept longer than its connection.
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }
}

/// A buyer with a connection, from entering to paying.
pub(crate) struct Buyer {
    number: u64,
    dice: Dice,
    rush: Arc<Rush>,
    connections: Rc<Connections>,
    measured: Rc<RefCell<Measured>>,
}

impl Buyer {
    /// The buyer with this number.
    pub(crate) fn new(
        number: u64,
        rush: &Arc<Rush>,
        connections: &Rc<Connections>,
        measured: &Rc<RefCell<Measured>>,
    ) -> Self {
        let (rush, connections, measured) = (rush.clone(), connections.clone(), measured.clone());
        Self { number, dice: Dice::new(number), rush, connections, measured }
    }

    /// When the buyer arrives, after the start.
    pub(crate) fn arrives(&mut self, within: Duration) -> Duration {
        within * u32::try_from(self.dice.below(10_000)).unwrap_or(0) / 10_000
    }

    /// Arrives, and tries to buy a seat.
    pub(crate) async fn come(&mut self) {
        increment(&self.rush.arrived);
        if let Err(error) = self.try_to_buy().await {
            increment(&self.rush.failed);
            *self.measured.borrow_mut().errors.entry(error.to_string()).or_default() += 1;
        }
    }

    /// Waits in line, then tries to buy a seat. A refusal that the rules allow is no error.
    async fn try_to_buy(&mut self) -> Outcome<()> {
        let entered = Instant::now();
        let user = format!("buyer-{}", self.number);
        let body = json!({"userId": user, "concertId": self.rush.concert});
        let mut place = self.send(&Request::post("/queue/tokens").json(body.to_string()), &[201]).await?;
        let token = place.text("token").to_owned();
        while place.text("status") == "WAITING" {
            if place.body["soldOut"] == true {
                return self.leave(&token).await;
            }
            let seconds = place.body["pollAfterSeconds"].as_u64().ok_or("the answer has no pollAfterSeconds")?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            place = self.send(&Request::get("/queue/token").token(&token), &[200]).await?;
        }
        if place.text("status") != "ACTIVE" {
            return Err(format!("the place is {}", place.text("status")).into());
        }
        increment(&self.rush.admitted);
        self.measured.borrow_mut().waited.add(entered.elapsed());
        let Some(reservation) = self.hold(&token).await? else { return self.leave(&token).await };
        if self.dice.below(100) < RELEASE_PERCENT {
            increment(&self.rush.released);
            let release = Request::new("DELETE", &format!("/reservations/{reservation}")).token(&token);
            self.send(&release, &[204]).await?;
            return self.leave(&token).await;
        }
        let charge = Request::patch(&format!("/point/{user}/charge"));
        self.send(&charge.json(json!({"amount": PRICE}).to_string()), &[200]).await?;
        let pay = Request::post("/payments").token(&token).key(&format!("pay-{reservation}"));
        self.send(&pay.json(json!({"reservationId": reservation}).to_string()), &[201]).await?;
        increment(&self.rush.sold);
        self.measured.borrow_mut().bought.add(entered.elapsed());
        Ok(())
    }

    /// Tries to hold one of the free seats until that succeeds or no seat is free. Returns the id of the reservation.
    async fn hold(&mut self, token: &str) -> Outcome<Option<String>> {
        let Rush { concert, performance, .. } = &*self.rush.clone();
        self.send(&Request::get(&format!("/concerts/{concert}/dates")).token(token), &[200]).await?;
        let path = format!("/concerts/{concert}/seats?date={}&available=true", performance.date);
        loop {
            let shown = self.send(&Request::get(&path).token(token), &[200]).await?;
            let free = shown.body["performances"][0]["seats"].as_array().ok_or("the answer has no seats")?;
            if free.is_empty() {
                return Ok(None);
            }
            let seat = &free[usize::try_from(self.dice.below(free.len() as u64))?]["seat"];
            let body = json!({"performanceId": performance.id, "seats": [seat]});
            let hold = Request::post("/reservations").token(token).json(body.to_string());
            let held = self.send(&hold, &[201, 409]).await?;
            match (held.status, held.text("code")) {
                (201, _) => return Ok(Some(held.text("reservationId").to_owned())),
                // Another buyer was faster.
                (_, "seat-taken") => {}
                (_, code) => return Err(format!("the hold was refused: {code}").into()),
            }
        }
    }

    async fn leave(&self, token: &str) -> Outcome<()> {
        increment(&self.rush.too_late);
        self.send(&Request::new("DELETE", "/queue/token").token(token), &[204]).await.map(drop)
    }

    /// Sends a request. Any other status than these is an error.
    async fn send(&self, request: &Request, expected: &[u16]) -> Outcome<Answer> {
        // Held until the connection is idle again, so that a permit always means an idle connection.
        let _permit = self.connections.permits.acquire().await?;
        let mut connection = self.connections.idle.borrow_mut().pop().ok_or("a connection was lost")?;
        let sent = Instant::now();
        let reply = connection.exchange(&request.to_bytes()).await?;
        self.measured.borrow_mut().calls.add(reply, sent.elapsed());
        let answer = Answer { status: reply.status, body: serde_json::from_slice(reply.body).unwrap_or_default() };
        self.connections.idle.borrow_mut().push(connection);
        if expected.contains(&answer.status) {
            Ok(answer)
        } else {
            Err(format!("{} {}", answer.status, answer.text("code")).into())
        }
    }
}

/// Pseudorandom numbers that are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xA24B_AED4_963E_E407))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
