//! Buyers of the sale that an incident meets: each enters, waits for a turn, charges points, holds a seat and pays. Every
//! change has an idempotency key, and is repeated until it is answered. What was acknowledged is checked in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::{Call, Caller, Reply};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

use crate::Outcome;
use crate::clients::Clients;

/// Interval between two arrivals.
const ARRIVE_EVERY: Duration = Duration::from_millis(300);

/// Interval of the polls of one buyer.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// Longest time for a request; the server answers each within 10 s.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Longest time that buyers get to finish after the end of a drill.
const FINISH_MAX: Duration = Duration::from_secs(120);

/// Price of a seat, in points.
pub(crate) const PRICE: i64 = 1_000;

/// What the buyers saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Answers that did what was requested.
    pub(crate) good: u64,
    /// Number of polls among them.
    pub(crate) polls: u64,
    /// Answers 429 and 5xx, which a client retries.
    pub(crate) later: u64,
    /// Requests without an answer.
    pub(crate) unanswered: u64,
    /// Payments that were acknowledged.
    pub(crate) sold: u64,
    /// Other refusals, by code.
    pub(crate) refused: BTreeMap<String, u64>,
    /// The longest time of a request.
    pub(crate) slowest: Duration,
    /// The payments that were acknowledged, each with its user.
    paid: Vec<(String, String)>,
}

impl Tally {
    /// What was counted after an earlier tally. The longest time is that of the whole drill.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            good: self.good - earlier.good,
            polls: self.polls - earlier.polls,
            later: self.later - earlier.later,
            unanswered: self.unanswered - earlier.unanswered,
            sold: self.sold - earlier.sold,
            ..self.clone()
        }
    }
}

impl Tally {
    /// The counts in one line.
    pub(crate) fn line(&self) -> String {
        let Self { good, later, unanswered, sold, refused, .. } = self;
        format!(
            "{good} served, {later} to retry, {unanswered} without an answer, {sold} payments, refused: {refused:?}"
        )
    }
}

/// The sale that the buyers visit.
#[derive(Clone)]
struct Visit {
    base: String,
    caller: Caller,
    clients: Clients,
    concert: String,
    performance: String,
    tally: Arc<Mutex<Tally>>,
    is_over: Arc<AtomicBool>,
}

/// Buyers that arrive until they are stopped.
pub(crate) struct Traffic {
    visit: Visit,
    arriving: JoinHandle<JoinSet<()>>,
}

impl Traffic {
    /// Lets buyers arrive at this address, for a performance with a seat for each.
    pub(crate) fn start(base: &str, clients: Clients, concert: &str, performance: &str) -> Self {
        let (caller, tally, is_over) = (Caller::new(base), Arc::default(), Arc::<AtomicBool>::default());
        let (base, concert, performance) = (base.to_owned(), concert.to_owned(), performance.to_owned());
        let visit = Visit { base, caller, clients, concert, performance, tally, is_over };
        let arriving = tokio::spawn(arrive(visit.clone()));
        Self { visit, arriving }
    }

    /// What was counted so far.
    pub(crate) async fn tally(&self) -> Tally {
        self.visit.tally.lock().await.clone()
    }

    /// Waits until this many more buyers have paid. Returns the seconds.
    ///
    /// # Errors
    /// If they do not within four minutes.
    pub(crate) async fn sells(&self, count: u64) -> Outcome<f64> {
        let (began, before) = (Instant::now(), self.tally().await.sold);
        while self.tally().await.sold < before + count {
            if began.elapsed() > 2 * FINISH_MAX {
                return Err(format!(
                    "fewer than {count} buyers paid within four minutes: {}",
                    self.tally().await.line()
                ));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    /// Lets the buyers finish. Returns what they saw, and the ids of payments that were acknowledged and are not there.
    ///
    /// # Errors
    /// If a buyer does not finish, or a payment cannot be read.
    pub(crate) async fn finish(self) -> Outcome<(Tally, Vec<String>)> {
        self.visit.is_over.store(true, Ordering::Relaxed);
        let mut buyers = self.arriving.await.map_err(|error| format!("buyers no longer arrive: {error}"))?;
        let finishing = async { while buyers.join_next().await.is_some() {} };
        tokio::time::timeout(FINISH_MAX, finishing).await.map_err(|_| "a buyer has no end".to_owned())?;
        let tally = self.visit.tally.lock().await.clone();
        let mut lost = Vec::new();
        for (user, payment) in &tally.paid {
            let call = self.visit.caller.get(&format!("/payments/{payment}"));
            let reply = self.visit.clients.call_as(user, call).try_send().await?;
            match reply.status.as_u16() {
                200 => {}
                404 => lost.push(payment.clone()),
                status => return Err(format!("the payment {payment} cannot be read: {status}")),
            }
        }
        Ok((tally, lost))
    }
}

async fn arrive(visit: Visit) -> JoinSet<()> {
    let (mut buyers, mut ticks) = (JoinSet::new(), tokio::time::interval(ARRIVE_EVERY));
    let mut number = 0;
    while !visit.is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        number += 1;
        let mut visit = visit.clone();
        visit.caller = visit.clients.caller(&visit.base, number).unwrap_or(visit.caller);
        buyers.spawn(async move {
            // `None` is a refusal, which was counted.
            visit.buy(number).await;
        });
    }
    buyers
}

impl Visit {
    async fn buy(&self, number: u32) -> Option<()> {
        let user = format!("buyer-{number}");
        let as_user = |call: Call, key: &str| self.clients.call_as(&user, call.key(&format!("{user}-{key}")));
        let body = json!({"userId": user, "concertId": self.concert});
        let entry = self.insist(|| as_user(self.caller.post("/queue/tokens"), "e").json(&body)).await?;
        let token = entry["token"].as_str()?.to_owned();
        self.is_called(&user, &token).await?;
        let charge = || as_user(self.caller.patch(&format!("/point/{user}/charge")), "c");
        self.insist(|| charge().json(&json!({"amount": PRICE}))).await?;
        let body = json!({"performanceId": self.performance, "seats": [number]});
        let hold = || as_user(self.caller.post("/reservations").token(&token), "h");
        let held = self.insist(|| hold().json(&body)).await?;
        let body = json!({"reservationId": held["reservationId"]});
        let pay = || as_user(self.caller.post("/payments").token(&token), "p");
        let paid = self.insist(|| pay().json(&body)).await?;
        let mut tally = self.tally.lock().await;
        tally.sold += 1;
        tally.paid.push((user.clone(), paid["paymentId"].as_str()?.to_owned()));
        Some(())
    }

    /// Polls until the turn begins. Returns `None` if it is over, such as after a jump of the clock.
    async fn is_called(&self, user: &str, token: &str) -> Option<()> {
        loop {
            let poll = || self.clients.call_as(user, self.caller.get("/queue/token").token(token));
            let place = self.insist(poll).await?;
            let mut tally = self.tally.lock().await;
            tally.polls += 1;
            match place["status"].as_str()? {
                "ACTIVE" => return Some(()),
                "WAITING" => {}
                _ => {
                    *tally.refused.entry("turn-over".to_owned()).or_default() += 1;
                    return None;
                }
            }
            drop(tally);
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Sends a request until it has an answer that a retry does not change. Returns `None` if that is a refusal.
    async fn insist(&self, call: impl Fn() -> Call) -> Option<Value> {
        loop {
            let began = Instant::now();
            let answer = tokio::time::timeout(ANSWER_MAX, call().try_send()).await;
            let reply = answer.map_err(|_| "late".to_owned()).flatten();
            let mut tally = self.tally.lock().await;
            tally.slowest = tally.slowest.max(began.elapsed());
            let wait = match &reply {
                Ok(reply) if reply.status.is_success() => {
                    tally.good += 1;
                    return Some(reply.json());
                }
                Ok(reply) if reply.status == 429 || reply.status.is_server_error() => {
                    tally.later += 1;
                    retry_after(reply)
                }
                Ok(reply) => {
                    *tally.refused.entry(reply.code()).or_default() += 1;
                    return None;
                }
                Err(_) => {
                    tally.unanswered += 1;
                    1
                }
            };
            drop(tally);
            tokio::time::sleep(Duration::from_secs(wait)).await;
        }
    }
}

/// The seconds that an answer asks a client to wait; 1 if it names none.
fn retry_after(reply: &Reply) -> u64 {
    reply.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, 5)
}
