//! Migrations of the schema. They only move forward.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{OpenError, ticket_reads};

/// Step n brings a file from version n to n + 1. A released step never changes.
const STEPS: [&str; 18] = [
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

/// Steps that make a table again, with foreign keys off. After them each row must still have the rows that it refers to. The check
/// reads all tables with foreign keys.
const REBUILDS: [usize; 3] = [14, 15, 17];

/// The step after which the tickets of earlier refunds are made void.
const TICKETS: usize = 17;

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
/// [`OpenError::ForeignFile`], [`OpenError::NewerSchema`], or [`OpenError::Orphan`] if a step would leave a damaged file.
pub(super) fn migrate(db: &mut Connection) -> Result<usize, OpenError> {
    let steps = pending(db)?;
    if steps == 0 {
        return Ok(0);
    }
    // None of these has an effect inside a transaction. A step that makes a table again drops the one that rows of other tables
    // refer to, so foreign keys are off. With temporary files in memory, the sorter of an index would hold a record of every row.
    let are_enforced: bool = db.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
    db.pragma_update(None, "foreign_keys", false)?;
    let stored_in: i64 = db.pragma_query_value(None, "temp_store", |row| row.get(0))?;
    db.pragma_update(None, "temp_store", "file")?;
    let is_new = steps == STEPS.len();
    if !is_new {
        sort_next_to_the_file(db)?;
    }
    let done = run(db, steps);
    if !is_new {
        db.pragma_update(None, "temp_store_directory", "")?;
    }
    db.pragma_update(None, "temp_store", stored_in)?;
    db.pragma_update(None, "foreign_keys", are_enforced)?;
    done.map(|()| steps)
}

/// Has temporary files made in the folder of the database, which needs as much space for its log anyway. `/tmp` may be small,
/// in memory, or read-only. The setting is one of the process, guarded by a mutex of SQLite.
fn sort_next_to_the_file(db: &Connection) -> Result<(), OpenError> {
    let folder = db.path().and_then(|path| Path::new(path).parent()).and_then(Path::to_str).filter(|it| !it.is_empty());
    match folder {
        Some(folder) => Ok(db.pragma_update(None, "temp_store_directory", folder)?),
        None => Ok(()),
    }
}

/// Runs the last steps.
fn run(db: &mut Connection, steps: usize) -> Result<(), OpenError> {
    for (number, step) in STEPS.iter().enumerate().skip(STEPS.len() - steps) {
        // The step and its version in one transaction: a crash leaves a file with neither or both.
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        if number + 1 == TICKETS {
            ticket_reads::fill(&transaction)?;
        }
        if REBUILDS.contains(&(number + 1)) {
            refuse_orphans(&transaction)?;
        }
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};",
            number + 1
        ))?;
        transaction.commit()?;
    }
    Ok(())
}

/// Fails if a row refers to a row that is missing.
fn refuse_orphans(db: &Connection) -> Result<(), OpenError> {
    let orphan = db.query_row("PRAGMA foreign_key_check", [], |row| Ok((row.get(0)?, row.get(2)?))).optional()?;
    match orphan {
        Some((table, parent)) => Err(OpenError::Orphan { table, parent }),
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The step that makes the tables of reservations and of the ledger again.
    const REFUNDS: usize = 14;

    /// A file of the schema before refunds, with a payment of two seats and a charge under an external id.
    const SOLD: &str = r#"
        INSERT INTO concerts (concert_id, title, venue, created_at) VALUES (x'01000000000000000000000000000000', 't', 'v', 1);
        INSERT INTO performances (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at)
            SELECT x'02000000000000000000000000000000', concert_id, 1, '[{"from":1,"to":5,"grade":"R","price":200},
                {"from":7,"to":9,"grade":"S","price":90}]', 8, 2, 2, 1 FROM concerts;
        INSERT INTO reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until,
                status, extended)
            SELECT x'03000000000000000000000000000000', concert_id, performance_id, 'ada', 1, '[8,2]', 290, 1, 2, 'PAID', 0
            FROM performances;
        INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold)
            SELECT performance_id, 8, reservation_id, 2, 1 FROM reservations;
        INSERT INTO payments SELECT x'04000000000000000000000000000000', reservation_id, performance_id, user_id, seats, amount,
            10, 1 FROM reservations;
        INSERT INTO accounts VALUES ('ada', 10, 2, 1);
        INSERT INTO ledger VALUES
            ('ada', 1, x'05000000000000000000000000000000', 'CHARGE', 300, 300, NULL, 1),
            ('ada', 2, x'06000000000000000000000000000000', 'USE', 290, 10, x'04000000000000000000000000000000', 1);
        INSERT INTO external_charges VALUES ('pay-1', 'ada', 1, 300, 300, 1);"#;

    fn open(path: &Path) -> Connection {
        let db = Connection::open(path).unwrap();
        db.execute_batch("PRAGMA journal_mode = wal; PRAGMA foreign_keys = on").unwrap();
        db
    }

    /// A file of an older version, as the program of that version left it.
    fn of_version(path: &Path, version: usize) -> Connection {
        let db = open(path);
        for step in &STEPS[..version] {
            db.execute_batch(step).unwrap();
        }
        db.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}"))
            .unwrap();
        db
    }

    fn text(db: &Connection, sql: &str) -> String {
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn places_and_histories_of_lectures_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = of_version(&folder.path().join("sale.db"), 15);
        db.execute_batch(
            "INSERT INTO lectures (lecture_id, title, starts_at, capacity, enrolled, seats_given, version, updated_at,
                    highest_capacity) VALUES (x'0a000000000000000000000000000000', 't', 1, 3, 1, 2, 3, 1, 3);
             INSERT INTO applications SELECT lecture_id, 'ada', 2, 7 FROM lectures;
             INSERT INTO lecture_history SELECT lecture_id, 3, lecture_id, 'ada', 'APPLIED', 2, 7 FROM lectures;",
        )
        .unwrap();
        migrate(&mut db).unwrap();
        let kept = "SELECT user_id || seat_number || applied_at || ifnull(waiting_number, '-') FROM applications";
        assert_eq!(text(&db, kept), "ada27-");
        let kept = "SELECT version || type || seat_number || created_at || ifnull(position, '-') FROM lecture_history";
        assert_eq!(text(&db, kept), "3APPLIED27-");
        for wrong in ["DELETE FROM lecture_history", "UPDATE lecture_history SET user_id = 'eve'"] {
            assert!(db.execute_batch(wrong).unwrap_err().to_string().contains("never"), "{wrong}");
        }
        let both = "UPDATE applications SET waiting_number = 1";
        assert!(db.execute_batch(both).is_err(), "a user has a place or waits");
    }

    #[test]
    fn prices_are_filled_in_and_rows_still_belong_together() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = of_version(&folder.path().join("sale.db"), REFUNDS - 1);
        db.execute_batch(SOLD).unwrap();
        assert_eq!(migrate(&mut db).unwrap(), STEPS.len() + 1 - REFUNDS);
        for table in ["reservations", "payments"] {
            assert_eq!(text(&db, &format!("SELECT prices FROM {table}")), "[90,200]", "{table}");
        }
        assert_eq!(text(&db, "SELECT count(*) || ' ' || sum(amount) FROM ledger"), "2 590");
        let orphans: Vec<String> = db
            .prepare("PRAGMA foreign_key_check")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(orphans.is_empty(), "{orphans:?}");
        let are_enforced: bool = db.pragma_query_value(None, "foreign_keys", |row| row.get(0)).unwrap();
        assert!(are_enforced, "foreign keys are on again");
        assert!(db.execute("INSERT INTO external_charges VALUES ('pay-2', 'ada', 9, 1, 1, 1)", []).is_err());
        for (prices, error) in [("NULL", "payments.prices"), ("'[]'", "each_seat_of_a_payment_has_a_price")] {
            let unpriced = format!(
                "INSERT INTO payments SELECT randomblob(16), randomblob(16), performance_id, 'ada', '[8]', 90, 1, 1, {prices}
                 FROM performances"
            );
            let found = db.execute(&unpriced, []).unwrap_err().to_string();
            assert!(found.contains(error), "{found}");
        }
    }

    /// A constraint with `IN` and three or more values makes one for each row. SQLite lists the steps of a statement.
    #[test]
    fn no_row_of_a_sale_needs_a_temporary_table() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        for table in ["accounts", "ledger", "places", "turns", "reservations", "seats", "payments", "events"] {
            let columns = text(&db, &format!("SELECT group_concat('?') FROM pragma_table_info('{table}')"));
            let mut explained = db.prepare(&format!("EXPLAIN INSERT INTO {table} VALUES ({columns})")).unwrap();
            let mut rows = explained.raw_query();
            while let Some(row) = rows.next().unwrap() {
                assert_ne!(row.get::<_, String>(1).unwrap(), "OpenEphemeral", "{table}");
            }
        }
        let event = "INSERT INTO events VALUES (1, randomblob(16), 't', 's', 1, 1, '{}', ?1, NULL, NULL)";
        let place = "INSERT INTO places VALUES (x'01', 1, 'ada', randomblob(16), 1, ?1)";
        for (insert, column) in [(event, "state"), (place, "standing")] {
            let error = db.execute(insert, ["LOST"]).unwrap_err().to_string();
            assert!(error.contains(&format!("CHECK constraint failed: {column} = ")), "{error}");
        }
        assert_eq!(db.execute(event, ["DEAD"]).unwrap(), 1);
    }

    #[test]
    fn figures_are_filled_in() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = of_version(&folder.path().join("sale.db"), REFUNDS - 1);
        db.execute_batch(SOLD).unwrap();
        db.execute_batch("PRAGMA foreign_keys = off").unwrap();
        db.execute_batch(STEPS[REFUNDS - 1]).unwrap();
        db.execute_batch(&format!(
            "PRAGMA user_version = {REFUNDS};
            INSERT INTO reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at,
                    held_until, status, prices)
                SELECT x'07000000000000000000000000000000', concert_id, performance_id, 'bob', 2, '[1,3]', 400, 1, 2, 'HELD',
                    '[200,200]' FROM performances;
            INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold)
                SELECT performance_id, value, x'07000000000000000000000000000000', 2, 0 FROM performances, json_each('[1,3]');
            INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, reference, created_at)
                SELECT user_id, 3, x'09000000000000000000000000000000', 'REFUND', 80, 90, payment_id, 1 FROM payments;
            INSERT INTO refunds SELECT x'08000000000000000000000000000000', payment_id, reservation_id, performance_id, user_id,
                '[8]', 80, 10, 'buyer', NULL, 90, 3, 1 FROM payments;"
        ))
        .unwrap();
        migrate(&mut db).unwrap();
        let figures = "SELECT held || ' ' || revenue || ' ' || refunded || ' ' || max_seats FROM performances";
        assert_eq!(text(&db, figures), "2 210 80 4");
        assert_eq!(
            text(&db, "SELECT max_seats || ' ' || (opens_at IS NULL) || (closes_at IS NULL) FROM concerts"),
            "4 11"
        );
        assert!(db.execute("UPDATE concerts SET opens_at = 2, closes_at = 2", []).is_err(), "it closes after it opens");
    }

    /// Damage of an older version must not become a refund of points that were not paid.
    #[test]
    fn prices_that_do_not_give_the_amount_end_the_step() {
        for damage in [
            "UPDATE performances SET sections = replace(sections, '200', '201')",
            "UPDATE performances SET sections = replace(sections, '\"to\":9', '\"to\":7')",
            "UPDATE performances SET sections = replace(sections, '\"from\":1', '\"from\":3')",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut db = of_version(&folder.path().join("sale.db"), REFUNDS - 1);
            db.execute_batch(SOLD).unwrap();
            assert_eq!(db.execute(damage, []).unwrap(), 1);
            let error = migrate(&mut db).expect_err(damage).to_string();
            assert!(error.contains("do not give its amount"), "{damage}: {error}");
            assert_eq!(pending(&db).unwrap(), STEPS.len() + 1 - REFUNDS, "{damage}");
        }
    }

    /// A row that refers to a missing one is found before the commit of a step that makes tables again.
    #[test]
    fn a_row_without_its_parent_ends_the_step() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = of_version(&folder.path().join("sale.db"), REFUNDS - 1);
        db.execute_batch(SOLD).unwrap();
        db.execute_batch(
            "PRAGMA foreign_keys = off; INSERT INTO external_charges VALUES ('pay-9', 'ada', 9, 300, 300, 1);
             PRAGMA foreign_keys = on",
        )
        .unwrap();
        let error = migrate(&mut db).unwrap_err().to_string();
        assert!(error.contains("a row of external_charges refers to a missing row of ledger"), "{error}");
        assert_eq!(pending(&db).unwrap(), STEPS.len() + 1 - REFUNDS);
    }

    /// A process that is killed within the step leaves the log as it is here: without its commit.
    #[test]
    fn a_step_that_is_cut_off_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("sale.db"), folder.path().join("copy.db"));
        let db = of_version(&path, REFUNDS - 1);
        db.execute_batch(SOLD).unwrap();
        db.execute_batch("PRAGMA foreign_keys = off; PRAGMA cache_size = 2; PRAGMA cache_spill = 1; BEGIN IMMEDIATE")
            .unwrap();
        let log = |path: &Path| std::fs::metadata(format!("{}-wal", path.display())).unwrap().len();
        let before = log(&path);
        db.execute_batch(STEPS[REFUNDS - 1]).unwrap();
        // The small cache makes SQLite write pages of the open transaction to the log: else nothing would be cut off.
        assert!(log(&path) > before, "nothing of the step is on the disk yet");
        // As the disk has it at this moment.
        for end in ["", "-wal"] {
            let of = |path: &Path| format!("{}{end}", path.display());
            std::fs::copy(of(&path), of(&copy)).unwrap();
        }
        let mut cut = open(&copy);
        assert_eq!(text(&cut, "SELECT count(*) || ' ' || max(seats) FROM reservations"), "1 [8,2]");
        assert_eq!(pending(&cut).unwrap(), STEPS.len() + 1 - REFUNDS);
        migrate(&mut cut).unwrap();
        assert_eq!(text(&cut, "SELECT prices FROM reservations"), "[90,200]");
    }
}
