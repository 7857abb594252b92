//! Runs one batch as one unit of work: load the rows, decide in order, save.

use std::panic::{AssertUnwindSafe, catch_unwind};

use onsale_domain::ids::{Entropy, Mint};
use onsale_domain::{Command, Context, Refusal, seat_list};

use super::job::Encode;
use super::lane::Lane;
use super::quota::Quotas;
use super::{KeyedAnswer, Outcome, Terms, Waiting};
use crate::idempotency::{KEY_LIFE_SECONDS, KeptAnswer, Keyed};
use crate::store::{StoreError, Unit, Wanted};

/// Random bits from the thread's generator, which is seeded by the operating system.
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next_u64(&mut self) -> u64 {
        rand::random()
    }
}

/// Runs a batch. On success all of it is durable, and each job holds its result; on an error see [`StoreError`] for
/// what may remain.
pub(super) async fn run(lane: &mut Lane, batch: &mut [Waiting]) -> Result<(), StoreError> {
    let wanted = Wanted { is_patient: lane.is_patient, ..wanted(batch, &lane.quotas) };
    let mut unit = lane.writer.load(&wanted).await?;
    let Lane { ids, terms, quotas, .. } = lane;
    // Before the decisions: they check these counts.
    for (owner, count) in &unit.kept_counts {
        quotas.counted(owner, count, unit.at);
    }
    // A defect in one decision panics. Then nothing is saved, and the lane runs the jobs again, each alone.
    let decided = catch_unwind(AssertUnwindSafe(|| {
        let mut decider = Decider { unit: &mut unit, terms, ids, quotas };
        for waiting in batch {
            decider.decide_traced(waiting);
        }
    }));
    if decided.is_err() {
        // The transaction is still open and holds its locks.
        lane.writer.abandon().await;
        return Err(StoreError::Rejected("a decision panicked".to_owned()));
    }
    let began = std::time::Instant::now();
    lane.writer.save(&unit).await?;
    lane.terms.metrics.commit.observe(began.elapsed().as_secs_f64());
    // The commit just proved that the database takes writes.
    if unit.prove_writable {
        lane.terms.metrics.troubled.set(0);
    }
    // The unit is durable, so its callers are answered even if an observer panics. What the observers know may then be
    // wrong: they read everything again before the next batch.
    let observed = catch_unwind(AssertUnwindSafe(|| {
        for observer in &lane.terms.observers {
            observer.committed(&unit);
        }
    }));
    lane.in_doubt |= observed.is_err();
    Ok(())
}

/// The rows that a batch needs, its keys, and the owners whose kept answers the store counts.
pub(super) fn wanted(batch: &[Waiting], quotas: &Quotas) -> Wanted {
    let mut wanted = Wanted { count_max: quotas.most(), ..Wanted::default() };
    for waiting in batch {
        let job = waiting.job.get();
        job.needs(&mut wanted.keys);
        let Some(Keyed { id, .. }) = job.key() else { continue };
        wanted.answers.insert(id.clone());
        if id.owner.is_limited() && quotas.must_count(&id.owner) {
            wanted.counted.insert(id.owner.clone());
        }
    }
    wanted
}

/// Decides the jobs of one batch over its unit of work.
pub(super) struct Decider<'a> {
    unit: &'a mut Unit,
    terms: &'a Terms,
    ids: &'a mut Mint<SystemEntropy>,
    quotas: &'a mut Quotas,
}

impl Decider<'_> {
    /// Decides a job. The events of a traced request carry its trace.
    fn decide_traced(&mut self, waiting: &mut Waiting) {
        // Events are only added at the end, so those from here on are of this command.
        let before = self.unit.rows.events.len();
        waiting.job.get_mut().decide(self);
        if let Some(span) = &waiting.span {
            let added = before..self.unit.rows.events.len();
            self.unit.traces.extend(added.map(|event| (event, span.context)));
        }
    }

    /// Decides a command over the rows of the unit.
    pub(super) fn decide<C: Command>(&mut self, command: &C) -> Outcome<C> {
        let mut context = Context { at: self.unit.at, ids: &mut *self.ids, hold_seconds: self.terms.hold_seconds };
        let rows = &mut self.unit.rows;
        // Before: a hold that lapsed gives its seats to the waiting list, and not to this command. After: what the command frees goes
        // there in the same transaction. Both do nothing if no loaded performance has a waiting list.
        seat_list::serve(rows, &mut context);
        let outcome = command.decide(rows, &mut context);
        seat_list::serve(rows, &mut context);
        outcome
    }

    /// Decides a command, unless its key keeps an answer. A key that comes twice in one batch is decided once.
    pub(super) fn decide_once<C: Command>(
        &mut self,
        command: &C,
        key: &Keyed,
        is_turn_over: bool,
        encode: &Encode<C>,
    ) -> KeyedAnswer {
        let Keyed { id, fingerprint } = key;
        let at = self.unit.at;
        if let Some(kept) = self.unit.answers.get(id).filter(|kept| kept.lives(at)) {
            if kept.fingerprint != *fingerprint {
                return KeyedAnswer::KeyReused;
            }
            self.terms.metrics.replayed.inc();
            return KeyedAnswer::Kept { answer: kept.answer.clone(), refusal: None, replayed: true };
        }
        // Checked before the decision: a command that is done under a key must keep its answer.
        let quota = if id.owner.is_limited() { self.quotas.check(&id.owner, at) } else { Ok(()) };
        if let Err(retry_after_seconds) = quota {
            self.terms.metrics.keys_used_up.inc();
            return KeyedAnswer::KeysUsedUp { retry_after_seconds };
        }
        if is_turn_over {
            return KeyedAnswer::NotKept(Refusal::TokenExpired);
        }
        let outcome = match self.decide(command) {
            Err(refusal) if !refusal.is_kept() => return KeyedAnswer::NotKept(refusal),
            outcome => outcome,
        };
        let answer = encode(&outcome);
        let kept = KeptAnswer { fingerprint: *fingerprint, answer: answer.clone(), kept_at: at };
        // Into the same unit: the answer and what it reports become durable together, or neither does.
        self.unit.answers.put(id.clone(), kept);
        if id.owner.is_limited() {
            self.quotas.add(&id.owner);
        }
        KeyedAnswer::Kept { answer, refusal: outcome.err(), replayed: false }
    }

    /// Drops a few kept answers that are too old, and proves that the database takes writes if it did not before.
    pub(super) fn forget_answers(&mut self) {
        let before = self.unit.at.plus_millis(-i64::from(KEY_LIFE_SECONDS) * 1000);
        self.unit.forget_answers_before = Some(before);
        self.unit.prove_writable = self.terms.metrics.troubled.get() > 0;
    }
}
