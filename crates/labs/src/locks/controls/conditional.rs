//! One statement that checks the rule and writes. The row is locked only while the statement and its commit run.

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "WITH changed AS (
    UPDATE wallets SET balance = balance + $2, version = version + 1
    WHERE id = $1 AND balance + $2 >= 0 RETURNING …)
INSERT INTO ledger SELECT … FROM changed;";

const WRITE: &str = "WITH changed AS (
        UPDATE wallets SET balance = balance + $2, version = version + 1
        WHERE id = $1 AND balance + $2 >= 0 RETURNING id, version, balance)
    INSERT INTO ledger (wallet, version, op, amount, balance_after) SELECT id, version, $3, $2, balance FROM changed";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    Ok(session.execute(WRITE, &[&op.wallet, &op.amount, &op.id]).await? == 1)
}
