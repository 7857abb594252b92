//! One lane without queues and threads: a batch is loaded, decided in order, and saved.

use std::sync::Arc;

use crate::mixed::{AnyCommand, Done};
use onsale_app::idempotency::{KeptAnswer, KeyId};
use onsale_app::store::{Store, StoreError, Unit, Wanted, Writer};
use onsale_domain::ids::{Entropy, Mint};
use onsale_domain::time::Timestamp;
use onsale_domain::{Context, Refusal, seat_list};
use onsale_testing::Dice;

pub(crate) type Outcome = Result<Done, Refusal>;

/// A command, with an idempotency key or without.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) command: AnyCommand,
    pub(crate) key: Option<KeyId>,
}

impl From<AnyCommand> for Request {
    fn from(command: AnyCommand) -> Self {
        Self { command, key: None }
    }
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Decided(Box<Outcome>),
    /// The stored answer, because the key was used before.
    Replayed(Arc<[u8]>),
}

/// Random numbers from a seed: two stores that run the same commands make the same ids.
pub(crate) struct Seeded(Dice);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0.below(u64::MAX)
    }
}

/// A lane of a store.
pub(crate) struct Lane {
    pub(crate) writer: Box<dyn Writer>,
    pub(crate) ids: Mint<Seeded>,
    pub(crate) hold_seconds: u32,
    /// Replaces the database's time, if a test sets one.
    pub(crate) at: Option<Timestamp>,
}

impl Lane {
    pub(crate) async fn new(store: &dyn Store, seed: u64) -> Self {
        let writer = store.writer().await.expect("a writer");
        Self { writer, ids: Mint::new(Seeded(Dice::new(seed))), hold_seconds: 300, at: None }
    }

    /// Begins a unit of work for these requests.
    pub(crate) async fn load(&mut self, requests: &[Request]) -> Result<Unit, StoreError> {
        let mut wanted = Wanted::default();
        for request in requests {
            request.command.needs(&mut wanted.keys);
            wanted.answers.extend(request.key.clone());
        }
        let mut unit = self.writer.load(&wanted).await?;
        unit.at = self.at.unwrap_or(unit.at);
        // Open reservations of a user have no order, and ending all of them makes ids in the order of loading: sort them, so that
        // both stores make the same ids.
        unit.rows.open_reservations.values_mut().for_each(|ids| ids.sort_unstable());
        Ok(unit)
    }

    /// Decides requests over the loaded rows.
    pub(crate) fn decide(&mut self, requests: &[Request], unit: &mut Unit) -> Vec<Answer> {
        requests.iter().map(|request| self.decide_one(request, unit)).collect()
    }

    fn decide_one(&mut self, request: &Request, unit: &mut Unit) -> Answer {
        let kept = request.key.as_ref().and_then(|key| unit.answers.get(key)).filter(|kept| kept.lives(unit.at));
        if let Some(kept) = kept {
            return Answer::Replayed(kept.answer.clone());
        }
        let mut cx = Context { at: unit.at, ids: &mut self.ids, hold_seconds: self.hold_seconds };
        // As the desk does.
        seat_list::serve(&mut unit.rows, &mut cx);
        let outcome = request.command.decide(&mut unit.rows, &mut cx);
        seat_list::serve(&mut unit.rows, &mut cx);
        if let Some(key) = &request.key {
            unit.answers.put(key.clone(), kept_answer(&outcome, unit.at));
        }
        Answer::Decided(Box::new(outcome))
    }

    /// One unit of work.
    pub(crate) async fn answer(&mut self, requests: &[Request]) -> Result<Vec<Answer>, StoreError> {
        let mut unit = self.load(requests).await?;
        let answers = self.decide(requests, &mut unit);
        self.writer.save(&unit).await?;
        Ok(answers)
    }

    /// One unit of work without idempotency keys.
    pub(crate) async fn run(
        &mut self,
        batch: impl IntoIterator<Item = AnyCommand>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let requests: Vec<Request> = batch.into_iter().map(Request::from).collect();
        let answers = self.answer(&requests).await?;
        Ok(answers.into_iter().filter_map(Answer::decided).collect())
    }

    /// One command that must succeed.
    pub(crate) async fn done(&mut self, command: impl Into<AnyCommand>) -> Done {
        let outcomes = self.run([command.into()]).await.expect("a unit of work");
        outcomes.into_iter().next().expect("an outcome").expect("no refusal")
    }
}

impl Answer {
    pub(crate) fn decided(self) -> Option<Outcome> {
        match self {
            Self::Decided(outcome) => Some(*outcome),
            Self::Replayed(_) => None,
        }
    }
}

/// The stored form of an outcome.
pub(crate) fn kept_answer(outcome: &Outcome, at: Timestamp) -> KeptAnswer {
    KeptAnswer { fingerprint: [7; 32], answer: format!("{outcome:?}").into_bytes().into(), kept_at: at }
}
