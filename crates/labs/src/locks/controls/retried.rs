//! A transaction that is retried.

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

/// Runs a whole transaction until it is not in conflict with another: at this isolation level, with this read.
pub(super) async fn retried(session: &mut Session, op: &Op, begin: &str, read: &'static str) -> Result<bool, Failure> {
    let mut attempt = 0;
    loop {
        session.command(begin).await?;
        match session.decide_in_transaction(read, op).await {
            Err(error) if error.is_conflict() => {
                session.command("ROLLBACK").await?;
                session.back_off(error.class(), attempt).await?;
            }
            decided => return decided,
        }
        attempt += 1;
    }
}
