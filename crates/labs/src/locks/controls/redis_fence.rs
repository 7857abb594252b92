//! A lock in Redis with a fencing token that the row checks. The read registers the token: a check by the write alone
//! would let a stale writer in between the read and the write of the next holder.

use redis::Script;

use super::redis_hold::{RELEASE, acquire};
use crate::locks::scene::{Op, decide};
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "SET lock:<wallet> <random> NX PX 2000;  INCR fence:<wallet>      -- Redis
UPDATE wallets SET fence = $token WHERE id = $1 AND fence < $token RETURNING balance, version;
UPDATE wallets SET balance = $2, … WHERE id = $1 AND fence = $token;  INSERT INTO ledger …;
-- 0 rows: a newer holder has read the row. Start again";

const READ: &str = "UPDATE wallets SET fence = $2 WHERE id = $1 AND fence < $2 RETURNING balance, version";
const WRITE: &str = "WITH changed AS (
        UPDATE wallets SET balance = $2, version = version + 1 WHERE id = $1 AND fence = $3 RETURNING id, version)
    INSERT INTO ledger (wallet, version, op, amount, balance_after) SELECT id, version, $4, $5, $2 FROM changed";
const NEWEST: &str = "SELECT fence FROM wallets WHERE id = $1";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let lock = format!("lock:{}", op.wallet);
    let mut redis = session.redis.clone().ok_or(Failure::Closed)?;
    loop {
        acquire(session, &lock, op.id).await?;
        let won = attempt(session, op).await?;
        // If the release fails, the lock ends with its lifetime.
        let _ = Script::new(RELEASE).key(&lock).arg(op.id).invoke_async::<i64>(&mut redis).await;
        match won {
            Some(won) => return Ok(won),
            None => session.back_off("fenced off", 0).await?,
        }
    }
}

/// `None` if a newer token was seen.
async fn attempt(session: &mut Session, op: &Op) -> Result<Option<bool>, Failure> {
    let counter = format!("fence:{}", op.wallet);
    let mut redis = session.redis.clone().ok_or(Failure::Closed)?;
    let token: i64 = redis::cmd("INCR").arg(&counter).query_async(&mut redis).await?;
    let Some(row) = session.row(READ, &[&op.wallet, &token]).await? else {
        // A Redis that lost its counter continues behind the newest token.
        let newest: i64 = session.row(NEWEST, &[&op.wallet]).await?.ok_or(Failure::Closed)?.get(0);
        redis::cmd("SET").arg(&counter).arg(newest).query_async::<()>(&mut redis).await?;
        return Ok(None);
    };
    session.gap().await;
    let Some(after) = decide(row.get(0), op.amount) else { return Ok(Some(false)) };
    let written = session.execute(WRITE, &[&op.wallet, &after, &token, &op.id, &op.amount]).await?;
    Ok((written == 1).then_some(true))
}
