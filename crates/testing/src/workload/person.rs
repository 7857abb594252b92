//! One caller: sends one request after another, records the outcome, and retries if there was no answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::deed::{Deed, Outcome, What};
use super::dice::Dice;
use super::{HOT, SEATS, Stage};
use crate::caller::Caller;

/// A person with a wallet, perhaps a turn and a hold. No other caller acts for this person.
pub(super) struct Person {
    pub(super) name: String,
    /// Together with a count, creates amounts that no other person uses on a shared wallet.
    number: i64,
    dice: Dice,
    pub(super) deeds: Vec<Deed>,
    token: Option<String>,
    held: Option<String>,
    pub(super) applied: BTreeSet<String>,
    /// Tokens in the room that persons leave.
    leaving: Vec<String>,
    /// The state must be read again: a request may have taken effect.
    pub(super) stale: bool,
    /// The longest wait for any answer.
    pub(super) slowest: Duration,
}

impl Person {
    pub(super) fn new(number: i64, seed: u64) -> Self {
        Self {
            name: format!("p{number}"),
            number,
            dice: Dice::new(seed),
            deeds: Vec::new(),
            token: None,
            held: None,
            applied: BTreeSet::new(),
            leaving: Vec::new(),
            stale: false,
            slowest: Duration::ZERO,
        }
    }

    /// Acts until stopped, whatever the server does meanwhile.
    pub(super) async fn run(mut self, stage: Arc<Stage>, caller: Caller, stop: Arc<AtomicBool>) -> Self {
        while !stop.load(Ordering::Relaxed) {
            if !self.settle(&stage, &caller).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            let deed = self.choose(&stage);
            self.deeds.push(deed);
            self.send(&stage, &caller).await;
        }
        self
    }

    /// Resolves what is open: repeats the last request under its key, and reads what a request without a key left unknown.
    pub(super) async fn settle(&mut self, stage: &Stage, caller: &Caller) -> bool {
        if let Some(last) = self.deeds.last_mut().filter(|last| matches!(last.outcome, Outcome::Unknown)) {
            if last.is_repeatable() {
                self.send(stage, caller).await;
                if self.deeds.last().is_some_and(|last| matches!(last.outcome, Outcome::Unknown)) {
                    return false;
                }
            } else {
                last.outcome = Outcome::Maybe;
                self.stale = true;
            }
        }
        if self.stale {
            self.stale = self.look(caller).await.is_none();
        }
        !self.stale
    }

    /// Reads the current state: the person's places and hold.
    async fn look(&mut self, caller: &Caller) -> Option<()> {
        let read = async |path: String| caller.get(&path).try_send().await.ok().filter(|reply| reply.status == 200);
        let places = read(format!("/lectures/application/{}", self.name)).await?.json();
        let holds = read(format!("/users/{}/reservations?limit=200", self.name)).await?.json();
        let id = |row: &serde_json::Value, name: &str| row[name].as_str().map(str::to_owned);
        self.applied = places["applications"].as_array()?.iter().filter_map(|row| id(row, "lectureId")).collect();
        let held = holds.as_array()?.iter().find(|row| row["status"] == "HELD");
        self.held = held.and_then(|row| id(row, "reservationId"));
        Some(())
    }

    /// Sends the last request and updates the state from its outcome.
    async fn send(&mut self, stage: &Stage, caller: &Caller) {
        let Some((deed, earlier)) = self.deeds.split_last_mut() else { return };
        if deed.sent == 0 {
            deed.sent = stage.tick();
        }
        let since = Instant::now();
        let reply = deed.call(caller).try_send().await;
        self.slowest = self.slowest.max(since.elapsed());
        deed.answered = stage.tick();
        self.stale |= deed.take_down(reply, earlier);
        if let Outcome::Done(_) = &deed.outcome {
            let deed = deed.clone();
            self.learn(stage, &deed);
        }
    }

    fn learn(&mut self, stage: &Stage, deed: &Deed) {
        let body = deed.done().unwrap_or_default();
        let id = |name: &str| body[name].as_str().map(str::to_owned);
        match &deed.what {
            What::Charge { .. } | What::Use { .. } => {}
            What::Apply { lecture } => drop(self.applied.insert(lecture.clone())),
            What::Cancel { lecture } => drop(self.applied.remove(lecture)),
            What::Enter { concert, .. } if *concert == stage.concert => self.token = id("token"),
            What::Enter { concert, .. } if *concert == stage.exits => self.leaving.extend(id("token")),
            What::Enter { .. } => {}
            What::Leave { token } => {
                self.leaving.retain(|known| known != token);
                if self.token.as_ref() == Some(token) {
                    (self.token, self.held) = (None, None);
                }
            }
            What::Hold { .. } => self.held = id("reservationId"),
            What::Release { .. } => self.held = None,
            What::Pay { .. } => (self.token, self.held) = (None, None),
        }
    }

    fn choose(&mut self, stage: &Stage) -> Deed {
        let count = i64::try_from(self.deeds.len()).unwrap_or(0);
        let what = match self.dice.below(100) {
            0..30 => self.points(count),
            30..50 => self.lecture(stage),
            50..60 => self.line(stage, count),
            _ => self.concert(stage),
        };
        // After paying or leaving without a key, the person does not know whether the turn still runs.
        let needs_key = matches!(what, What::Pay { .. } | What::Leave { .. });
        let with_key = needs_key || self.dice.percent(70);
        Deed {
            what,
            user: self.name.clone(),
            token: self.token.clone(),
            key: with_key.then(|| format!("{}-{count}", self.name)),
            sent: 0,
            answered: 0,
            outcome: Outcome::Unknown,
        }
    }

    /// Amounts differ from deed to deed, so that each can be found in the history.
    fn points(&mut self, count: i64) -> What {
        let shared = 1 + count * 64 + self.number;
        match self.dice.below(10) {
            0..4 => What::Charge { wallet: self.name.clone(), amount: 10_000 + count },
            4..6 => What::Use { wallet: self.name.clone(), amount: 1 + count },
            6..8 => What::Charge { wallet: HOT.to_owned(), amount: shared },
            _ => What::Use { wallet: HOT.to_owned(), amount: shared },
        }
    }

    fn lecture(&mut self, stage: &Stage) -> What {
        let lecture = self.dice.one_of(&stage.lectures).clone();
        if self.applied.contains(&lecture) { What::Cancel { lecture } } else { What::Apply { lecture } }
    }

    /// Sends a new user into a line that does not move, or removes one.
    fn line(&mut self, stage: &Stage, count: i64) -> What {
        let user = format!("{}-{count}", self.name);
        if self.dice.percent(50) {
            return What::Enter { user, concert: stage.line.clone() };
        }
        if !self.leaving.is_empty() && self.dice.percent(40) {
            return What::Leave { token: self.dice.one_of(&self.leaving).clone() };
        }
        What::Enter { user, concert: stage.exits.clone() }
    }

    fn concert(&mut self, stage: &Stage) -> What {
        let Some(token) = self.token.clone() else {
            return What::Enter { user: self.name.clone(), concert: stage.concert.clone() };
        };
        let Some(reservation) = self.held.clone() else {
            let first = u32::try_from(1 + self.dice.below(u64::from(SEATS) - 1)).unwrap_or(1);
            let seats = if self.dice.percent(50) { vec![first] } else { vec![first, first + 1] };
            return What::Hold { performance: self.dice.one_of(&stage.performances).clone(), seats };
        };
        match self.dice.below(10) {
            0..6 => What::Pay { reservation },
            6..9 => What::Release { reservation },
            _ => What::Leave { token },
        }
    }
}
