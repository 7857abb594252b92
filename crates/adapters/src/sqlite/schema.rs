//! The schema, moved forward only.

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// Each step brings a file from version n to n + 1. Steps that have landed never change.
const STEPS: [&str; 5] = [
    include_str!("migrations/0001_sale.sql"),
    include_str!("migrations/0002_room.sql"),
    include_str!("migrations/0003_relay.sql"),
    include_str!("migrations/0004_forgotten.sql"),
    include_str!("migrations/0005_traces.sql"),
];

/// Marks a file as onsale's: "onsa" in ASCII.
const APPLICATION_ID: i64 = 0x6f6e_7361;

/// Brings the schema up to this binary.
///
/// # Errors
/// Where the file belongs to another program, or to a newer onsale.
pub(super) fn migrate(db: &mut Connection) -> Result<usize, OpenError> {
    let steps = pending(db)?;
    for (number, step) in STEPS.iter().enumerate().skip(STEPS.len() - steps) {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};",
            number + 1
        ))?;
        transaction.commit()?;
    }
    Ok(steps)
}

/// How many steps are missing.
pub(super) fn pending(db: &Connection) -> Result<usize, OpenError> {
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(OpenError::ForeignFile);
    }
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    STEPS.len().checked_sub(version).ok_or(OpenError::NewerSchema { found: version, known: STEPS.len() })
}
