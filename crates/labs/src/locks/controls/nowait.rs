//! Pessimistic without waiting: a locked row is an error, and the client retries after a random time.

use super::retried::retried;
use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "BEGIN;
SELECT balance, version FROM wallets WHERE id = $1 FOR UPDATE NOWAIT;
-- 55P03: locked by another client. ROLLBACK, wait a random time and start again
UPDATE wallets …;  INSERT INTO ledger …;
COMMIT;";

const READ: &str = "SELECT balance, version FROM wallets WHERE id = $1 FOR UPDATE NOWAIT";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    retried(session, op, "BEGIN", READ).await
}
