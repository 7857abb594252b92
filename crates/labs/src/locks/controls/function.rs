//! A function in the database does everything in one round trip.

use crate::locks::scene::Op;
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "SELECT move_points($1, $2, $3);
-- in the function: UPDATE wallets … WHERE balance + change >= 0;  INSERT INTO ledger …;";

/// The function, created anew with the tables.
pub(crate) const FUNCTION: &str =
    "CREATE OR REPLACE FUNCTION move_points(wallet_id integer, op_id bigint, change bigint)
    RETURNS boolean AS $$
    DECLARE after bigint; next bigint;
    BEGIN
        UPDATE wallets SET balance = balance + change, version = version + 1
            WHERE id = wallet_id AND balance + change >= 0 RETURNING balance, version INTO after, next;
        IF NOT FOUND THEN RETURN false; END IF;
        INSERT INTO ledger VALUES (wallet_id, next, op_id, change, after);
        RETURN true;
    END $$ LANGUAGE plpgsql";
const CALL: &str = "SELECT move_points($1, $2, $3)";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let row = session.row(CALL, &[&op.wallet, &op.id, &op.amount]).await?.ok_or(Failure::Closed)?;
    Ok(row.get(0))
}
