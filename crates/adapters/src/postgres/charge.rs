//! Charges by staff under the id of another system.

use onsale_app::store::Unit;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::staff::ExternalCharge;

use super::session::Pipeline;
use super::values::{big, columns, get, instant, number, params, text, user};

const FIND: &str = "SELECT external_id, user_id, version, amount, balance_after, charged_at FROM external_charges
    WHERE external_id = ANY ($1)";

/// Sorted by id: two units that insert the same ids in different orders would deadlock at the primary key. Of two units with
/// one id the later one fails with a unique violation, is run again, and finds the charge of the first.
const KEEP: &str = "INSERT INTO external_charges (external_id, user_id, version, amount, balance_after, charged_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])";

pub(super) const WRITES: &[&str] = &[FIND, KEEP];

/// Loads the charges of external ids. Sent after the locks of the wallets: the second of two charges of one wallet finds the
/// first. Sends nothing if no charge has such an id.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if keys.external_charges.is_empty() {
        return;
    }
    let ids: Vec<&str> = keys.external_charges.iter().map(|id| &**id).collect();
    pipeline.query(FIND, params![ids], |found, unit| {
        for id in &keys.external_charges {
            unit.rows.external_charges.load(id.clone(), None);
        }
        for row in found {
            let charge = ExternalCharge {
                user: user(row, 1)?,
                version: number(row, 2)?,
                amount: get(row, 3)?,
                balance_after: get(row, 4)?,
                charged_at: instant(row, 5)?,
            };
            unit.rows.external_charges.load(text(row, 0)?, Some(charge));
        }
        Ok(())
    });
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let mut added: Vec<_> = rows.external_charges.added().collect();
    added.sort_by_key(|(id, _)| *id);
    pipeline.write(
        KEEP,
        columns!(
            added.into_iter(),
            |(id, charge)| &***id,
            charge.user.as_str(),
            big(charge.version),
            charge.amount,
            charge.balance_after,
            charge.charged_at.as_millis(),
        ),
    );
}
