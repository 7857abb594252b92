//! The consumer that decides. How far each partition is decided is a row next to the decisions, in one transaction: a consumer
//! that was stopped and lost its partition continues with commands that another one has decided, and skips them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{join, join3};
use onsale_testing::PATIENCE;
use onsale_testing::postgres::driver::{self, Client, Statement};
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};

use super::REST;
use crate::locks::batch::{Writes, decide_all, wallets_of};
use crate::locks::lane::BATCH_MAX;
use crate::locks::scene::Op;

const POSITIONS: &str =
    "SELECT partition, next FROM positions WHERE partition = ANY ($1) ORDER BY partition FOR UPDATE";
const READ: &str = "SELECT id, balance, version FROM wallets WHERE id = ANY ($1)";
const ADVANCE: &str = "UPDATE positions SET next = new.next
    FROM unnest($1::integer[], $2::bigint[]) AS new (partition, next) WHERE positions.partition = new.partition";
const DONE: &str = "SELECT op FROM ledger WHERE op = ANY ($1)";

/// A command as received.
struct Command {
    op: Op,
    replies: String,
    partition: i32,
    offset: i64,
}

impl Command {
    /// `None` if the message is no command.
    fn of(message: &BorrowedMessage<'_>) -> Option<Self> {
        let mut words = std::str::from_utf8(message.payload()?).ok()?.split(' ');
        let (id, wallet, amount) =
            (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (replies, op) = (words.next()?.to_owned(), Op { id, wallet, amount });
        Some(Self { op, replies, partition: message.partition(), offset: message.offset() })
    }
}

struct Statements {
    positions: Statement,
    read: Statement,
    advance: Statement,
    done: Statement,
    writes: Writes,
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, driver::Error> {
        Ok(Self {
            positions: client.prepare(POSITIONS).await?,
            read: client.prepare(READ).await?,
            advance: client.prepare(ADVANCE).await?,
            done: client.prepare(DONE).await?,
            writes: Writes::prepare(client).await?,
        })
    }
}

/// Decides until the task is aborted or the database fails. Then the clients' answers are unknown.
pub(super) async fn run(
    consumer: Arc<StreamConsumer>,
    producer: FutureProducer,
    database: String,
    mut between: Option<fn()>,
) {
    let client = onsale_testing::postgres::sql(&database).await;
    let Ok(statements) = Statements::prepare(&client).await else { return };
    loop {
        let Ok(first) = consumer.recv().await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let mut batch = Vec::from_iter(Command::of(&first));
        // The messages that are there already.
        while batch.len() < BATCH_MAX {
            let Some(Ok(next)) = consumer.recv().now_or_never() else { break };
            batch.extend(Command::of(&next));
        }
        match decide(&client, &statements, &batch, &mut between).await {
            Ok(won) => reply(&consumer, &producer, batch, won),
            Err(_) => return,
        }
    }
}

/// Decides the commands that no consumer has decided yet, and finds out what came of the others. In the order of the batch.
async fn decide(
    client: &Client,
    statements: &Statements,
    batch: &[Command],
    between: &mut Option<fn()>,
) -> Result<Vec<bool>, driver::Error> {
    let last: BTreeMap<i32, i64> = batch.iter().map(|command| (command.partition, command.offset + 1)).collect();
    let (partitions, ops): (Vec<i32>, Vec<Op>) =
        (last.keys().copied().collect(), batch.iter().map(|command| command.op).collect());
    let ids = wallets_of(&ops);
    // In one round trip. The second statement sees what was committed while the first waited for the lock.
    let (begun, positions, rows) = join3(
        client.batch_execute("BEGIN"),
        client.query(&statements.positions, &[&partitions]),
        client.query(&statements.read, &[&ids]),
    )
    .await;
    begun?;
    let next: BTreeMap<i32, i64> = positions?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let is_new = |command: &&Command| command.offset >= next.get(&command.partition).copied().unwrap_or(0);
    let fresh: Vec<Op> = batch.iter().filter(is_new).map(|command| command.op).collect();
    let decided = decide_all(&rows?, &fresh);
    let before: Vec<i64> = batch.iter().filter(|command| !is_new(command)).map(|command| command.op.id).collect();
    let mut made: HashSet<i64> = fresh.iter().zip(&decided.won).filter(|(_, won)| **won).map(|(op, _)| op.id).collect();
    if !before.is_empty() {
        made.extend(client.query(&statements.done, &[&before]).await?.iter().map(|row| row.get::<_, i64>(0)));
    }
    if let Some(between) = between.take() {
        between();
    }
    // Never back: the other consumer may be further.
    let after: Vec<i64> = last.iter().map(|(partition, last)| *last.max(next.get(partition).unwrap_or(last))).collect();
    let (saved, (advanced, committed)) = join(
        statements.writes.save(client, &decided),
        join(client.execute(&statements.advance, &[&partitions, &after]), client.batch_execute("COMMIT")),
    )
    .await;
    saved?;
    advanced?;
    committed?;
    Ok(ops.iter().map(|op| made.contains(&op.id)).collect())
}

/// Sends the replies, and commits the offsets when the broker has all of them: after a crash before that, the next consumer
/// reads the commands again and replies again.
fn reply(consumer: &Arc<StreamConsumer>, producer: &FutureProducer, batch: Vec<Command>, won: Vec<bool>) {
    let (consumer, producer) = (consumer.clone(), producer.clone());
    tokio::spawn(async move {
        let producer = &producer;
        let sends = batch.iter().zip(won).map(|(command, won)| async move {
            let reply = format!("{} {}", command.op.id, u8::from(won));
            let record = FutureRecord::<(), _>::to(&command.replies).payload(&reply);
            producer.send(record, PATIENCE).await.is_ok()
        });
        if futures_util::future::join_all(sends).await.contains(&false) {
            return;
        }
        let Ok(topics) = consumer.subscription() else { return };
        let Some(topic) = topics.elements().first().map(|element| element.topic().to_owned()) else { return };
        let mut offsets = TopicPartitionList::new();
        let last: BTreeMap<i32, i64> = batch.iter().map(|command| (command.partition, command.offset + 1)).collect();
        for (partition, next) in last {
            let _ = offsets.add_partition_offset(&topic, partition, Offset::Offset(next));
        }
        let _ = consumer.commit(&offsets, CommitMode::Async);
    });
}
