//! Optimistic: write only if the version is still the one that was read, else retry after a random time.

use crate::locks::scene::{Op, decide};
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "SELECT balance, version FROM wallets WHERE id = $1;
UPDATE wallets SET balance = $2, version = version + 1 WHERE id = $1 AND version = $3;  INSERT INTO ledger …;
-- 0 rows: another client was first. Wait a random time and start again";

const READ: &str = "SELECT balance, version FROM wallets WHERE id = $1";
const WRITE: &str = "WITH changed AS (
        UPDATE wallets SET balance = $2, version = version + 1 WHERE id = $1 AND version = $3 RETURNING id, version)
    INSERT INTO ledger (wallet, version, op, amount, balance_after) SELECT id, version, $4, $5, $2 FROM changed";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let mut attempt = 0;
    loop {
        let wallet = session.read(READ, op).await?;
        let Some(after) = decide(wallet.balance, op.amount) else { return Ok(false) };
        if session.execute(WRITE, &[&op.wallet, &after, &wallet.version, &op.id, &op.amount]).await? == 1 {
            return Ok(true);
        }
        session.back_off("stale version", attempt).await?;
        attempt += 1;
    }
}
