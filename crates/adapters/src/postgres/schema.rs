//! Migrations of the schema. They only move forward.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::OpenError;
use super::error::DbError;
use super::{positions, ticket_reads};

/// Step n brings a database from version n - 1 to n. A released step never changes. Old instances keep working next to most
/// steps. `docs/guide/upgrades.md` names those before which all instances must stop.
pub(super) const STEPS: [&str; 18] = [
    include_str!("migrations/0001_sale.sql"),
    include_str!("migrations/0002_room.sql"),
    include_str!("migrations/0003_relay.sql"),
    include_str!("migrations/0004_forgotten.sql"),
    include_str!("migrations/0005_traces.sql"),
    include_str!("migrations/0006_positions.sql"),
    include_str!("migrations/0007_events_by_time.sql"),
    include_str!("migrations/0008_dead_letters.sql"),
    include_str!("migrations/0009_disputes.sql"),
    include_str!("migrations/0010_retired.sql"),
    include_str!("migrations/0011_changes_of_a_sale.sql"),
    include_str!("migrations/0012_staff.sql"),
    include_str!("migrations/0013_charges.sql"),
    include_str!("migrations/0014_refunds.sql"),
    include_str!("migrations/0015_organisers.sql"),
    include_str!("migrations/0016_revised_performances.sql"),
    include_str!("migrations/0017_buyers.sql"),
    include_str!("migrations/0018_waitlists.sql"),
];

/// The version that introduced `event_positions`.
const POSITIONS: usize = 6;

/// The version that introduced tickets.
const TICKETS: usize = 17;

/// The advisory lock that serializes migrations of instances that start together: "onsale" in ASCII.
pub(super) const LOCK: i64 = 0x6f6e_7361_6c65;

/// How long a step waits for a lock of a table, which transactions of running servers hold. Beyond it the migration fails.
const TABLE_LOCKS_WITHIN: &str = "SET LOCAL lock_timeout = '30s'";

/// Migrates the schema to this binary's version. Of several processes one does it, and the others wait, without a limit.
/// Returns the number of steps.
///
/// Each step is a transaction of its own, so that its table locks end with it.
///
/// # Errors
/// If the tables belong to another program, or to a newer onsale.
pub(super) async fn migrate(client: &mut Client) -> Result<usize, OpenError> {
    let mut steps = 0;
    while step(client).await? {
        steps += 1;
    }
    Ok(steps)
}

/// Runs the next step. Returns `false` if there is none.
async fn step(client: &mut Client) -> Result<bool, OpenError> {
    let transaction = client.transaction().await.map_err(DbError::from)?;
    let try_lock = "SELECT pg_try_advisory_xact_lock($1)";
    let is_alone: bool = transaction.query_one(try_lock, &[&LOCK]).await.map_err(DbError::from)?.get(0);
    if !is_alone {
        tracing::info!("waiting for another process that migrates the schema of this database");
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(DbError::from)?;
    }
    // Only now: the limit would also count for the wait above.
    transaction.batch_execute(TABLE_LOCKS_WITHIN).await.map_err(DbError::from)?;
    // The version is read under the lock: a process that waited sees the steps of the one before it.
    let version = version(transaction.client()).await?;
    let Some(next) = STEPS.get(version) else { return Ok(false) };
    if version == 0 {
        let table = "CREATE TABLE onsale_schema (version integer NOT NULL PRIMARY KEY,
            migrated_at timestamptz NOT NULL DEFAULT clock_timestamp())";
        transaction.batch_execute(table).await.map_err(DbError::from)?;
    }
    transaction.batch_execute(next).await.map_err(of_step)?;
    let number = i32::try_from(version + 1).unwrap_or(i32::MAX);
    let note = "INSERT INTO onsale_schema (version) VALUES ($1)";
    transaction.execute(note, &[&number]).await.map_err(DbError::from)?;
    // Versions before did not compare positions, so events may be misplaced after a restore. Does nothing on an empty log.
    if version + 1 == POSITIONS {
        positions::repair(transaction.client()).await?;
    }
    if version + 1 == TICKETS {
        ticket_reads::fill(transaction.client()).await?;
    }
    transaction.commit().await.map_err(DbError::from)?;
    Ok(true)
}

/// The error of a step. A table that exists already belongs to another program: ours are made by earlier steps.
fn of_step(error: tokio_postgres::Error) -> OpenError {
    match error.code() {
        Some(&SqlState::DUPLICATE_TABLE) => OpenError::Foreign,
        _ => DbError::from(error).into(),
    }
}

/// Checks that the schema is this binary's.
///
/// # Errors
/// [`OpenError::OlderSchema`], [`OpenError::NewerSchema`] or [`OpenError::Foreign`].
pub(super) async fn check(client: &Client) -> Result<(), OpenError> {
    match version(client).await? {
        known if known == STEPS.len() => Ok(()),
        _ => Err(OpenError::OlderSchema),
    }
}

async fn version(client: &Client) -> Result<usize, OpenError> {
    let is_there = "SELECT to_regclass('onsale_schema') IS NOT NULL, to_regclass('accounts') IS NOT NULL";
    let found = client.query_one(is_there, &[]).await.map_err(DbError::from)?;
    match (found.get(0), found.get(1)) {
        (false, true) => return Err(OpenError::Foreign),
        (false, false) => return Ok(0),
        (true, _) => {}
    }
    let version = "SELECT coalesce(max(version), 0) FROM onsale_schema";
    let version: i32 = client.query_one(version, &[]).await.map_err(DbError::from)?.get(0);
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > STEPS.len() {
        return Err(OpenError::NewerSchema { found: version, known: STEPS.len() });
    }
    Ok(version)
}
