//! Takes and releases a lock in Redis.

use std::time::Duration;

use crate::locks::session::{Failure, Session};

/// How long the lock lives if it is not released, in milliseconds.
pub(crate) const TTL_MILLIS: u64 = 2_000;

/// Releases the lock if this client still has it.
pub(super) const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

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
