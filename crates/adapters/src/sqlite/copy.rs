//! A file as the source or the target of a copy.
//!
//! The target is filled in one transaction with a rollback journal. The file is empty before, so new pages need no journal: each
//! is written once, straight into the file. A process that is killed leaves the journal, by which the next one empties the file
//! again. With a write-ahead log, all rows would be written twice, and the log would be as long as the file.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter};
use tokio::sync::mpsc::{Receiver, Sender};

use super::lock::Lock;
use super::outbox::live_relays;
use super::values::Sql;
use super::{OpenError, migrate_locked, place, schema};
use crate::copy::plan::{Step, quoted};
use crate::copy::{Batch, Batches, Column, CopyError, Database, Kind, Source, Table, Target, Value};

/// The page cache of a copy, in KiB. Also the memory in which an index is sorted before it goes to a temporary file.
const CACHE_KIB: u32 = 65_536;

/// How long a lock of another connection is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the relays of a source may take to end: one that was killed counts as alive for 4 s.
const RELAYS_END_WITHIN: Duration = Duration::from_secs(8);

/// The time between two checks of the relays of the source.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A connection that blocking tasks use one after another.
type Shared = Arc<Mutex<Connection>>;

/// A file that a sale is copied from. No server can start on it and no other process can write to it while this exists.
pub struct SqliteSource {
    db: Shared,
    _lock: Lock,
}

impl SqliteSource {
    /// Opens a file, and waits for at most 8 seconds until its relays have stopped. Changes nothing in it.
    ///
    /// # Errors
    /// [`CopyError::InUse`] if a relay or a consumer works on it; [`OpenError::InUse`] if a server does; other [`OpenError`]s if it
    /// is missing, cannot be used, or has another schema than this binary's.
    pub async fn open(path: &Path) -> Result<Self, CopyError> {
        let path = place::resolve(path)?;
        if !path.exists() {
            return Err(OpenError::Missing.into());
        }
        schema::refuse_foreign(&path)?;
        let lock = Lock::take(&path)?;
        let db = connect(&path)?;
        if schema::pending(&db)? > 0 {
            return Err(OpenError::OlderSchema.into());
        }
        let asked = Instant::now();
        while live_relays(&db).map_err(CopyError::failed)? > 0 {
            if asked.elapsed() > RELAYS_END_WITHIN {
                return Err(CopyError::InUse("a relay or a consumer sends its events".to_owned()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // The lock of writers, without a write: it keeps out every process, also one that takes no lock file.
        db.execute_batch("BEGIN IMMEDIATE").map_err(CopyError::failed)?;
        Ok(Self { db: Arc::new(Mutex::new(db)), _lock: lock })
    }
}

#[async_trait]
impl Source for SqliteSource {
    fn database(&self) -> Database {
        Database::Sqlite
    }

    async fn tables(&mut self) -> Result<Vec<Table>, CopyError> {
        tables(&self.db.lock()).map_err(CopyError::failed)
    }

    async fn read(&mut self, step: &Step, rows: Sender<Batch>) -> Result<(), CopyError> {
        let (db, select) = (self.db.clone(), step.select.clone());
        let done = blocking(move || send(&db.lock(), &select, &rows)).await?;
        done.map_err(|error| CopyError::of_table(&step.table, error))
    }
}

/// Sends the rows of a statement, until the last or until the receiver is gone.
fn send(db: &Connection, select: &str, rows: &Sender<Batch>) -> Sql<()> {
    let mut statement = db.prepare(select)?;
    let width = statement.column_count();
    let mut found = statement.query([])?;
    let mut batches = Batches::new();
    while let Some(row) = found.next()? {
        let values = (0..width).map(|column| row.get_ref(column).and_then(value)).collect::<Sql<Vec<Value>>>()?;
        if let Some(batch) = batches.add(values)
            && rows.blocking_send(batch).is_err()
        {
            return Ok(());
        }
    }
    // If this fails, the writer has failed, and its error counts.
    let _ = rows.blocking_send(batches.take());
    Ok(())
}

fn value(stored: ValueRef<'_>) -> Sql<Value> {
    Ok(match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Text(_) => Value::Text(stored.as_str()?.to_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Real(_) => return Err(super::values::broken(0, "a number that is not whole")),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> Sql<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A file that a sale is copied into.
pub struct SqliteTarget {
    db: Shared,
    /// The indexes and triggers that are made when all rows are there.
    later: Vec<String>,
    _lock: Lock,
}

impl SqliteTarget {
    /// Makes the file if it does not exist, and begins the transaction. An empty file may have an older schema.
    ///
    /// # Errors
    /// [`CopyError::NotEmpty`]; [`OpenError::InUse`] if a server works on it; other [`OpenError`]s if it cannot be used.
    pub async fn open(path: &Path) -> Result<Self, CopyError> {
        let path = place::resolve(path)?;
        schema::refuse_foreign(&path)?;
        let lock = Lock::take(&path)?;
        // Before the schema is changed: a file with a sale stays as it is.
        if path.exists() {
            let db = connect(&path)?;
            schema::pending(&db)?;
            check_empty(&db)?;
        }
        migrate_locked(&path)?;
        let db = connect(&path)?;
        let begin =
            "PRAGMA journal_mode = delete; PRAGMA synchronous = full; PRAGMA foreign_keys = off; BEGIN EXCLUSIVE";
        db.execute_batch(begin).map_err(CopyError::failed)?;
        // Again under the lock of the transaction.
        check_empty(&db)?;
        let later = prepare(&db).map_err(CopyError::failed)?;
        Ok(Self { db: Arc::new(Mutex::new(db)), later, _lock: lock })
    }
}

/// Drops indexes and triggers, and deletes the rows that a new schema has. Returns the statements that make the indexes and
/// triggers again. An index that is sorted at the end takes a fraction of the time and is as good.
fn prepare(db: &Connection) -> Sql<Vec<String>> {
    let found = "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL
        ORDER BY type, name";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found = db.prepare(found)?.query_map([], read)?.collect::<Sql<Vec<(String, String, String)>>>()?;
    for (kind, name, _) in &found {
        db.execute_batch(&format!("DROP {kind} {}", quoted(name)))?;
    }
    for table in tables(db)? {
        db.execute_batch(&format!("DELETE FROM {}", quoted(&table.name)))?;
    }
    Ok(found.into_iter().map(|(_, _, sql)| sql).collect())
}

#[async_trait]
impl Target for SqliteTarget {
    fn database(&self) -> Database {
        Database::Sqlite
    }

    async fn tables(&mut self) -> Result<Vec<Table>, CopyError> {
        // In any order: foreign keys are off, and checked at the end.
        tables(&self.db.lock()).map_err(CopyError::failed)
    }

    async fn write(&mut self, step: &Step, mut rows: Receiver<Batch>) -> Result<(), CopyError> {
        let (db, insert) = (self.db.clone(), insert(step));
        let done = blocking(move || {
            let db = db.lock();
            let mut insert = db.prepare(&insert)?;
            while let Some(Batch(rows)) = rows.blocking_recv() {
                for row in rows {
                    insert.execute(params_from_iter(row))?;
                }
            }
            Ok::<_, rusqlite::Error>(())
        });
        done.await?.map_err(|error| CopyError::of_table(&step.table, error))
    }

    async fn commit(self: Box<Self>) -> Result<(), CopyError> {
        blocking(move || {
            let db = self.db.lock();
            for sql in &self.later {
                db.execute_batch(sql).map_err(CopyError::failed)?;
            }
            check_references(&db)?;
            db.execute_batch("COMMIT").map_err(CopyError::failed)
        })
        .await?
    }
}

fn insert(step: &Step) -> String {
    let columns: Vec<String> = step.columns.iter().map(|column| quoted(column)).collect();
    let places = vec!["?"; columns.len()].join(", ");
    format!("INSERT INTO {} ({}) VALUES ({places})", quoted(&step.table), columns.join(", "))
}

/// Checks that each row that refers to another one finds it.
fn check_references(db: &Connection) -> Result<(), CopyError> {
    let first = |db: &Connection| {
        let mut broken = db.prepare("SELECT \"table\", parent FROM pragma_foreign_key_check LIMIT 1")?;
        let mut rows = broken.query([])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok::<_, rusqlite::Error>(Some((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
    };
    match first(db).map_err(CopyError::failed)? {
        Some((table, parent)) => {
            Err(CopyError::of_table(&table, format!("a row refers to one of {parent} that is missing")))
        }
        None => Ok(()),
    }
}

/// Opens a connection without any change of the file.
fn connect(path: &Path) -> Result<Connection, CopyError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(OpenError::from)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(CopyError::failed)?;
    db.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}")).map_err(OpenError::from)?;
    Ok(db)
}

/// Checks that no table has rows, except those that a new schema has.
fn check_empty(db: &Connection) -> Result<(), CopyError> {
    let seeded = seeded_tables()?;
    for Table { name, .. } in tables(db).map_err(CopyError::failed)? {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&name));
        let has_rows: bool = db.query_row(&sql, [], |row| row.get(0)).map_err(CopyError::failed)?;
        if has_rows && !seeded.contains(&name) {
            return Err(CopyError::NotEmpty(name));
        }
    }
    Ok(())
}

/// The tables that have rows in a new database, SQLite's or Postgres's.
///
/// # Errors
/// If there is no memory for a small database.
pub(crate) fn seeded_tables() -> Result<Vec<String>, CopyError> {
    let mut db = Connection::open_in_memory().map_err(OpenError::from)?;
    schema::migrate(&mut db)?;
    let has_rows = |table: &Table| {
        db.query_row(&format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&table.name)), [], |row| row.get(0))
    };
    let mut seeded = Vec::new();
    for table in tables(&db).map_err(OpenError::from)? {
        if has_rows(&table).map_err(OpenError::from)? {
            seeded.push(table.name);
        }
    }
    Ok(seeded)
}

/// All tables of the file with their columns.
fn tables(db: &Connection) -> Sql<Vec<Table>> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name";
    let names = db.prepare(names)?.query_map([], |row| row.get(0))?.collect::<Sql<Vec<String>>>()?;
    names.into_iter().map(|name| table(db, name)).collect()
}

fn table(db: &Connection, name: String) -> Sql<Table> {
    let mut info = db.prepare("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid")?;
    let mut rows = info.query([&name])?;
    let (mut columns, mut key) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let (place, hidden): (i64, i64) = (row.get(2)?, row.get(3)?);
        if place > 0 {
            key.push((place, name.clone()));
        }
        let kind = kind_of(&declared);
        columns.push(Column { name, declared, kind, is_generated: hidden != 0 });
    }
    key.sort_unstable();
    Ok(Table { name, columns, key: key.into_iter().map(|(_, column)| column).collect() })
}

fn kind_of(declared: &str) -> Option<Kind> {
    match declared {
        "INTEGER" | "INT" => Some(Kind::Integer),
        "TEXT" => Some(Kind::Text),
        "BLOB" => Some(Kind::Blob),
        _ => None,
    }
}

/// Runs work that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CopyError> {
    tokio::task::spawn_blocking(work).await.map_err(CopyError::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that is killed leaves the file and its journal as they are here.
    #[tokio::test]
    async fn a_copy_that_is_cut_off_leaves_an_empty_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, cut) = (folder.path().join("target.db"), folder.path().join("cut.db"));
        let target = SqliteTarget::open(&path).await.unwrap();
        {
            let db = target.db.lock();
            // A cache of some pages, so that most rows are in the file already.
            db.execute_batch("PRAGMA cache_size = 4; PRAGMA cache_spill = 1").unwrap();
            let rows = "WITH RECURSIVE line (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM line WHERE n < 50000)
                INSERT INTO deliveries SELECT unhex(printf('%032d', n)), n FROM line";
            assert_eq!(db.execute(rows, []).unwrap(), 50_000);
        }
        for end in ["", "-journal"] {
            std::fs::copy(format!("{}{end}", path.display()), format!("{}{end}", cut.display())).unwrap();
        }
        let pages = |path: &Path| std::fs::metadata(path).unwrap().len() / 4_096;
        let before = pages(&cut);
        // Refused if any row were there.
        drop(SqliteTarget::open(&cut).await.unwrap());
        assert!(before > pages(&cut) + 20, "the file had rows: {before} pages, now {}", pages(&cut));
        drop(target);
        assert!(SqliteSource::open(&path).await.is_ok(), "the file is that of an empty sale");
    }

    #[tokio::test]
    async fn a_file_in_use_or_with_rows_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sale.db");
        assert!(matches!(SqliteSource::open(&path).await, Err(CopyError::File(OpenError::Missing))));
        let target = SqliteTarget::open(&path).await.unwrap();
        assert!(matches!(SqliteSource::open(&path).await, Err(CopyError::File(OpenError::InUse))));
        assert!(matches!(SqliteTarget::open(&path).await, Err(CopyError::File(OpenError::InUse))));
        drop(target);
        Connection::open(&path).unwrap().execute("INSERT INTO secrets VALUES ('s', x'00')", []).unwrap();
        assert!(matches!(SqliteTarget::open(&path).await, Err(CopyError::NotEmpty(table)) if table == "secrets"));
    }
}
