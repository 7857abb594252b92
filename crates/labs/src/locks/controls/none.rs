//! No control: read, compute, write. Two clients that read the same balance both write, and one change is lost.

use crate::locks::scene::{Op, decide};
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "SELECT balance, version FROM wallets WHERE id = $1;
-- the client computes the new balance
UPDATE wallets SET balance = $2, version = $3 WHERE id = $1;  INSERT INTO ledger …;";

const READ: &str = "SELECT balance, version FROM wallets WHERE id = $1";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let mut attempt = 0;
    loop {
        let wallet = session.read(READ, op).await?;
        let Some(after) = decide(wallet.balance, op.amount) else { return Ok(false) };
        match session.write(op, wallet, after).await {
            Ok(_) => return Ok(true),
            // Only a unique index of the schema can notice: then a client retries.
            Err(error) if error.class() == "23505" => session.back_off("23505", attempt).await?,
            Err(error) => return Err(error),
        }
        attempt += 1;
    }
}
