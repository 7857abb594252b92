//! Which server answers, and which of its histories.

use super::error::DbError;
use super::session::Session;
use super::values::{Sql, get};

/// Another after every start of a server, after a failover, and if the database was dropped and restored. A standby that
/// takes over may not have heard everything; a server that starts may have been given an older state of its data, also
/// one that a base backup restored, whose system identifier and timeline are the same. Needs no rights.
const HISTORY: &str = "SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
        (SELECT oid FROM pg_database WHERE datname = current_database()))";

/// Which server this is, which of its timelines, and since which crash: a transaction's id means something only there.
/// A crash forgets ids of which nothing had reached the disk, and they are given to others, whose commits would pass for
/// ours. It also forgets the statistics, and from then on they say since when they count.
pub(super) const TRANSACTIONS: &str =
    "SELECT concat_ws(' ', system_identifier, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
        (SELECT stats_reset FROM pg_stat_wal)) FROM pg_control_system()";

/// The same if a managed or hardened server forbids to read the control file. A plain restart, too, leaves the outcome
/// of a commit unknown that was cut off.
pub(super) const TRANSACTIONS_STARTED: &str =
    "SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), (SELECT stats_reset FROM pg_stat_wal))";

pub(super) const HISTORIES: &[&str] = &[HISTORY];

/// What a row that was read means something in.
pub(super) async fn of_history(session: &Session) -> Sql<String> {
    read(session, HISTORY).await
}

/// What the id of a transaction means something in.
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
