//! onsale's way: commands that wait together are decided together, under row locks, in one transaction.

use std::sync::Arc;

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "-- up to 256 commands that wait together
BEGIN;
SELECT id, balance, version FROM wallets WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE;
-- decided in order of arrival, in memory
UPDATE wallets … FROM unnest(…);  INSERT INTO ledger SELECT … FROM unnest(…);
COMMIT;";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let shared = Arc::clone(&session.shared);
    shared.lane.as_ref().ok_or(Failure::Closed)?.submit(*op).await
}
