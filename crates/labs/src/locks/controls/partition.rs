//! A Kafka partition by key. The client sends a command, one consumer decides it, and the answer comes back on a reply.

use std::sync::Arc;

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "-- the client, to Kafka: topic commands, key <wallet>; then it waits for its reply
-- the consumer of the partition, for up to 256 commands that wait together
BEGIN;
SELECT next FROM positions WHERE partition = $1 FOR UPDATE;    -- commands before it were decided by another consumer
SELECT id, balance, version FROM wallets WHERE id = ANY ($1);
UPDATE wallets … FROM unnest(…);  INSERT INTO ledger SELECT … FROM unnest(…);  UPDATE positions SET next = $2 …;
COMMIT;
-- to Kafka: topic replies; then commit the offset";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let shared = Arc::clone(&session.shared);
    let (won, accepted) = shared.partition.as_ref().ok_or(Failure::Closed)?.submit(op).await?;
    session.accepted = Some(accepted);
    Ok(won)
}
