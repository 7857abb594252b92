//! One batch as one unit of work: load, decide in order, save.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use onsale_domain::ids::{Entropy, Mint};
use onsale_domain::{Context, Refusal};

use super::lane::Lane;
use super::quota::Quotas;
use super::{Answer, Request, Waiting, Work};
use crate::idempotency::{KEY_LIFE_SECONDS, KeptAnswer, Keyed};
use crate::store::{StoreError, Unit, Wanted};

/// Bits from the operating system's generator, expanded per thread.
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next_u64(&mut self) -> u64 {
        rand::random()
    }
}

/// Runs a batch. On success all of it is durable; on an error see [`StoreError`] for what may remain.
pub(super) async fn run(lane: &mut Lane, batch: &[&Waiting]) -> Result<Vec<Answer>, StoreError> {
    let wanted = Wanted { is_patient: lane.is_patient, ..wanted(batch, &lane.quotas) };
    let mut unit = lane.writer.load(&wanted).await?;
    let Lane { ids, terms, quotas, .. } = lane;
    for (user, count) in &unit.kept_counts {
        quotas.counted(user, count, unit.at);
    }
    // A defect in one decision: nothing is saved, and the others are decided without it.
    let decided = catch_unwind(AssertUnwindSafe(|| {
        let decide = |waiting: &&Waiting| match &waiting.work {
            Work::Decide(request) => {
                let told = unit.rows.events.len();
                let answer = decide_once(request, &mut unit, terms, (ids, quotas));
                if let Some(span) = &waiting.span {
                    unit.traces.extend((told..unit.rows.events.len()).map(|event| (event, span.context)));
                }
                answer
            }
            Work::ForgetAnswers => {
                unit.forget_answers_before = Some(unit.at.plus_millis(-i64::from(KEY_LIFE_SECONDS) * 1000));
                unit.prove_writable = terms.metrics.troubled.get() > 0;
                Answer::Forgotten
            }
        };
        batch.iter().map(decide).collect::<Vec<_>>()
    }));
    let Ok(answers) = decided else {
        lane.writer.abandon().await;
        return Err(StoreError::Rejected("a decision panicked".to_owned()));
    };
    let began = std::time::Instant::now();
    lane.writer.save(&unit).await?;
    lane.terms.metrics.commit.observe(began.elapsed().as_secs_f64());
    if unit.prove_writable {
        lane.terms.metrics.troubled.set(0);
    }
    // What is durable is answered, even where an observer fails: it must then read everything again.
    let told = catch_unwind(AssertUnwindSafe(|| {
        lane.terms.observers.iter().for_each(|observer| observer.committed(&unit));
    }));
    lane.in_doubt |= told.is_err();
    Ok(answers)
}

/// The rows that a batch needs, its keys, and the users whose answers are to be counted.
pub(super) fn wanted(batch: &[&Waiting], quotas: &Quotas) -> Wanted {
    let mut wanted = Wanted { count_max: quotas.most(), ..Wanted::default() };
    for waiting in batch {
        let Work::Decide(request) = &waiting.work else { continue };
        request.command.needs(&mut wanted.keys);
        let Some(Keyed { id, .. }) = &request.key else { continue };
        wanted.answers.insert(id.clone());
        wanted.counted.extend(id.owner.as_ref().filter(|user| quotas.must_count(user)).cloned());
    }
    wanted
}

/// Decides a request, unless its key has an answer already. Within a batch, a key's second request finds the
/// answer to its first.
fn decide_once(
    request: &Request,
    unit: &mut Unit,
    terms: &super::Terms,
    (ids, quotas): (&mut Mint<SystemEntropy>, &mut Quotas),
) -> Answer {
    let Some(Keyed { id, fingerprint }) = &request.key else {
        return Answer::Decided(decide(request, unit, terms, ids));
    };
    if let Some(kept) = unit.answers.get(id).filter(|kept| kept.lives(unit.at)) {
        if kept.fingerprint != *fingerprint {
            return Answer::KeyReused;
        }
        terms.metrics.replayed.inc();
        return Answer::Kept { answer: kept.answer.clone(), replayed: true };
    }
    // Refused before anything is decided: what is done under a key must be answered the same again.
    let room = id.owner.as_ref().map_or(Ok(()), |user| quotas.check(user, unit.at));
    if let Err(retry_after_seconds) = room {
        terms.metrics.keys_used_up.inc();
        return Answer::KeysUsedUp { retry_after_seconds };
    }
    let outcome = decide(request, unit, terms, ids);
    if matches!(&outcome, Err(refusal) if refusal.is_about_the_request()) {
        return Answer::Decided(outcome);
    }
    let answer: Arc<[u8]> = (terms.encode)(&outcome).into();
    let kept = KeptAnswer { fingerprint: *fingerprint, answer: answer.clone(), kept_at: unit.at };
    unit.answers.put(id.clone(), kept);
    id.owner.iter().for_each(|user| quotas.add(user));
    Answer::Kept { answer, replayed: false }
}

fn decide(request: &Request, unit: &mut Unit, terms: &super::Terms, ids: &mut Mint<SystemEntropy>) -> super::Outcome {
    if request.turn_over {
        return Err(Refusal::TokenExpired);
    }
    let mut context = Context { at: unit.at, ids, hold_seconds: terms.hold_seconds };
    request.command.decide(&mut unit.rows, &mut context)
}
