//! A lock in Redis with a lifetime. A client that is stopped for longer than that continues without the lock.

use std::time::Duration;

use redis::Script;

use super::none;
use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "SET lock:<wallet> <random> NX PX 2000        -- Redis; else wait and try again
SELECT …;  UPDATE wallets …;  INSERT INTO ledger …;
if GET lock:<wallet> = <random> then DEL   -- Redis, one script";

/// How long the lock lives if it is not released, in milliseconds.
pub(crate) const TTL_MILLIS: u64 = 2_000;

/// Releases the lock if this client still has it.
pub(super) const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let key = format!("lock:{}", op.wallet);
    acquire(session, &key, op.id).await?;
    let applied = none::apply(session, op).await;
    let mut redis = session.redis.clone().ok_or(Failure::Closed)?;
    // If the release fails, the lock ends with its lifetime. The change is made all the same.
    let _ = Script::new(RELEASE).key(&key).arg(op.id).invoke_async::<i64>(&mut redis).await;
    applied
}

/// Waits until the lock is free, and takes it.
pub(super) async fn acquire(session: &mut Session, key: &str, owner: i64) -> Result<(), Failure> {
    let mut redis = session.redis.clone().ok_or(Failure::Closed)?;
    loop {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(owner).arg("NX").arg("PX").arg(TTL_MILLIS);
        if set.query_async::<Option<String>>(&mut redis).await?.is_some() {
            return Ok(());
        }
        let micros = 200 + session.dice.below(1_800);
        session.retries += 1;
        session.sleep(Duration::from_micros(micros)).await?;
    }
}
