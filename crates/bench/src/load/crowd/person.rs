//! One person: sends one request after another and records each answer.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use onsale_load_generator::{Reply, Request};
use onsale_testing::auditor::{Answer, Asked};

use super::super::answers::{Sample, interned};
use super::super::calls::{Call, Kind};
use super::{Concert, PATIENCE, Thread, Venue, bearer};
use crate::room::answer_of;
use crate::users::{self, Dice};

/// Percent of the changes whose first answer is cut, for persons who repeat.
const CUT_PERCENT: usize = 5;

/// An answer with its body.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered {
    /// Status code; 0 if there was no answer.
    pub(super) status: u16,
    pub(super) code: &'static str,
    retry_after: Option<u64>,
    body: Vec<u8>,
}

impl Answered {
    /// To read fields of its body.
    pub(super) fn reply(&self) -> Reply<'_> {
        Reply { status: self.status, head: &[], body: &self.body }
    }

    /// Whether the call succeeded.
    pub(super) fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A person of the crowd.
pub(super) struct Person {
    thread: Rc<Thread>,
    pub(super) number: u32,
    pub(super) user: String,
    bearer: Option<String>,
    /// What the proxy in front would name as the client's address.
    address: String,
    pub(super) dice: Dice,
    /// When the next request is due.
    due: Instant,
    /// Number of idempotency keys used.
    keys: u32,
    pub(super) token: String,
    token_id: u128,
    /// Whether each change is sent twice, and some answers are cut.
    pub(super) repeats: bool,
    /// The id of the payment that this person made last; empty without one.
    pub(super) payment: String,
}

impl Person {
    /// A person whose first request is due.
    pub(super) fn new(thread: Rc<Thread>, number: u32, due: Instant) -> Self {
        let user = users::user(number as usize);
        let bearer = thread.crowd.venue.has_bearers.then(|| bearer(&user));
        let [_, high, middle, low] = number.to_be_bytes();
        Self {
            number,
            bearer,
            address: format!("10.{high}.{middle}.{low}"),
            dice: Dice(u64::from(number) + 1),
            due,
            keys: 0,
            token: String::new(),
            token_id: 0,
            repeats: false,
            payment: String::new(),
            user,
            thread,
        }
    }

    /// The sale that this person visits.
    pub(super) fn venue(&self) -> &Venue {
        &self.thread.crowd.venue
    }

    /// The concert that this person wants.
    pub(super) fn concert(&self) -> &Concert {
        self.venue().concert_of(self.number)
    }

    /// Uses the address that all persons of an office share.
    pub(super) fn shares_address(&mut self, address: &str) {
        address.clone_into(&mut self.address);
    }

    /// Whether the run is over.
    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.thread.ends
    }

    /// Waits before the next request, which is due afterwards. No longer than to the end of the run.
    pub(super) async fn pause(&mut self, time: Duration) {
        self.due = (Instant::now() + time).min(self.thread.ends);
        tokio::time::sleep_until(self.due.into()).await;
    }

    /// Thinks: half to three halves of the average time.
    pub(super) async fn think(&mut self) {
        let millis = usize::try_from(self.venue().think.as_millis()).unwrap_or(0);
        if millis > 0 {
            let pause = millis / 2 + self.dice.below(millis);
            self.pause(Duration::from_millis(pause as u64)).await;
        }
    }

    /// Counts how this person ended.
    pub(super) fn ends(&self, end: &'static str) {
        *self.thread.answers.borrow_mut().ends.entry(end).or_default() += 1;
    }

    /// Counts a seat that this person paid.
    pub(super) fn paid(&self, performance: u32, seat: u32) {
        self.thread.answers.borrow_mut().paid.push((performance, seat));
    }

    /// A new idempotency key.
    pub(super) fn key(&mut self) -> String {
        self.keys += 1;
        format!("{}-{}", self.user, self.keys)
    }

    /// The request with what identifies this person.
    pub(super) fn signed(&self, request: Request) -> Request {
        let request = request.header("x-forwarded-for", &self.address);
        match &self.bearer {
            Some(bearer) => request.bearer(bearer),
            None => request,
        }
    }

    /// Sends a request once, and records the answer.
    pub(super) async fn send(&mut self, call: Call, request: &Request) -> Answered {
        let thread = self.thread.clone();
        let due = self.due;
        let lease = thread.pool.take().await;
        let sent = Instant::now();
        let (instance, answered) = match lease {
            Ok(mut lease) => {
                let bytes = request.to_bytes();
                let exchanged = tokio::time::timeout(PATIENCE, lease.connection.exchange(&bytes)).await;
                let answered = exchanged.map_err(io::Error::other).flatten().map(|reply| Answered {
                    status: reply.status,
                    code: if reply.status >= 400 { interned(reply.text("code").unwrap_or("no code")) } else { "" },
                    retry_after: reply.number_of_header("retry-after"),
                    body: reply.body.to_vec(),
                });
                let instance = lease.instance;
                match &answered {
                    Ok(_) => lease.put(),
                    Err(_) => lease.close(),
                }
                (instance, answered.unwrap_or_default())
            }
            Err(_) => (0, Answered::default()),
        };
        self.record(call, instance, (due, sent), &answered);
        // A call without a pause before it is due when the last one is answered.
        self.due = Instant::now();
        answered
    }

    fn record(&mut self, call: Call, instance: u16, (due, sent): (Instant, Instant), answered: &Answered) {
        let now = Instant::now();
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let since_log = |at: Instant| {
            u64::try_from(at.saturating_duration_since(self.thread.crowd.log_began).as_micros()).unwrap_or(u64::MAX)
        };
        let mut answers = self.thread.answers.borrow_mut();
        answers.late.push(micros(sent.saturating_duration_since(due)));
        answers.samples.push(Sample {
            at: micros(due.saturating_duration_since(self.thread.began)) / 1_000,
            call,
            status: answered.status,
            code: answered.code,
            micros: micros(now.saturating_duration_since(due)),
        });
        // The auditor reads one room: that of the first concert.
        let is_audited = self.venue().concert_of(self.number).id == self.venue().concerts[0].id;
        let Some(asked) = call.asked().filter(|_| is_audited) else { return };
        let answer = match asked {
            Asked::Enter | Asked::Poll => answer_of(&answered.reply()),
            _ => Answer { code: answered.status, ..Answer::default() },
        };
        let record = answer.record((instance, asked), (self.number, self.token_id), (since_log(sent), since_log(now)));
        self.token_id = record.token;
        answers.records.push(record);
    }

    /// Sends a request until it has an answer that is neither shed nor without effect, and waits between tries as the answer
    /// asks for. Returns `None` if the run ends before, or if the answer is a failure that a retry does not change.
    pub(super) async fn insist(&mut self, call: Call, request: &Request) -> Option<Answered> {
        loop {
            let answered = self.send(call, request).await;
            match (call.kind(answered.status, answered.code), answered.status) {
                (Kind::Good, _) => return Some(answered),
                (_, 0 | 429 | 500..) if !self.is_late() => {
                    let jitter = self.dice.below(1_000) as u64;
                    let wait = answered.retry_after.unwrap_or(1) * 1_000 + jitter;
                    self.pause(Duration::from_millis(wait)).await;
                }
                _ => return None,
            }
        }
    }

    /// Sends a change under a new idempotency key. A person who repeats sends it twice, and may not see the first answer.
    pub(super) async fn change(&mut self, call: Call, request: Request) -> Option<Answered> {
        let request = self.signed(request).key(&self.key());
        if self.repeats && self.dice.below(100) < CUT_PERCENT {
            self.cut(&request).await;
        } else if self.repeats {
            self.send(call, &request).await;
        }
        self.insist(call, &request).await
    }

    /// Sends a request, and closes the connection without reading the answer.
    async fn cut(&self, request: &Request) {
        if let Ok(mut lease) = self.thread.pool.take().await {
            // The server may close it at the same time.
            let _ = lease.connection.send(&request.to_bytes()).await;
            lease.close();
            self.thread.answers.borrow_mut().cut += 1;
        }
    }
}
