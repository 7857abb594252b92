//! A claim by a unique insert: the ledger entry with the next number can be written once. The balance is the last entry's.

use crate::locks::scene::{Op, decide};
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str =
    "SELECT balance_after, version FROM ledger WHERE wallet = $1 ORDER BY version DESC LIMIT 1;
INSERT INTO ledger (wallet, version, …) VALUES ($1, $2 + 1, …) ON CONFLICT DO NOTHING;
-- 0 rows: another client took this number. Wait a random time and start again";

const READ: &str =
    "SELECT coalesce((SELECT balance_after FROM ledger WHERE wallet = id ORDER BY version DESC LIMIT 1), balance),
        coalesce((SELECT max(version) FROM ledger WHERE wallet = id), 0)
    FROM wallets WHERE id = $1";
const WRITE: &str = "INSERT INTO ledger (wallet, version, op, amount, balance_after) VALUES ($1, $3, $4, $5, $2)
    ON CONFLICT DO NOTHING";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let mut attempt = 0;
    loop {
        let last = session.read(READ, op).await?;
        let Some(after) = decide(last.balance, op.amount) else { return Ok(false) };
        if session.execute(WRITE, &[&op.wallet, &after, &(last.version + 1), &op.id, &op.amount]).await? == 1 {
            return Ok(true);
        }
        session.back_off("number taken", attempt).await?;
        attempt += 1;
    }
}
