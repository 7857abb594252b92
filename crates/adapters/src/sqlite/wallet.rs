//! Wallets and their ledger.

use onsale_app::store::Page;
use onsale_domain::ids::{EventId, PaymentId, UserId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::wallet::{Account, Entry};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::values::{Sql, big, instant, optional_uuid, user, uuid, word};
use crate::stored::Word;

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for user in &keys.accounts {
        rows.accounts.load(user.clone(), account(db, user)?);
    }
    Ok(())
}

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (user, account) in rows.accounts.changed() {
        let Some(Account { balance, version, updated_at }) = account else { continue };
        db.prepare_cached(
            "INSERT INTO accounts (user_id, balance, version, updated_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET balance = ?2, version = ?3, updated_at = ?4",
        )?
        .execute(params![user.as_str(), balance, version, updated_at.map(|at| at.as_millis())])?;
    }
    for entry in &rows.ledger {
        db.prepare_cached(
            "INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, reference, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            entry.user.as_str(),
            entry.version,
            entry.id.uuid().as_bytes(),
            entry.kind.word(),
            entry.amount,
            entry.balance_after,
            entry.reference.map(|payment| payment.uuid().into_bytes()),
            entry.created_at.as_millis(),
        ])?;
    }
    Ok(())
}

pub(super) fn account(db: &Connection, user: &UserId) -> Sql<Option<Account>> {
    db.prepare_cached("SELECT balance, version, updated_at FROM accounts WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| {
            Ok(Account { balance: row.get(0)?, version: row.get(1)?, updated_at: instant(row, 2).map(Some)? })
        })
        .optional()
}

/// A page of a user's ledger, newest entry first.
pub(super) fn ledger(db: &Connection, user: &UserId, page: Page<u64>) -> Sql<Vec<Entry>> {
    db.prepare_cached(
        "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
         WHERE user_id = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3",
    )?
    .query_map(params![user.as_str(), page.after.map_or(i64::MAX, big), page.limit], entry)?
    .collect()
}

pub(super) fn entry(row: &Row<'_>) -> Sql<Entry> {
    Ok(Entry {
        user: user(row, 0)?,
        version: row.get(1)?,
        id: EventId::new(uuid(row, 2)?),
        kind: word(row, 3)?,
        amount: row.get(4)?,
        balance_after: row.get(5)?,
        reference: optional_uuid(row, 6)?.map(PaymentId::new),
        created_at: instant(row, 7)?,
    })
}
