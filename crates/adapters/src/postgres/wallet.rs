//! Wallets and their ledger.

use onsale_app::store::{Page, Unit};
use onsale_domain::ids::{EventId, PaymentId, UserId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::wallet::{Account, Entry};
use tokio_postgres::Row;

use super::error::DbError;
use super::row_address::{self, RowAddresses, locks, updates};
use super::session::{Pipeline, Session};
use super::values::{Sql, big, columns, get, limit, number, optional_instant, params, user, uuid, word};
use crate::stored::Word;

/// Creates rows for users without a wallet: a row that does not exist cannot be locked.
const NAME: &str = "INSERT INTO accounts (user_id, balance, version)
    SELECT user_id, 0, 0 FROM unnest($1::text[]) user_id ON CONFLICT DO NOTHING RETURNING 1";

const LOCK: [&str; 2] = locks!("accounts", "user_id", "user_id, balance, version, updated_at");

const UPDATE: [&str; 2] = updates!(
    "accounts",
    "user_id",
    "balance = v.balance, version = v.version, updated_at = v.updated_at",
    "$1::text[], $2::bigint[], $3::bigint[], $4::bigint[]",
    "$5",
    "user_id, balance, version, updated_at"
);

const ENTER: &str =
    "INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, reference, created_at)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::uuid[],
        $8::bigint[])";

pub(super) const WRITES: &[&str] = &[NAME, LOCK[0], LOCK[1], UPDATE[0], UPDATE[1], ENTER];

/// Decides whether rows of unknown wallets are inserted before they are locked. While most users have a wallet, nearly all of
/// these inserts do nothing: then rows are assumed to exist, and a unit that finds one missing is loaded again.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    /// Consecutive units with unknown wallets of which none was new.
    without_new: u32,
}

impl Newcomers {
    /// After this many consecutive units without a new wallet, newcomers count as rare.
    const RARE_AFTER: u32 = 64;

    pub(super) fn are_rare(&self) -> bool {
        self.without_new >= Self::RARE_AFTER
    }

    /// Notes how many of a unit's unknown wallets were new.
    pub(super) fn note(&mut self, new: usize) {
        self.without_new = if new == 0 { self.without_new.saturating_add(1) } else { 0 };
    }

    /// Notes that an assumed wallet was missing: rows are inserted again from now on.
    pub(super) fn reset(&mut self) {
        self.without_new = 0;
    }
}

/// Locks the wallets. Those in `unknown` are inserted first if they are missing. The others must exist: otherwise the load fails
/// with `Vanished`.
pub(super) fn lock<'a>(
    pipeline: &mut Pipeline<'a, Unit>,
    keys: &'a Keys,
    unknown: Vec<&'a str>,
    newcomers: &'a mut Newcomers,
    addresses: &'a mut RowAddresses<UserId>,
) {
    if keys.accounts.is_empty() {
        return;
    }
    if !unknown.is_empty() {
        pipeline.query(NAME, params![unknown], |new, _| {
            newcomers.note(new.len());
            Ok(())
        });
    }
    let users: Vec<&str> = keys.accounts.iter().map(UserId::as_str).collect();
    let (sql, wanted) = match addresses.hint(keys.accounts.iter()) {
        Some(tid) => (LOCK[1], params![users, tid]),
        None => (LOCK[0], params![users]),
    };
    pipeline.query(sql, wanted, move |found, unit| {
        // A missing row is not locked, so another instance could insert it at the same time.
        if found.len() != keys.accounts.len() {
            return Err(DbError::Vanished);
        }
        for row in found {
            let user = user(row, 0)?;
            addresses.note_locked(user.clone(), row, 4)?;
            unit.rows.accounts.load(user, account(row)?);
        }
        Ok(())
    });
}

/// Reads a wallet; `None` if its row was only inserted to be locked (version 0).
fn account(row: &Row) -> Sql<Option<Account>> {
    let account = Account { balance: get(row, 1)?, version: number(row, 2)?, updated_at: optional_instant(row, 3)? };
    Ok(Some(account).filter(|account| account.version > 0))
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows, addresses: &'a mut RowAddresses<UserId>) {
    let changed: Vec<_> = rows.accounts.changed().filter_map(|(user, account)| Some((user, account?))).collect();
    let users = changed.iter().map(|(user, _)| (*user).clone()).collect();
    let changed = columns!(
        changed.into_iter(),
        |(user, account)| user.as_str(),
        account.balance,
        big(account.version),
        account.updated_at.map(|at| at.as_millis())
    );
    row_address::update(pipeline, UPDATE, changed, users, addresses);
    pipeline.write(
        ENTER,
        columns!(
            rows.ledger.iter(),
            |entry| entry.user.as_str(),
            big(entry.version),
            entry.id.uuid(),
            entry.kind.word(),
            entry.amount,
            entry.balance_after,
            entry.reference.map(PaymentId::uuid),
            entry.created_at.as_millis(),
        ),
    );
}

const ACCOUNT: &str = "SELECT user_id, balance, version, updated_at FROM accounts WHERE user_id = $1";

const LEDGER: &str = "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
    WHERE user_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3";

#[cfg(test)]
pub(super) const READS: &[&str] = &[ACCOUNT, LEDGER];

pub(super) async fn read(session: &Session, user: &UserId) -> Sql<Account> {
    let found = session.query(ACCOUNT, params![user.as_str()]).await?;
    Ok(found.first().map(account).transpose()?.flatten().unwrap_or_default())
}

/// A page of a user's ledger, newest entry first.
pub(super) async fn ledger(session: &Session, user: &UserId, page: Page<u64>) -> Sql<Vec<Entry>> {
    let before = page.after.map_or(i64::MAX, big);
    let found = session.query(LEDGER, params![user.as_str(), before, limit(page.limit)]).await?;
    found.iter().map(entry).collect()
}

pub(super) fn entry(row: &Row) -> Sql<Entry> {
    Ok(Entry {
        user: user(row, 0)?,
        version: number(row, 1)?,
        id: EventId::new(uuid(row, 2)?),
        kind: word(row, 3)?,
        amount: get(row, 4)?,
        balance_after: get(row, 5)?,
        reference: get::<Option<_>>(row, 6)?.map(PaymentId::new),
        created_at: super::values::instant(row, 7)?,
    })
}
