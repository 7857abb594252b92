//! A lane: one thread with one writer that runs one batch after the other.

use std::thread::JoinHandle;
use std::time::Instant;

use onsale_domain::ids::Mint;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::batch::{self, SystemEntropy};
use super::quota::Quotas;
use super::siding::{Siding, Sorted};
use super::{BATCH_MAX, Failure, Terms, UnderWay, Waiting, traced};
use crate::store::{StoreError, Wanted, Writer};
use crate::trace::Span;

/// Maximum number of attempts to run a command alone while other transactions are first.
const ATTEMPTS_MAX: usize = 3;

/// How many times a batch sets the commands aside that need a held lock. Then each command runs alone.
const SORTED_MAX: usize = 3;

/// Maximum number of commands of a batch that run alone and each wait for a lock. Then the rest of the batch fails.
const LOCKED_MAX: u32 = 5;

/// One lane. Only its own thread uses it, so nothing here needs a lock except `under_way`.
pub(super) struct Lane {
    pub(super) writer: Box<dyn Writer>,
    pub(super) terms: Terms,
    pub(super) ids: Mint<SystemEntropy>,
    /// How many answers each user may still keep.
    pub(super) quotas: Quotas,
    /// The observers may be wrong: the outcome of a commit is unknown, or an observer panicked. They must read everything
    /// again before the next decision.
    pub(super) in_doubt: bool,
    /// Shared with the desk, which checks whether this lane is stuck.
    pub(super) under_way: UnderWay,
    /// Commands that wait for a lock of another session.
    siding: Siding,
    /// Whether the current batch queues for its locks for as long as one command may wait. Else it gives up soon.
    pub(super) is_patient: bool,
}

impl Lane {
    pub(super) fn new(writer: Box<dyn Writer>, terms: Terms) -> Self {
        let (ids, quotas) = (Mint::new(SystemEntropy), Quotas::new(terms.kept_per_user_max));
        let (under_way, siding) = (UnderWay::default(), Siding::default());
        Self { writer, terms, ids, quotas, in_doubt: false, under_way, siding, is_patient: false }
    }

    /// Runs until the desk closes and every waiting command has its answer.
    async fn run(mut self, mut receiver: mpsc::Receiver<Waiting>, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            // Read again in each round: the batch before may have parked commands.
            let next_check = self.siding.next_check();
            tokio::select! {
                // In this order: a lane that closes must not take commands that arrive after the close.
                biased;
                () = closing.cancelled(), if !receiver.is_closed() => receiver.close(),
                taken = receiver.recv_many(&mut batch, BATCH_MAX) => if taken == 0 {
                    // The queue is closed and empty. Commands in the siding still wait for their locks.
                    let Some(at) = next_check else { return };
                    tokio::time::sleep_until(at.into()).await;
                },
                () = sleep_until(next_check), if next_check.is_some() => {}
            }
            // A caller that went away before the decision gets none: nothing is done for it.
            batch.retain(|waiting| !waiting.job.get().is_abandoned());
            if batch.is_empty() && !self.siding.is_due() {
                continue;
            }
            // Before any call of the store: a disk that hangs returns no error, and counts as stuck from here on.
            self.under_way.set(Some(Instant::now()));
            // Older commands first: a newer one may charge or use the same wallet.
            if self.siding.is_due() {
                self.retry_parked().await;
            }
            self.set_aside(&mut batch);
            if !batch.is_empty() {
                self.serve(&mut batch).await;
            }
            self.under_way.set(None);
        }
    }

    /// Finds out which locks other sessions still hold, and serves the parked commands whose locks are free now.
    async fn retry_parked(&mut self) {
        let mut wanted = Wanted::default();
        self.siding.add_wanted(&mut wanted);
        let Sorted { free, contended, late } = match self.writer.held(&wanted).await {
            Ok(held) => self.siding.sort(held),
            Err(StoreError::Locked(_)) => self.siding.sort_unknown(),
            Err(error) => {
                tracing::warn!(%error, "failed to find the locks of other sessions; failing the commands that wait for them");
                self.siding.give_up()
            }
        };
        // They have waited for 3 s. Their callers get an answer while they still wait for one.
        for waiting in late {
            self.terms.metrics.locked_out.inc();
            self.terms.metrics.failed.inc();
            traced::reply(waiting, Err(Failure::Unavailable), None);
        }
        // Those with free locks first: the contended ones queue for their locks, and would keep the free ones
        // waiting.
        for (is_patient, mut waiting) in [(false, free), (true, contended)] {
            self.is_patient = is_patient;
            while !waiting.is_empty() {
                let mut batch = waiting.drain(..waiting.len().min(BATCH_MAX)).collect();
                // The batch before may have found a new lock, or parked an earlier command of the same wallet again.
                if !is_patient {
                    self.set_aside(&mut batch);
                }
                if !batch.is_empty() {
                    self.serve(&mut batch).await;
                }
            }
        }
        self.is_patient = false;
        self.count_parked();
    }

    /// Adds the change since the last call to the gauge, which all lanes share.
    fn count_parked(&mut self) {
        let more = self.siding.change_of_length();
        self.terms.metrics.parked.inc_by(more);
    }

    /// Parks the commands of a batch that need a lock which another session is known to hold.
    fn set_aside(&mut self, batch: &mut Vec<Waiting>) {
        for waiting in self.siding.take_from(batch) {
            self.terms.metrics.shed.inc();
            traced::reply(waiting, Err(Failure::Overloaded), None);
        }
        self.count_parked();
    }

    /// Decides and answers every command of a batch, and empties it.
    async fn serve(&mut self, batch: &mut Vec<Waiting>) {
        let began = Instant::now();
        let metrics = self.terms.metrics.clone();
        metrics.batch_size.observe(batch.len() as f64);
        for waiting in &*batch {
            metrics.wait.observe(began.duration_since(waiting.since).as_secs_f64());
        }
        let traced = traced::begin(batch);
        let failed = self.decide(batch, traced.as_ref()).await;
        if let Some(span) = traced {
            span.end(failed);
        }
        metrics.unit.observe(began.elapsed().as_secs_f64());
    }

    /// Decides a batch and answers it. Commands that need a held lock are parked and get their answer later. Returns why
    /// the batch failed, if it did.
    async fn decide(&mut self, batch: &mut Vec<Waiting>, traced: Option<&Span>) -> Option<String> {
        let mut decided = self.run_batch(batch).await;
        let mut sorted = 0;
        let mut is_second = false;
        loop {
            match &decided {
                Err(StoreError::Locked(_)) if sorted < SORTED_MAX && !self.is_patient => sorted += 1,
                // Another transaction was first and has committed by now: run all commands together once more.
                Err(StoreError::Conflict(_)) if !is_second && batch.len() > 1 => is_second = true,
                Ok(()) | Err(_) => break,
            }
            if let Err(StoreError::Locked(_)) = decided {
                match self.find_held(batch).await {
                    Ok(true) => {}
                    // The lock is free again, or this session cannot see it: run once more, then one by one.
                    Ok(false) => sorted = SORTED_MAX,
                    Err(error) => {
                        decided = Err(error);
                        continue;
                    }
                }
            }
            // Every command was parked, and gets its answer later.
            if batch.is_empty() {
                return None;
            }
            self.terms.metrics.rerun.inc();
            decided = self.run_batch(batch).await;
        }
        let metrics = self.terms.metrics.clone();
        match decided {
            Ok(()) => {
                for waiting in batch.drain(..) {
                    traced::reply(waiting, Ok(()), traced);
                }
                None
            }
            // Nothing was done, because a lock stayed held: park the commands again until each has waited long enough.
            Err(StoreError::Locked(_)) if self.is_patient => {
                self.siding.put_back(batch);
                None
            }
            // Nothing was done. Each command runs alone, so that one bad command fails only itself.
            Err(StoreError::Locked(reason)) => {
                tracing::warn!(
                    reason,
                    commands = batch.len(),
                    "found no holder of a lock; running the batch one by one"
                );
                metrics.rerun.inc();
                self.one_by_one(batch, traced).await;
                None
            }
            Err(StoreError::Rejected(reason) | StoreError::Conflict(reason)) => {
                tracing::warn!(reason, commands = batch.len(), "the database refused a batch; running it one by one");
                metrics.rerun.inc();
                self.one_by_one(batch, traced).await;
                None
            }
            Err(error) => {
                let failure = Self::failed(&error);
                for waiting in batch.drain(..) {
                    metrics.failed.inc();
                    traced::reply(waiting, Err(failure), traced);
                }
                Some(failure.to_string())
            }
        }
    }

    /// Finds out which of a batch's locks other sessions hold, and parks the commands that need them. Returns whether it
    /// parked any.
    async fn find_held(&mut self, batch: &mut Vec<Waiting>) -> Result<bool, StoreError> {
        let mut wanted = batch::wanted(batch, &self.quotas);
        // Also the locks that parked commands wait for, because `note` replaces everything that was known before.
        self.siding.add_wanted(&mut wanted);
        let held = self.writer.held(&wanted).await?;
        if !held.is_empty() {
            let example = held.keys().next();
            tracing::warn!(
                locks = held.len(),
                ?example,
                "another session holds locks; the commands that need them wait"
            );
        }
        let before = batch.len();
        // In this order: `set_aside` parks by the locks that were noted last.
        self.siding.note(held);
        self.set_aside(batch);
        Ok(batch.len() < before)
    }

    /// Runs a batch. If the lane is in doubt, all observers read everything again first.
    async fn run_batch(&mut self, batch: &mut [Waiting]) -> Result<(), StoreError> {
        if self.in_doubt {
            for observer in &self.terms.observers {
                observer.recover().await?;
            }
            // Only after all of them: if one fails, the lane stays in doubt and every observer reads again.
            self.in_doubt = false;
        }
        let done = batch::run(self, batch).await;
        // The unit may be durable, and no observer has seen it.
        self.in_doubt |= matches!(done, Err(StoreError::Unknown(_)));
        if matches!(done, Err(StoreError::Unknown(_) | StoreError::Unavailable(_))) {
            // Cleared by the next unit that proves that the database takes writes (`batch.rs`).
            self.terms.metrics.troubled.set(1);
        }
        done
    }

    /// Runs each command in a unit of work of its own. If the database stops answering, or five of them waited for locks,
    /// the rest fails at once.
    async fn one_by_one(&mut self, batch: &mut Vec<Waiting>, traced: Option<&Span>) {
        let (mut is_away, mut locked) = (false, 0);
        for mut waiting in batch.drain(..) {
            // Without this each command would wait for the same time-out, one after another.
            let done = if is_away || locked >= LOCKED_MAX {
                Err(Failure::Unavailable)
            } else {
                self.alone(&mut waiting).await.map_err(|error| {
                    is_away = matches!(error, StoreError::Unavailable(_) | StoreError::Unknown(_));
                    locked += u32::from(matches!(error, StoreError::Locked(_)));
                    Self::failed(&error)
                })
            };
            if done.is_err() {
                self.terms.metrics.failed.inc();
            }
            traced::reply(waiting, done, traced);
        }
    }

    /// Runs one command alone, and again up to three times in all if other transactions are first.
    async fn alone(&mut self, waiting: &mut Waiting) -> Result<(), StoreError> {
        let batch = std::slice::from_mut(waiting);
        let mut done = self.run_batch(batch).await;
        for _ in 1..ATTEMPTS_MAX {
            // Every other error would come again: a lock that stays held, or a refusal of the command itself.
            if !matches!(done, Err(StoreError::Conflict(_))) {
                break;
            }
            done = self.run_batch(batch).await;
        }
        done
    }

    fn failed(error: &StoreError) -> Failure {
        tracing::error!(%error, "unit of work failed");
        match error {
            StoreError::Unavailable(_) | StoreError::Unknown(_) | StoreError::Conflict(_) | StoreError::Locked(_) => {
                Failure::Unavailable
            }
            StoreError::Rejected(_) => Failure::Internal,
        }
    }
}

/// Sleeps until an instant, if there is one.
async fn sleep_until(instant: Option<Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant.into()).await;
    }
}

/// Starts the thread of a lane. The thread has a runtime of its own, so that a store may await or block in it.
pub(super) fn spawn(
    number: usize,
    lane: Lane,
    receiver: mpsc::Receiver<Waiting>,
    closing: CancellationToken,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name(format!("lane-{number}"))
        .spawn(move || runtime.block_on(lane.run(receiver, closing)))
}
