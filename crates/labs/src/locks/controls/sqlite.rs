//! An embedded database with a single writer. Each change is a transaction that is synced to the disk.

use std::sync::{Arc, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use crate::locks::scene::{Op, decide};
use crate::locks::session::{Failure, Session};

pub(super) const WORDS: &str = "BEGIN IMMEDIATE;
SELECT balance, version FROM wallets WHERE id = ?1;
UPDATE wallets …;  INSERT INTO ledger …;
COMMIT;    -- PRAGMA journal_mode = WAL, synchronous = FULL";

/// The tables of the scene, in SQLite.
pub(crate) const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE wallets (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0),
        version INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE ledger (wallet INTEGER NOT NULL, version INTEGER NOT NULL, op INTEGER NOT NULL,
        amount INTEGER NOT NULL, balance_after INTEGER NOT NULL, PRIMARY KEY (wallet, version)) STRICT;";

pub(super) async fn apply(session: &mut Session, op: &Op) -> Result<bool, Failure> {
    let (shared, op) = (Arc::clone(&session.shared), *op);
    let apply = move || {
        let connection = shared.sqlite.as_ref().ok_or(Failure::Closed)?;
        apply_blocking(&mut connection.lock().unwrap_or_else(PoisonError::into_inner), op)
    };
    // The mutex is held during the sync to the disk: on another thread, so that clients' tasks go on.
    tokio::task::spawn_blocking(apply).await.map_err(|_| Failure::Closed)?
}

fn apply_blocking(connection: &mut Connection, op: Op) -> Result<bool, Failure> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let read = "SELECT balance, version FROM wallets WHERE id = ?1";
    let wallet = transaction.prepare_cached(read)?.query_row([op.wallet], |row| Ok((row.get(0)?, row.get(1)?)));
    let (balance, version): (i64, i64) = wallet.optional()?.ok_or(Failure::Closed)?;
    let Some(after) = decide(balance, op.amount) else { return Ok(false) };
    let update = "UPDATE wallets SET balance = ?2, version = ?3 WHERE id = ?1";
    transaction.prepare_cached(update)?.execute(params![op.wallet, after, version + 1])?;
    let insert = "INSERT INTO ledger (wallet, version, op, amount, balance_after) VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction.prepare_cached(insert)?.execute(params![op.wallet, version + 1, op.id, op.amount, after])?;
    transaction.commit()?;
    Ok(true)
}
