//! A lock in Redis with a lifetime. A client that is stopped for longer than that continues without the lock.

use redis::Script;

use super::none;
use super::redis_hold::{RELEASE, acquire};
use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "SET lock:<wallet> <random> NX PX 2000        -- Redis; else wait and try again
SELECT …;  UPDATE wallets …;  INSERT INTO ledger …;
if GET lock:<wallet> = <random> then DEL   -- Redis, one script";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let key = format!("lock:{}", op.wallet);
    acquire(session, &key, op.id).await?;
    let applied = none::apply(session, op).await;
    let mut redis = session.redis.clone().ok_or(Failure::Closed)?;
    // If the release fails, the lock ends with its lifetime. The change is made all the same.
    let _ = Script::new(RELEASE).key(&key).arg(op.id).invoke_async::<i64>(&mut redis).await;
    applied
}
