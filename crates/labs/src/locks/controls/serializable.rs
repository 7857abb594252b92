//! Serializable isolation: the database refuses every schedule that is not equal to some serial one; the client retries.

use super::retried::retried;
use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT balance, version FROM wallets WHERE id = $1;
UPDATE wallets …;  INSERT INTO ledger …;
COMMIT;
-- 40001, at any statement: ROLLBACK, wait a random time and start again";

const READ: &str = "SELECT balance, version FROM wallets WHERE id = $1";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    retried(session, op, "BEGIN ISOLATION LEVEL SERIALIZABLE", READ).await
}
