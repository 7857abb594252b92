//! The desk: where commands wait together, are decided together, and are answered once they are durable.
//!
//! [`Desk::submit`] puts a command on a lane; the lane takes whatever waits, up to a bound and without a timer,
//! and runs it as one unit of work (`batch.rs`).

mod batch;
mod lane;
mod metrics;
mod quota;
mod routing;
mod siding;
mod traced;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_domain::{Command, Done, Refusal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::idempotency::Keyed;
use crate::store::{StoreError, Unit, Writer};
use crate::trace::{self, Kind, Span};

pub(crate) use batch::SystemEntropy;
pub use metrics::Metrics;

/// The most commands that wait in one lane. A full lane refuses at once.
pub const WAITING_MAX: usize = 8_192;

/// The most commands that are decided together.
pub const BATCH_MAX: usize = 256;

/// A unit of work that takes longer than this does not come back: a disk that hangs gives no error.
const UNIT_MAX: Duration = Duration::from_secs(2);

/// What came of a command.
pub type Outcome = Result<Done, Refusal>;

/// A command and the idempotency key under which it came.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Under which key, if any.
    pub key: Option<Keyed>,
    /// The caller's turn is over: nothing new is decided, and only an answer that the key keeps is given.
    pub turn_over: bool,
}

/// The desk's answer, given once it is durable.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Decided now; no key keeps it.
    Decided(Outcome),
    /// Kept under the request's key, as the outer layer wrote it.
    Kept {
        /// Status, headers and body.
        answer: Arc<[u8]>,
        /// Whether it was given before.
        replayed: bool,
    },
    /// The key came before, with another request.
    KeyReused,
    /// Nothing was decided: the user keeps as many answers as one user may, and the request's key is a new one.
    KeysUsedUp {
        /// Until the oldest of them lapses, in seconds.
        retry_after_seconds: u32,
    },
    /// A few answers that were too old are dropped.
    Forgotten,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The lane is full, and nothing was done.
    #[error("too much is waiting; nothing was done")]
    Overloaded,
    /// The database is away or the desk is closing; what was asked may or may not have been done.
    #[error("a part is away; the outcome may be unknown")]
    Unavailable,
    /// A defect; nothing was done.
    #[error("internal error")]
    Internal,
}

/// Sees every unit of work right after it was committed and before its callers are answered.
#[async_trait]
pub trait Observer: Send + Sync {
    /// The unit is durable.
    fn committed(&self, unit: &Unit);

    /// A unit may or may not be durable: reads again whatever was known. Nothing is decided meanwhile.
    ///
    /// # Errors
    /// Where the database cannot be read; it is then asked for again.
    async fn recover(&self) -> Result<(), StoreError>;
}

/// How the outer layer writes an outcome that a key keeps.
pub type Encode = Arc<dyn Fn(&Outcome) -> Vec<u8> + Send + Sync>;

/// What the lanes share.
#[derive(Clone)]
pub struct Terms {
    /// How long a hold lasts, in seconds.
    pub hold_seconds: u32,
    /// How kept answers are written.
    pub encode: Encode,
    /// The most answers that one user keeps under idempotency keys at a time; 0 for no bound.
    pub kept_per_user_max: u32,
    /// Who is told of commits, in this order.
    pub observers: Vec<Arc<dyn Observer>>,
    /// What is measured.
    pub metrics: Arc<Metrics>,
}

enum Work {
    /// Decide this, and answer.
    Decide(Request),
    /// Drop a few kept answers that are too old.
    ForgetAnswers,
}

struct Waiting {
    work: Work,
    since: Instant,
    /// Its wait and its decision, where they are traced.
    span: Option<Box<Span>>,
    reply: oneshot::Sender<Result<Answer, Failure>>,
}

/// Since when a lane's unit of work is under way, while one is.
#[derive(Clone, Debug, Default)]
struct UnderWay(Arc<Mutex<Option<Instant>>>);

impl UnderWay {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn is_stuck(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|since| since.elapsed() > UNIT_MAX)
    }
}

/// The way to the lanes. Cheap to share.
pub struct Desk {
    lanes: Vec<mpsc::Sender<Waiting>>,
    under_way: Vec<UnderWay>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    closing: CancellationToken,
    metrics: Arc<Metrics>,
    next_lane: AtomicU64,
}

impl Desk {
    /// Opens a desk with one lane for each writer. Each lane is a thread of its own, as a store may block it.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn open(writers: Vec<Box<dyn Writer>>, terms: &Terms) -> std::io::Result<Self> {
        let closing = CancellationToken::new();
        let (mut lanes, mut under_way, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for (number, writer) in writers.into_iter().enumerate() {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let lane = lane::Lane::new(writer, terms.clone());
            under_way.push(lane.under_way.clone());
            threads.push(lane::spawn(number, lane, receiver, closing.clone())?);
            lanes.push(sender);
        }
        let metrics = terms.metrics.clone();
        Ok(Self { lanes, under_way, threads: Mutex::new(threads), closing, metrics, next_lane: AtomicU64::new(0) })
    }

    /// Hands a command in and waits for its durable answer.
    ///
    /// # Errors
    /// At once where the lane is full; otherwise where the database fails.
    pub async fn submit(&self, request: Request) -> Result<Answer, Failure> {
        let lane = self.lane_of(&request.command);
        let span = trace::current().map(|request| Box::new(request.child("decide", Kind::Internal)));
        let (waiting, answer) = waiting(Work::Decide(request), span);
        lane.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.metrics.shed.inc();
                Failure::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => Failure::Unavailable,
        })?;
        answer.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// Hands in a command of our own: waits for room in the lane, as background work must not be shed for ever.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn submit_patiently(&self, command: Command) -> Result<Outcome, Failure> {
        let lane = self.lane_of(&command);
        let request = Request { command, key: None, turn_over: false };
        let (waiting, answer) = waiting(Work::Decide(request), None);
        lane.send(waiting).await.map_err(|_| Failure::Unavailable)?;
        match answer.await.unwrap_or(Err(Failure::Unavailable))? {
            Answer::Decided(outcome) => Ok(outcome),
            Answer::Kept { .. } | Answer::KeyReused | Answer::KeysUsedUp { .. } | Answer::Forgotten => {
                Err(Failure::Internal)
            }
        }
    }

    /// Drops a few kept answers that are too old, in the company of other work.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_old_answers(&self) -> Result<(), Failure> {
        let (waiting, answer) = waiting(Work::ForgetAnswers, None);
        let lane = &self.lanes[0];
        lane.send(waiting).await.map_err(|_| Failure::Unavailable)?;
        answer.await.unwrap_or(Err(Failure::Unavailable)).map(|_| ())
    }

    /// Whether the database wrote what it was last asked to write, and is not stuck in writing.
    pub fn is_well(&self) -> bool {
        self.metrics.troubled.get() == 0 && !self.under_way.iter().any(UnderWay::is_stuck)
    }

    /// Takes no more work, finishes what waits, and returns when every lane has ended.
    pub fn close(&self) {
        self.closing.cancel();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// Commands that meet at one hot row wait in one lane, where they make one batch.
    fn lane_of(&self, command: &Command) -> &mpsc::Sender<Waiting> {
        let lanes = self.lanes.len() as u64;
        let number = match routing::home_of(command) {
            Some(hash) => hash % lanes,
            None => self.next_lane.fetch_add(1, Ordering::Relaxed) % lanes,
        };
        &self.lanes[usize::try_from(number).unwrap_or(0)]
    }
}

fn waiting(work: Work, span: Option<Box<Span>>) -> (Waiting, oneshot::Receiver<Result<Answer, Failure>>) {
    let (reply, answer) = oneshot::channel();
    (Waiting { work, since: Instant::now(), span, reply }, answer)
}
