//! An advisory lock by the wallet's number, held to the end of the transaction. It protects only if every writer takes it.

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "BEGIN;
SELECT pg_advisory_xact_lock(1, $1);
SELECT balance, version FROM wallets WHERE id = $1;
UPDATE wallets …;  INSERT INTO ledger …;
COMMIT;";

const LOCK: &str = "SELECT pg_advisory_xact_lock(1, $1)";
const READ: &str = "SELECT balance, version FROM wallets WHERE id = $1";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    session.command("BEGIN").await?;
    session.row(LOCK, &[&op.wallet]).await?;
    session.decide_in_transaction(READ, op).await
}
