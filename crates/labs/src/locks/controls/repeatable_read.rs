//! Snapshot isolation: a write to a row that changed since the snapshot fails, and the client retries.

use super::retried::retried;
use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT balance, version FROM wallets WHERE id = $1;
UPDATE wallets …;  INSERT INTO ledger …;
COMMIT;
-- 40001: another client was first. ROLLBACK, wait a random time and start again";

const READ: &str = "SELECT balance, version FROM wallets WHERE id = $1";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    retried(session, op, "BEGIN ISOLATION LEVEL REPEATABLE READ", READ).await
}
