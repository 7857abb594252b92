//! A function in the database does everything in one round trip.

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "SELECT move_points($1, $2, $3);
-- in the function: UPDATE wallets … WHERE balance + change >= 0;  INSERT INTO ledger …;";

const CALL: &str = "SELECT move_points($1, $2, $3)";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let row = session.row(CALL, &[&op.wallet, &op.id, &op.amount]).await?.ok_or(Failure::Closed)?;
    Ok(row.get(0))
}
