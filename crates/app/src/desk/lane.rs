//! A lane: one thread, one writer, one batch after another.

use std::thread::JoinHandle;
use std::time::Instant;

use onsale_domain::ids::Mint;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::batch::{self, SystemEntropy};
use super::quota::Quotas;
use super::{Answer, BATCH_MAX, Failure, Terms, UnderWay, Waiting, traced};
use crate::store::{StoreError, Writer};
use crate::trace::Span;

/// How often a command that others were ahead of is tried alone.
const ATTEMPTS_MAX: usize = 3;

pub(super) struct Lane {
    pub(super) writer: Box<dyn Writer>,
    pub(super) terms: Terms,
    pub(super) ids: Mint<SystemEntropy>,
    /// How many answers users may still keep through this lane.
    pub(super) quotas: Quotas,
    /// What the observers know may be wrong: the outcome of a commit is unknown, or one of them failed.
    pub(super) in_doubt: bool,
    pub(super) under_way: UnderWay,
}

impl Lane {
    pub(super) fn new(writer: Box<dyn Writer>, terms: Terms) -> Self {
        let (ids, quotas) = (Mint::new(SystemEntropy), Quotas::new(terms.kept_per_user_max));
        Self { writer, terms, ids, quotas, in_doubt: false, under_way: UnderWay::default() }
    }

    /// Runs until the desk closes and everything that waited is answered.
    async fn run(mut self, mut receiver: mpsc::Receiver<Waiting>, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled(), if !receiver.is_closed() => receiver.close(),
                taken = receiver.recv_many(&mut batch, BATCH_MAX) => if taken == 0 { return },
            }
            // Whoever hung up before their command was decided has not asked for anything.
            batch.retain(|waiting| !waiting.reply.is_closed());
            if !batch.is_empty() {
                self.under_way.set(Some(Instant::now()));
                self.serve(&mut batch).await;
                self.under_way.set(None);
            }
        }
    }

    /// Answers every command of a batch, and empties it.
    async fn serve(&mut self, batch: &mut Vec<Waiting>) {
        let began = Instant::now();
        let metrics = self.terms.metrics.clone();
        metrics.batch_size.observe(batch.len() as f64);
        for waiting in &*batch {
            metrics.wait.observe(began.duration_since(waiting.since).as_secs_f64());
        }
        let traced = traced::begin(batch);
        let mut failed = None;
        let together: Vec<&Waiting> = batch.iter().collect();
        match self.run_batch(&together).await {
            Ok(answers) => {
                for (waiting, answer) in batch.drain(..).zip(answers) {
                    traced::reply(waiting, Ok(answer), traced.as_ref());
                }
            }
            // Nothing was done: one bad command must harm only itself.
            Err(StoreError::Rejected(reason) | StoreError::Conflict(reason)) => {
                tracing::warn!(reason, commands = batch.len(), "a batch was refused; running it one by one");
                metrics.rerun.inc();
                self.one_by_one(batch, traced.as_ref()).await;
            }
            Err(error) => {
                let failure = Self::failed(&error);
                failed = Some(failure.to_string());
                for waiting in batch.drain(..) {
                    metrics.failed.inc();
                    traced::reply(waiting, Err(failure), traced.as_ref());
                }
            }
        }
        if let Some(span) = traced {
            span.end(failed);
        }
        metrics.unit.observe(began.elapsed().as_secs_f64());
    }

    /// A lane in doubt decides nothing until everything known has been read again.
    async fn run_batch(&mut self, batch: &[&Waiting]) -> Result<Vec<Answer>, StoreError> {
        if self.in_doubt {
            for observer in &self.terms.observers {
                observer.recover().await?;
            }
            self.in_doubt = false;
        }
        let answers = batch::run(self, batch).await;
        self.in_doubt |= matches!(answers, Err(StoreError::Unknown(_)));
        if matches!(answers, Err(StoreError::Unknown(_) | StoreError::Unavailable(_))) {
            self.terms.metrics.troubled.set(1);
        }
        answers
    }

    /// Runs each command in a unit of work of its own. Where the database goes away meanwhile, the rest fails at once.
    async fn one_by_one(&mut self, batch: &mut Vec<Waiting>, traced: Option<&Span>) {
        let mut is_away = false;
        for waiting in batch.drain(..) {
            let answer = if is_away { Err(Failure::Unavailable) } else { self.alone(&waiting, &mut is_away).await };
            if answer.is_err() {
                self.terms.metrics.failed.inc();
            }
            traced::reply(waiting, answer, traced);
        }
    }

    /// Others may be first a few times, not for ever. That says nothing of the commands behind it.
    async fn alone(&mut self, waiting: &Waiting, is_away: &mut bool) -> Result<Answer, Failure> {
        let mut answers = self.run_batch(&[waiting]).await;
        for _ in 1..ATTEMPTS_MAX {
            if !matches!(answers, Err(StoreError::Conflict(_))) {
                break;
            }
            answers = self.run_batch(&[waiting]).await;
        }
        match answers {
            Ok(mut answers) => answers.pop().ok_or(Failure::Internal),
            Err(error) => {
                *is_away = matches!(error, StoreError::Unavailable(_) | StoreError::Unknown(_));
                Err(Self::failed(&error))
            }
        }
    }

    fn failed(error: &StoreError) -> Failure {
        tracing::error!(%error, "a unit of work failed");
        match error {
            StoreError::Unavailable(_) | StoreError::Unknown(_) | StoreError::Conflict(_) => Failure::Unavailable,
            StoreError::Rejected(_) => Failure::Internal,
        }
    }
}

/// Starts a lane's thread. A runtime of its own lets a store await or block there, as it likes.
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
