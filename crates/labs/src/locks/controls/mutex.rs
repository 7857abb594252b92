//! A mutex in the process. Right as long as there is one process.

use std::sync::Arc;

use super::none;
use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "let _guard = mutexes[wallet].lock().await;
-- SELECT …;  UPDATE wallets …;  INSERT INTO ledger …;";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let shared = Arc::clone(&session.shared);
    let index = usize::try_from(op.wallet).unwrap_or_default();
    let _guard = shared.mutexes[index].lock().await;
    none::apply(session, op).await
}
