//! Charges by staff under the id of another system.

use onsale_domain::rows::{Keys, Rows};
use onsale_domain::staff::ExternalCharge;
use rusqlite::{Connection, OptionalExtension, params};

use super::values::{Sql, instant, user};

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for id in &keys.external_charges {
        let sql =
            "SELECT user_id, version, amount, balance_after, charged_at FROM external_charges WHERE external_id = ?1";
        let charge = db
            .prepare_cached(sql)?
            .query_row([&**id], |row| {
                Ok(ExternalCharge {
                    user: user(row, 0)?,
                    version: row.get(1)?,
                    amount: row.get(2)?,
                    balance_after: row.get(3)?,
                    charged_at: instant(row, 4)?,
                })
            })
            .optional()?;
        rows.external_charges.load(id.clone(), charge);
    }
    Ok(())
}

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (id, charge) in rows.external_charges.added() {
        db.prepare_cached(
            "INSERT INTO external_charges (external_id, user_id, version, amount, balance_after, charged_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            &**id,
            charge.user.as_str(),
            charge.version,
            charge.amount,
            charge.balance_after,
            charge.charged_at.as_millis(),
        ])?;
    }
    Ok(())
}
