//! Random commands of a few users who compete for a few things and use whatever they get.

mod commands;
mod lectures;

use crate::mixed::{AnyCommand, Done};
use onsale_app::idempotency::{KeyId, Owner};
use onsale_domain::concert::Held;
use onsale_domain::concert::{self, Performance};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, ReservationId, UserId};
use onsale_domain::payment::Payment;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Entered;
use onsale_domain::waiting_room::Token;
use onsale_domain::wallet::AMOUNT_MAX;
use onsale_domain::{Refusal, wallet};
use onsale_testing::Dice;

use crate::lane::{Answer, Request};

/// Users. The last one starts with the maximum balance.
const USERS: &[&str] =
    &["ann", "B_o-b", "cid", "0000000000000000000000000000000000000000000000000000000000000dan", "eve"];

/// The start time of every sequence: the year 2100. The database's own clock is far behind it whenever the test runs, and some
/// reads leave out what lies days behind that clock.
const START: Timestamp = Timestamp::from_millis(4_102_444_800_000);

/// Number of remembered tokens and reservations. Older ones are dropped, so that the remaining ones are used more often.
const REMEMBERED: usize = 8;

/// Generates the users' next commands from what they know of the sale.
#[derive(Clone)]
pub(crate) struct People {
    dice: Dice,
    pub(crate) now: Timestamp,
    pub(crate) users: Vec<UserId>,
    pub(crate) lectures: Vec<LectureId>,
    pub(crate) concerts: Vec<ConcertId>,
    pub(crate) performances: Vec<Performance>,
    pub(crate) reservations: Vec<(ReservationId, UserId)>,
    pub(crate) payments: Vec<Payment>,
    cancelled: Vec<PerformanceId>,
    tokens: Vec<Token>,
}

impl People {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            now: START,
            users: USERS.iter().filter_map(|name| UserId::parse(name)).collect(),
            lectures: Vec::new(),
            concerts: Vec::new(),
            performances: Vec::new(),
            reservations: Vec::new(),
            payments: Vec::new(),
            cancelled: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Another generator with the same knowledge and tokens.
    pub(crate) fn others(&self, seed: u64) -> Self {
        Self { dice: Dice::new(seed), ..self.clone() }
    }

    /// The first requests: one thing of each kind, and points for all users.
    pub(crate) fn first(&mut self) -> Vec<Request> {
        let charge = |user: &UserId, amount| AnyCommand::from(wallet::Charge { user: user.clone(), amount });
        let rich = self.users.last().map(|user| vec![charge(user, AMOUNT_MAX); 100]).unwrap_or_default();
        let points: Vec<AnyCommand> = self.users.iter().map(|user| charge(user, 3_000)).collect();
        let mut commands: Vec<AnyCommand> = (0..3).map(|_| self.open_lecture()).collect();
        commands.extend((0..2).map(|_| self.open_concert()));
        commands.extend(rich);
        commands.extend(points);
        commands.into_iter().map(Request::from).collect()
    }

    /// Advances the time (rarely backwards), and returns a batch of requests.
    pub(crate) fn next(&mut self) -> Vec<Request> {
        let millis = match self.dice.below(100) {
            0..40 => 0,
            40..70 => 1 + self.dice.below(30),
            70..95 => 100 + self.dice.below(1_000),
            _ => 1_400 + self.dice.below(4_000),
        };
        let back = if self.dice.percent(2) { -i64::try_from(self.dice.below(800)).unwrap_or(0) } else { 0 };
        self.now = self.now.plus_millis(i64::try_from(millis).unwrap_or(0) + back);
        (0..=self.dice.below(8)).map(|_| self.request()).collect()
    }

    fn request(&mut self) -> Request {
        let command = self.command();
        // Few keys, so that most are used again, with another command that must not run.
        let key = self.dice.percent(8).then(|| {
            let owner = if self.dice.percent(70) { Owner::User(self.user()) } else { Owner::Root };
            KeyId { owner, key: format!("key \"{}\"", self.dice.below(6)).into() }
        });
        Request { command, key }
    }

    /// Learns from an outcome.
    pub(crate) fn learn(&mut self, requests: &[Request], answers: &[Answer]) {
        for (request, answer) in requests.iter().zip(answers) {
            let Answer::Decided(outcome) = answer else { continue };
            let done = match &**outcome {
                Ok(done) => done,
                Err(refusal) => {
                    self.lose_heart(&request.command, refusal);
                    continue;
                }
            };
            match done {
                Done::CreateLecture(lecture) => self.lectures.push(lecture.id),
                Done::CreateConcert(concert) => self.concerts.push(concert.id),
                Done::Schedule(performance) => self.performances.push(performance.clone()),
                Done::Hold(Held { reservation, .. }) | Done::HoldAny(Held { reservation, .. }) => {
                    self.reservations.push((reservation.id, reservation.user.clone()));
                }
                Done::Pay(payment) => self.payments.push(payment.clone()),
                Done::CancelPerformance(cancelled) if cancelled.is_new => {
                    self.cancelled.push(cancelled.cancellation.performance);
                }
                Done::Enter(Entered { token, .. }) => {
                    // A new place replaces the old one. Some users keep showing the old token.
                    let shows_old = self.dice.percent(15);
                    let is_older = |known: &Token| (known.concert, &known.user) == (token.concert, &token.user);
                    self.tokens.retain(|known| known != token && (shows_old || !is_older(known)));
                    self.tokens.push(token.clone());
                    let forgotten = self.tokens.len().saturating_sub(REMEMBERED);
                    self.tokens.drain(..forgotten);
                }
                _ => {}
            }
        }
    }

    /// A user whose turn has not begun or is over mostly enters again next.
    fn lose_heart(&mut self, command: &AnyCommand, refusal: &Refusal) {
        let shown = match command {
            AnyCommand::Hold(request) => Some(&request.token),
            AnyCommand::Release(concert::Release { token, .. }) => Some(token),
            AnyCommand::Pay(payment) => Some(&payment.token),
            _ => None,
        };
        if *refusal == Refusal::TokenExpired && self.dice.percent(60) {
            self.tokens.retain(|known| Some(known) != shown);
        }
    }

    fn user(&mut self) -> UserId {
        self.dice.one_of(&self.users).clone()
    }
}
