//! The batching lane: one connection, one task; whatever waits is decided together.

use std::collections::BTreeMap;

use onsale_testing::postgres::driver::{Client, Statement};
use tokio::sync::{mpsc, oneshot};

use super::scene::{Op, decide};
use super::session::Failure;

/// Maximum number of commands in a batch.
const BATCH_MAX: usize = 256;

const READ: &str = "SELECT id, balance, version FROM wallets WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE";
const UPDATE: &str = "UPDATE wallets SET balance = new.balance, version = new.version
    FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS new (id, balance, version) WHERE wallets.id = new.id";
const INSERT: &str = "INSERT INTO ledger (wallet, version, op, amount, balance_after)
    SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])";

type Waiting = (Op, oneshot::Sender<Result<bool, Failure>>);

/// A handle on the lane.
pub(crate) struct Lane(mpsc::Sender<Waiting>);

impl Lane {
    /// Starts a lane on its own connection. `between` is called once between a read and its write.
    pub(crate) async fn start(url: &str, between: Option<fn()>) -> Self {
        let client = onsale_testing::postgres::sql(url).await;
        let (sender, receiver) = mpsc::channel(4 * BATCH_MAX);
        tokio::spawn(run(client, receiver, between));
        Self(sender)
    }

    /// Submits a command and waits for its decision.
    pub(crate) async fn submit(&self, op: Op) -> Result<bool, Failure> {
        let (answer, answered) = oneshot::channel();
        self.0.send((op, answer)).await.map_err(|_| Failure::Closed)?;
        answered.await.map_err(|_| Failure::Closed)?
    }
}

struct Statements {
    read: Statement,
    update: Statement,
    insert: Statement,
}

async fn run(client: Client, mut waiting: mpsc::Receiver<Waiting>, mut between: Option<fn()>) {
    let (Ok(read), Ok(update), Ok(insert)) =
        (client.prepare(READ).await, client.prepare(UPDATE).await, client.prepare(INSERT).await)
    else {
        return;
    };
    let statements = Statements { read, update, insert };
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let ops: Vec<Op> = batch.iter().map(|(op, _)| *op).collect();
        match commit(&client, &statements, &ops, between.take()).await {
            Ok(won) => {
                for ((_, answer), won) in batch.drain(..).zip(won) {
                    let _ = answer.send(Ok(won));
                }
            }
            // Callers see a closed lane: the outcome is unknown.
            Err(_) => batch.clear(),
        }
    }
}

/// Decides a batch in order of arrival. The lock covers the whole batch, so each decision sees the ones before it.
async fn commit(
    client: &Client,
    statements: &Statements,
    ops: &[Op],
    between: Option<fn()>,
) -> Result<Vec<bool>, Failure> {
    let mut ids: Vec<i32> = ops.iter().map(|op| op.wallet).collect();
    // One order for all batches: with two lanes, locks in different orders would deadlock.
    ids.sort_unstable();
    ids.dedup();
    client.batch_execute("BEGIN").await?;
    let rows = client.query(&statements.read, &[&ids]).await?;
    if let Some(between) = between {
        between();
    }
    let mut wallets: BTreeMap<i32, (i64, i64)> =
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    let mut won = Vec::with_capacity(ops.len());
    let (mut owners, mut versions, mut numbers, mut amounts, mut afters) = (vec![], vec![], vec![], vec![], vec![]);
    for op in ops {
        let Some((balance, version)) = wallets.get_mut(&op.wallet) else { return Err(Failure::Closed) };
        let after = decide(*balance, op.amount);
        won.push(after.is_some());
        if let Some(after) = after {
            (*balance, *version) = (after, *version + 1);
            owners.push(op.wallet);
            versions.push(*version);
            numbers.push(op.id);
            amounts.push(op.amount);
            afters.push(after);
        }
    }
    let balances: Vec<i64> = wallets.values().map(|(balance, _)| *balance).collect();
    let new_versions: Vec<i64> = wallets.values().map(|(_, version)| *version).collect();
    let keys: Vec<i32> = wallets.keys().copied().collect();
    // Sent together: they need no answer of each other, so the batch pays one round trip for both.
    let (updated, inserted) = futures_util::future::join(
        client.execute(&statements.update, &[&keys, &balances, &new_versions]),
        client.execute(&statements.insert, &[&owners, &versions, &numbers, &amounts, &afters]),
    )
    .await;
    updated?;
    inserted?;
    client.batch_execute("COMMIT").await?;
    Ok(won)
}
