//! The batching lane: one connection, one task; the commands that wait are decided together, in two round trips.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onsale_testing::postgres::driver::{self, Client, Statement};
use tokio::sync::{mpsc, oneshot};

use super::batch::{Writes, decide_all, wallets_of};
use super::scene::Op;
use super::session::Failure;

/// Maximum number of commands in a batch, if an experiment sets no other.
pub(crate) const BATCH_MAX: usize = 256;

/// Maximum number of commands that wait. Beyond it, clients wait for a place.
const WAITING_MAX: usize = 4_096;

const READ: &str = "SELECT id, balance, version FROM wallets WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE";

type Waiting = (Op, oneshot::Sender<Result<bool, Failure>>);

/// A handle on the lane.
pub(crate) struct Lane {
    sender: mpsc::Sender<Waiting>,
    /// Batches committed so far.
    batches: Arc<AtomicU64>,
}

impl Lane {
    /// Starts a lane on its own connection, with this many commands in a batch at most. `between` is called once between a
    /// read and its write.
    pub(crate) async fn start(url: &str, batch_max: usize, between: Option<fn()>) -> Self {
        let client = onsale_testing::postgres::sql(url).await;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let batches = Arc::<AtomicU64>::default();
        tokio::spawn(run(client, receiver, batch_max, between, batches.clone()));
        Self { sender, batches }
    }

    /// Submits a command and waits for its decision.
    pub(crate) async fn submit(&self, op: Op) -> Result<bool, Failure> {
        let (answer, answered) = oneshot::channel();
        self.sender.send((op, answer)).await.map_err(|_| Failure::Closed)?;
        answered.await.map_err(|_| Failure::Closed)?
    }

    /// Batches committed so far.
    pub(crate) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }
}

async fn run(
    client: Client,
    mut waiting: mpsc::Receiver<Waiting>,
    batch_max: usize,
    mut between: Option<fn()>,
    batches: Arc<AtomicU64>,
) {
    let (Ok(read), Ok(writes)) = (client.prepare(READ).await, Writes::prepare(&client).await) else { return };
    let mut batch = Vec::with_capacity(batch_max);
    while waiting.recv_many(&mut batch, batch_max).await > 0 {
        let ops: Vec<Op> = batch.iter().map(|(op, _)| *op).collect();
        match commit(&client, &read, &writes, &ops, between.take()).await {
            Ok(won) => {
                // Relaxed: a count on which no other memory depends.
                batches.fetch_add(1, Ordering::Relaxed);
                for ((_, answer), won) in batch.drain(..).zip(won) {
                    let _ = answer.send(Ok(won));
                }
            }
            // Callers see a closed lane: the outcome is unknown.
            Err(_) => {
                let _ = client.batch_execute("ROLLBACK").await;
                batch.clear();
            }
        }
    }
}

/// Decides a batch in order of arrival. The locks cover the whole batch.
async fn commit(
    client: &Client,
    read: &Statement,
    writes: &Writes,
    ops: &[Op],
    between: Option<fn()>,
) -> Result<Vec<bool>, driver::Error> {
    let ids = wallets_of(ops);
    // One round trip begins and locks, the other writes and commits. A commit after a failed write is a rollback.
    let (begun, rows) = futures_util::future::join(client.batch_execute("BEGIN"), client.query(read, &[&ids])).await;
    begun?;
    let decided = decide_all(&rows?, ops);
    if let Some(between) = between {
        between();
    }
    let (saved, committed) =
        futures_util::future::join(writes.save(client, &decided), client.batch_execute("COMMIT")).await;
    saved?;
    committed?;
    Ok(decided.won)
}
