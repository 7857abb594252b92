//! Wallets and their ledger.

use onsale_app::store::{Page, Unit};
use onsale_domain::ids::{EventId, PaymentId, UserId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::wallet::{Account, Entry};
use tokio_postgres::Row;

use super::error::DbError;
use super::lies::{self, Lies, locks, updates};
use super::session::{Pipeline, Session};
use super::values::{Sql, big, columns, get, limit, number, optional_instant, params, user, uuid, word};
use crate::stored::Word;

/// Users whose wallet was never seen get a row, so that there is something to lock.
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

/// Whether wallets that nobody remembers to have seen are made before they are locked. Where newcomers are rare, most of
/// that is in vain: then they are taken to be there, and a unit that finds one missing begins anew.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    /// Units that named wallets in a row, without one being new.
    in_vain: u32,
}

impl Newcomers {
    /// So many in a row, and newcomers are rare.
    const RARE_AFTER: u32 = 64;

    pub(super) fn are_rare(&self) -> bool {
        self.in_vain >= Self::RARE_AFTER
    }

    /// Of the wallets that a unit named, so many were new.
    pub(super) fn note(&mut self, new: usize) {
        self.in_vain = if new == 0 { self.in_vain.saturating_add(1) } else { 0 };
    }

    /// One was missing.
    pub(super) fn come(&mut self) {
        self.in_vain = 0;
    }
}

/// Locks the wallets. Those in `unknown` are made first where they are missing; the others must be there.
pub(super) fn lock<'a>(
    pipeline: &mut Pipeline<'a, Unit>,
    keys: &'a Keys,
    unknown: Vec<&'a str>,
    newcomers: &'a mut Newcomers,
    lies: &'a mut Lies<UserId>,
) {
    if keys.accounts.is_empty() {
        return;
    }
    if !unknown.is_empty() {
        pipeline.ask(NAME, params![unknown], |new, _| {
            newcomers.note(new.len());
            Ok(())
        });
    }
    let users: Vec<&str> = keys.accounts.iter().map(UserId::as_str).collect();
    let (sql, wanted) = match lies.near(keys.accounts.iter()) {
        Some(tid) => (LOCK[1], params![users, tid]),
        None => (LOCK[0], params![users]),
    };
    pipeline.ask(sql, wanted, move |found, unit| {
        if found.len() != keys.accounts.len() {
            return Err(DbError::Vanished);
        }
        for row in found {
            let user = user(row, 0)?;
            lies.lock(user.clone(), row, 4)?;
            unit.rows.accounts.load(user, account(row)?);
        }
        Ok(())
    });
}

/// A wallet that was never used is none.
fn account(row: &Row) -> Sql<Option<Account>> {
    let account = Account { balance: get(row, 1)?, version: number(row, 2)?, updated_at: optional_instant(row, 3)? };
    Ok(Some(account).filter(|account| account.version > 0))
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows, lies: &'a mut Lies<UserId>) {
    let changed: Vec<_> = rows.accounts.changed().filter_map(|(user, account)| Some((user, account?))).collect();
    let users = changed.iter().map(|(user, _)| (*user).clone()).collect();
    let changed = columns!(
        changed.into_iter(),
        |(user, account)| user.as_str(),
        account.balance,
        big(account.version),
        account.updated_at.map(|at| at.as_millis())
    );
    lies::update(pipeline, UPDATE, changed, users, lies);
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

/// Newest first.
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
