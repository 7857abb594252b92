//! The desk: commands wait in a lane, are decided together in one transaction, and are answered once it is durable.
//!
//! [`Desk::submit`] puts a command into a lane. The lane takes up to 256 waiting commands, without a timer, and runs them as
//! one unit of work (`batch.rs`).

mod batch;
mod command;
mod concert_command;
mod job;
mod lane;
mod metrics;
mod quota;
mod siding;
mod staff_command;
mod traced;

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_domain::{Command, Refusal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::idempotency::Keyed;
use crate::store::{StoreError, Unit, Writer};
use crate::trace::{self, Kind, Span};

pub(crate) use batch::SystemEntropy;
pub use command::DeskCommand;
use job::{ForgetAnswers, Job, Pending};
pub use metrics::Metrics;

/// Maximum number of commands that wait in one lane. A full lane refuses the next one with [`Failure::Overloaded`].
pub const WAITING_MAX: usize = 8_192;

/// Maximum number of commands in one batch. The others wait for the next batch.
pub const BATCH_MAX: usize = 256;

/// A unit of work that takes longer than this counts as stuck, because a disk that hangs returns no error. [`Desk::is_well`]
/// then returns `false`.
const UNIT_MAX: Duration = Duration::from_secs(2);

/// The decision about a command: its result, or why it is refused.
pub type Outcome<C> = Result<<C as Command>::Output, Refusal>;

/// A command under an idempotency key.
pub struct KeyedRequest<C> {
    /// The command to decide if the key is new.
    pub command: C,
    /// The key, with the fingerprint of the request.
    pub key: Keyed,
    /// The caller's turn is over: the desk returns the answer that the key keeps, and refuses with
    /// [`Refusal::TokenExpired`] if there is none.
    pub is_turn_over: bool,
}

/// The answer to a command under an idempotency key.
#[derive(Clone, Debug)]
pub enum KeyedAnswer {
    /// The key keeps this answer.
    Kept {
        /// The bytes that `encode` of [`Desk::submit_keyed`] wrote.
        answer: Arc<[u8]>,
        /// The refusal that the answer is of, if it was decided now.
        refusal: Option<Refusal>,
        /// Whether an earlier request under the key was decided, and this one was not.
        replayed: bool,
    },
    /// A refusal that no key keeps (see [`Refusal::is_kept`]).
    NotKept(Refusal),
    /// The key came before, with another request. Nothing was decided.
    KeyReused,
    /// The key is new and its user keeps as many answers as one user may. Nothing was decided.
    KeysUsedUp {
        /// Seconds until the oldest of these answers is dropped.
        retry_after_seconds: u32,
    },
}

/// Why a command was not decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The lane is full, and nothing was done.
    #[error("the queue of the lane is full; nothing was done")]
    Overloaded,
    /// The database does not answer or the desk is closing. The command may or may not have been done.
    #[error("the database did not answer; the command may have been done")]
    Unavailable,
    /// A defect in this program or a refusal of the database. Nothing was done.
    #[error("internal error")]
    Internal,
}

/// Follows the commits of this process. Each observer sees a unit of work after its commit and before its callers get their
/// answers, so that a client that got its answer sees its own change.
#[async_trait]
pub trait Observer: Send + Sync {
    /// Notes the changes of a durable unit. Several lanes may call it at the same time.
    fn committed(&self, unit: &Unit);

    /// Reads everything again, because a unit may or may not be durable. The lane decides nothing before this succeeds.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read. The lane then calls this again with its next batch.
    async fn recover(&self) -> Result<(), StoreError>;
}

/// Settings and services that all lanes share.
#[derive(Clone)]
pub struct Terms {
    /// How long a hold lasts, in seconds.
    pub hold_seconds: u32,
    /// The most answers that one user, or one key of staff, keeps under idempotency keys at a time; 0 for no bound.
    pub kept_per_user_max: u32,
    /// The observers of commits, called in this order.
    pub observers: Vec<Arc<dyn Observer>>,
    /// The counters and histograms of all lanes.
    pub metrics: Arc<Metrics>,
}

/// A job in the queue of a lane.
struct Waiting {
    job: Job,
    /// When it was queued.
    since: Instant,
    /// The span of its wait and its decision, if the request is traced.
    span: Option<Box<Span>>,
}

/// When the current unit of work of a lane began; `None` between two of them.
///
/// The lane writes it, readiness checks read it. The lock is held for a copy only.
#[derive(Clone, Debug, Default)]
struct UnderWay(Arc<Mutex<Option<Instant>>>);

impl UnderWay {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock() = since;
    }

    fn is_stuck(&self) -> bool {
        self.0.lock().is_some_and(|since| since.elapsed() > UNIT_MAX)
    }
}

/// The queues of all lanes.
pub struct Desk {
    lanes: Vec<mpsc::Sender<Waiting>>,
    under_way: Vec<UnderWay>,
    /// The lanes' threads, taken by the first call of [`Desk::close`].
    threads: Mutex<Vec<JoinHandle<()>>>,
    closing: CancellationToken,
    metrics: Arc<Metrics>,
    /// Counts commands without a hot row.
    next_lane: AtomicU64,
}

impl Desk {
    /// Opens a desk with one lane for each writer. Each lane has a thread of its own, because a store may block it.
    ///
    /// # Errors
    /// If the operating system starts no further thread.
    pub fn open(writers: Vec<Box<dyn Writer>>, terms: &Terms) -> std::io::Result<Self> {
        let closing = CancellationToken::new();
        let (mut lanes, mut under_way, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for (number, writer) in writers.into_iter().enumerate() {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let lane = lane::Lane::new(writer, terms.clone());
            // Shared before the lane moves into its thread, from which nothing can be read any more.
            under_way.push(lane.under_way.clone());
            threads.push(lane::spawn(number, lane, receiver, closing.clone())?);
            lanes.push(sender);
        }
        let metrics = terms.metrics.clone();
        Ok(Self { lanes, under_way, threads: Mutex::new(threads), closing, metrics, next_lane: AtomicU64::new(0) })
    }

    /// Queues a command and waits until its outcome is durable.
    ///
    /// # Errors
    /// [`Failure::Overloaded`] at once if the lane is full, else the failure of the database.
    pub async fn submit<C: DeskCommand>(&self, command: C) -> Result<Outcome<C>, Failure> {
        let lane = self.lane_of(&command);
        let (pending, outcome) = Pending::plain(command);
        self.queue(lane, C::into_job(pending))?;
        outcome.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// Queues a command under an idempotency key and waits until its answer is durable. `encode` writes the outcome as
    /// the bytes that the key keeps. It runs in the lane, and only if the command is decided now.
    ///
    /// # Errors
    /// As [`Desk::submit`].
    pub async fn submit_keyed<C: DeskCommand>(
        &self,
        request: KeyedRequest<C>,
        encode: impl Fn(&Outcome<C>) -> Arc<[u8]> + Send + 'static,
    ) -> Result<KeyedAnswer, Failure> {
        let KeyedRequest { command, key, is_turn_over } = request;
        let lane = self.lane_of(&command);
        // A closure that captures nothing takes no allocation here.
        let (pending, answer) = Pending::keyed(command, key, is_turn_over, Box::new(encode));
        self.queue(lane, C::into_job(pending))?;
        answer.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// Queues a command of a background task. Waits for room in the lane, because background work is never shed.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] or [`Failure::Internal`] if the database fails.
    pub async fn submit_patiently<C: DeskCommand>(&self, command: C) -> Result<Outcome<C>, Failure> {
        let lane = self.lane_of(&command);
        let (pending, outcome) = Pending::plain(command);
        let waiting = Waiting { job: C::into_job(pending), since: Instant::now(), span: None };
        lane.send(waiting).await.map_err(|_| Failure::Unavailable)?;
        outcome.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// Drops a few kept answers that are too old, in one batch with other work.
    ///
    /// # Errors
    /// As [`Desk::submit_patiently`].
    pub async fn forget_old_answers(&self) -> Result<(), Failure> {
        let (forget, done) = ForgetAnswers::new();
        let waiting = Waiting { job: Job::ForgetAnswers(forget), since: Instant::now(), span: None };
        self.lanes[0].send(waiting).await.map_err(|_| Failure::Unavailable)?;
        done.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// Puts a caller's job into a lane, or sheds it if the lane is full.
    fn queue(&self, lane: &mpsc::Sender<Waiting>, job: Job) -> Result<(), Failure> {
        let span = trace::current().map(|request| Box::new(request.child("decide", Kind::Internal)));
        let waiting = Waiting { job, since: Instant::now(), span };
        // Never waits for room: a caller that waited here would wait beyond the bound of the queue.
        lane.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.metrics.shed.inc();
                Failure::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => Failure::Unavailable,
        })
    }

    /// Whether the last write succeeded and no lane is stuck in a unit of work.
    pub fn is_well(&self) -> bool {
        self.metrics.troubled.get() == 0 && !self.under_way.iter().any(UnderWay::is_stuck)
    }

    /// Refuses new commands, decides those that wait, and returns when every lane has ended. Blocks the thread.
    pub fn close(&self) {
        // Each lane closes its queue when it sees this, decides what is in it, and ends.
        self.closing.cancel();
        // Taken out of the lock: joining under it would block a second caller of `close` on the lock and not on the lanes.
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// The lane of a command: that of its hot row, else the next in turn.
    fn lane_of(&self, command: &impl DeskCommand) -> &mpsc::Sender<Waiting> {
        let lanes = self.lanes.len() as u64;
        let number = match command.hot_row() {
            Some(hash) => hash % lanes,
            // Relaxed: the number only spreads commands, and guards nothing.
            None => self.next_lane.fetch_add(1, Ordering::Relaxed) % lanes,
        };
        &self.lanes[usize::try_from(number).unwrap_or(0)]
    }
}
