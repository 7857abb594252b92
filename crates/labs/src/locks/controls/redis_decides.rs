//! Redis decides in a script, and the database is written afterwards. What Redis forgets is sold again.

use redis::Script;

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "-- Redis, one script
local after = (redis.call('HGET', wallet, 'balance') or initial) + amount
if after < 0 then return nil end
redis.call('HSET', wallet, 'balance', after);  return redis.call('HINCRBY', wallet, 'version', 1)
-- afterwards, in the database
UPDATE wallets SET balance = balance + $2 …;  INSERT INTO ledger …;";

const DECIDE: &str = "local after = tonumber(redis.call('HGET', KEYS[1], 'balance') or ARGV[2]) + tonumber(ARGV[1])
    if after < 0 then return false end
    redis.call('HSET', KEYS[1], 'balance', after)
    return {after, redis.call('HINCRBY', KEYS[1], 'version', 1)}";
const INITIAL: &str = "SELECT balance FROM wallets WHERE id = $1";
const WRITE: &str = "WITH changed AS (
        UPDATE wallets SET balance = balance + $2, version = version + 1 WHERE id = $1 RETURNING id)
    INSERT INTO ledger (wallet, version, op, amount, balance_after) SELECT id, $3, $4, $2, $5 FROM changed";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let mut redis = session.redis.clone().ok_or(Failure::Closed)?;
    let key = format!("wallet:{}", op.wallet);
    let known: bool = redis::cmd("EXISTS").arg(&key).query_async(&mut redis).await?;
    // A wallet that Redis does not know is loaded. Changes that are decided and not yet written are missing then.
    let initial: i64 =
        if known { 0 } else { session.row(INITIAL, &[&op.wallet]).await?.ok_or(Failure::Closed)?.get(0) };
    let decided: Option<(i64, i64)> =
        Script::new(DECIDE).key(&key).arg(op.amount).arg(initial).invoke_async(&mut redis).await?;
    let Some((after, version)) = decided else { return Ok(false) };
    session.gap().await;
    session.execute(WRITE, &[&op.wallet, &op.amount, &version, &op.id, &after]).await?;
    Ok(true)
}
