//! Migrations of the schema. They only move forward.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// Step n brings a file from version n to n + 1. A released step never changes.
const STEPS: [&str; 13] = [
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
];

/// Marks a file as onsale's: "onsa" in ASCII.
const APPLICATION_ID: i64 = 0x6f6e_7361;

/// The first bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Three bytes of the header that are the same in every SQLite file, and their offset.
const PAYLOAD_FRACTIONS: [u8; 3] = [64, 32, 32];
const PAYLOAD_FRACTIONS_AT: usize = 21;

/// The offset of the application id in the header of a SQLite file: four bytes, the highest first.
const APPLICATION_ID_AT: usize = 68;

/// Refuses a file of another program before a lock file is made for it. Reads the header only; [`pending`] checks the rest.
///
/// # Errors
/// [`OpenError::NotADatabase`] or [`OpenError::ForeignFile`].
pub(super) fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    let mut header = [0; APPLICATION_ID_AT + 4];
    // A file that is missing, empty or unreadable is for SQLite to make or to report.
    let Ok(read) = File::open(path).and_then(|mut file| file.read(&mut header)) else { return Ok(()) };
    if read == 0 {
        return Ok(());
    }
    let is_database = header.starts_with(MAGIC) && header[PAYLOAD_FRACTIONS_AT..].starts_with(&PAYLOAD_FRACTIONS);
    if !is_database {
        return Err(OpenError::NotADatabase);
    }
    let mut application = [0; 4];
    application.copy_from_slice(&header[APPLICATION_ID_AT..]);
    match i64::from(u32::from_be_bytes(application)) {
        0 | APPLICATION_ID => Ok(()),
        _ => Err(OpenError::ForeignFile),
    }
}

/// Migrates the schema to this binary's version. Returns the number of steps.
///
/// # Errors
/// [`OpenError::ForeignFile`] or [`OpenError::NewerSchema`].
pub(super) fn migrate(db: &mut Connection) -> Result<usize, OpenError> {
    let steps = pending(db)?;
    for (number, step) in STEPS.iter().enumerate().skip(STEPS.len() - steps) {
        // The step and its version in one transaction: a crash leaves a file with neither or both.
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

/// Number of missing steps.
///
/// # Errors
/// [`OpenError::ForeignFile`] or [`OpenError::NewerSchema`].
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
