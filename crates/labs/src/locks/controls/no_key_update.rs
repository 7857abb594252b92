//! Pessimistic with the weaker row lock: rows that refer to this one by a foreign key can be added meanwhile.

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "BEGIN;
SELECT balance, version FROM wallets WHERE id = $1 FOR NO KEY UPDATE;
UPDATE wallets …;  INSERT INTO ledger …;
COMMIT;";

const READ: &str = "SELECT balance, version FROM wallets WHERE id = $1 FOR NO KEY UPDATE";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    session.command("BEGIN").await?;
    session.decide_in_transaction(READ, op).await
}
