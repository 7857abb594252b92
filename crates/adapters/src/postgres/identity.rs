//! Identifies the server that answers, and the history of its data.

use super::error::DbError;
use super::session::Session;
use super::values::{Sql, get};

/// Changes with every start of a server, with a failover, and if the database is dropped and restored. A standby that takes over
/// may lack the last commits. A server that starts may have been given older data; after a base backup is restored, even its
/// system identifier and timeline are the same. Needs no special rights.
const HISTORY: &str = "SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
        (SELECT oid FROM pg_database WHERE datname = current_database()))";

/// Identifies the server, its timeline, and the time since its last crash: a transaction id is comparable only within these. A
/// crash forgets transaction ids that had not reached the disk, and new transactions get them again: the commit of another
/// transaction would look like ours. A crash also resets the statistics, so their reset time identifies it.
pub(super) const TRANSACTIONS: &str =
    "SELECT concat_ws(' ', system_identifier, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
        (SELECT stats_reset FROM pg_stat_wal)) FROM pg_control_system()";

/// Used if a managed or hardened server forbids reading the control file. Then even a clean restart makes the outcome of a lost
/// commit unknown.
pub(super) const TRANSACTIONS_STARTED: &str =
    "SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), (SELECT stats_reset FROM pg_stat_wal))";

pub(super) const HISTORIES: &[&str] = &[HISTORY];

/// The history within which rows that were read stay comparable.
pub(super) async fn of_history(session: &Session) -> Sql<String> {
    read(session, HISTORY).await
}

/// The scope within which transaction ids are comparable.
pub(super) async fn of_transactions(session: &Session) -> Sql<String> {
    match read(session, TRANSACTIONS).await {
        Err(error) if error.is_refusal() => read(session, TRANSACTIONS_STARTED).await,
        found => found,
    }
}

async fn read(session: &Session, sql: &'static str) -> Sql<String> {
    let found = session.query(sql, Vec::new()).await?;
    get(found.first().ok_or(DbError::Broken("no identity"))?, 0)
}
