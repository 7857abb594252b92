//! Pessimistic: lock the row, then read, decide and write. Later clients wait in the database.

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "BEGIN;
SELECT balance, version FROM wallets WHERE id = $1 FOR UPDATE;
UPDATE wallets …;  INSERT INTO ledger …;
COMMIT;";

const READ: &str = "SELECT balance, version FROM wallets WHERE id = $1 FOR UPDATE";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    session.command("BEGIN").await?;
    session.decide_in_transaction(READ, op).await
}
