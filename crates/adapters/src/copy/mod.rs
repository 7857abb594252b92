//! Copies a whole sale from one database into another: from SQLite to Postgres, back, or to one of the same kind.
//!
//! No list of columns is written by hand. Each database reports its own tables, [`plan`] pairs them, and [`rules`] has the few
//! columns and rows that only one of the two databases has. A table or a column without a counterpart and without a rule is an
//! error, so nothing new can be forgotten.
//!
//! Rows are read and written in batches over a bounded channel: memory does not grow with the sale. The target takes all
//! rows in one transaction. A copy that ends before its commit leaves an empty target.

pub mod plan;
mod rules;

use std::fmt::{self, Debug, Formatter};

use async_trait::async_trait;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{postgres, sqlite};
use plan::{NoRule, Step, plan};

/// Batches between the reader and the writer. Beyond it the reader waits.
const BATCHES_MAX: usize = 4;

/// A batch is passed on with this many rows, or with about this many bytes.
const BATCH_ROWS: usize = 500;
const BATCH_BYTES: usize = 262_144;

/// A long table is reported each time after this many rows.
const REPORT_EVERY: u64 = 500_000;

/// The two kinds of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// SQLite, in one file.
    Sqlite,
    /// A database of a Postgres server.
    Postgres,
}

/// How a column keeps its values while they are between two databases: as SQLite does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers; 0 and 1 for no and yes.
    Integer,
    /// Text; lists of whole numbers as JSON.
    Text,
    /// Bytes; 16 of them for an id.
    Blob,
}

/// A value between two databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    /// About the memory that it takes, in bytes.
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Null | Self::Integer(_) => 0,
                Self::Text(text) => text.len(),
                Self::Blob(bytes) => bytes.len(),
            }
    }
}

/// A row, its values in the order of the columns of a [`Step`].
pub(crate) type Values = Vec<Value>;

/// Some rows of one table.
#[derive(Debug, Default)]
pub struct Batch(pub(crate) Vec<Values>);

/// Sends rows in batches.
#[derive(Debug)]
pub(crate) struct Batches {
    batch: Vec<Values>,
    bytes: usize,
}

impl Batches {
    pub(crate) fn new() -> Self {
        Self { batch: Vec::new(), bytes: 0 }
    }

    /// Adds a row. Returns the batch if it is full.
    pub(crate) fn add(&mut self, row: Values) -> Option<Batch> {
        self.bytes += row.iter().map(Value::bytes).sum::<usize>();
        self.batch.push(row);
        (self.batch.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES).then(|| self.take())
    }

    /// The rows that were added since the last batch.
    pub(crate) fn take(&mut self) -> Batch {
        self.bytes = 0;
        Batch(std::mem::take(&mut self.batch))
    }
}

/// A table as its database reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Name of the table, without its schema.
    pub name: String,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// The names of the columns of its primary key, in the order of the key.
    pub key: Vec<String>,
}

/// A column as its database reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name of the column, unique in its table.
    pub name: String,
    /// The name of its type in its database.
    pub declared: String,
    /// How its values are kept between two databases; `None` if its type has no rule.
    pub kind: Option<Kind>,
    /// The database computes it, so it is never written.
    pub is_generated: bool,
}

/// The database that a sale is copied from. No other process writes to it while this exists.
#[async_trait]
pub trait Source: Send {
    /// Which kind it is.
    fn database(&self) -> Database;

    /// All tables, in one snapshot with all rows that are read later.
    ///
    /// # Errors
    /// If the database does not answer.
    async fn tables(&mut self) -> Result<Vec<Table>, CopyError>;

    /// Sends the rows of a table, and returns when the last was sent, or when the receiver is gone.
    ///
    /// # Errors
    /// If a row cannot be read.
    async fn read(&mut self, step: &Step, rows: Sender<Batch>) -> Result<(), CopyError>;
}

/// The database that a sale is copied into, empty and locked. Without [`Target::commit`] it stays empty.
#[async_trait]
pub trait Target: Send {
    /// Which kind it is.
    fn database(&self) -> Database;

    /// All tables, each after those that its rows refer to.
    ///
    /// # Errors
    /// If the database does not answer.
    async fn tables(&mut self) -> Result<Vec<Table>, CopyError>;

    /// Writes the rows of a table. The end of the channel is the end of the table.
    ///
    /// # Errors
    /// If a row cannot be written. Nothing of the copy is committed then.
    async fn write(&mut self, step: &Step, rows: Receiver<Batch>) -> Result<(), CopyError>;

    /// Checks what the schema promises about rows of different tables, and commits everything.
    ///
    /// # Errors
    /// If a promise is broken, or the commit fails.
    async fn commit(self: Box<Self>) -> Result<(), CopyError>;
}

impl Debug for dyn Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?})", self.database())
    }
}

impl Debug for dyn Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Target({:?})", self.database())
    }
}

/// Why a sale cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] sqlite::OpenError),
    /// The server cannot be used.
    #[error(transparent)]
    Server(#[from] postgres::OpenError),
    /// Other processes have the database open.
    #[error("this database is in use: {0}; stop every onsale that works on it (serve, relay, consume), then copy")]
    InUse(String),
    /// The target has rows.
    #[error("this database is not empty: its table {0} has rows; name a new file or an empty database")]
    NotEmpty(String),
    /// The databases differ in a way that has no rule: a defect of this program.
    #[error("{0}; please report it")]
    NoRule(#[from] NoRule),
    /// Rows of a table cannot be read or written.
    #[error("table {table}: {reason}")]
    Table {
        /// The name of the table.
        table: String,
        /// The words of the database.
        reason: String,
    },
    /// The transaction cannot begin or be committed.
    #[error("{0}")]
    Failed(String),
}

impl CopyError {
    /// An error about the rows of a table.
    pub(crate) fn of_table(table: &str, reason: impl fmt::Display) -> Self {
        Self::Table { table: table.to_owned(), reason: reason.to_string() }
    }

    /// An error about the database as a whole.
    pub(crate) fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }
}

/// How far a copy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Name of the table, the same in both databases.
    pub table: String,
    /// Rows of it so far.
    pub rows: u64,
    /// Whether these are all.
    pub is_whole: bool,
}

/// Copies everything, and commits. `report` is called after each table, and in a long one after each 500,000 rows. Returns the
/// number of rows.
///
/// # Errors
/// See [`CopyError`]. The target is empty then, unless the answer to the commit was lost.
pub async fn copy(
    source: &mut dyn Source,
    mut target: Box<dyn Target>,
    mut report: impl FnMut(Progress) + Send,
) -> Result<u64, CopyError> {
    let (have, want) = (source.tables().await?, target.tables().await?);
    let mut rows = 0;
    for step in plan((source.database(), &have), (target.database(), &want))? {
        rows += copy_table(source, &mut *target, &step, &mut report).await?;
    }
    target.commit().await?;
    Ok(rows)
}

/// Copies one table. Returns the number of its rows.
async fn copy_table(
    source: &mut dyn Source,
    target: &mut dyn Target,
    step: &Step,
    report: &mut (impl FnMut(Progress) + Send),
) -> Result<u64, CopyError> {
    let (sender, mut read) = channel(BATCHES_MAX);
    let (pass, written) = channel(BATCHES_MAX);
    let mut progress = Progress { table: step.table.clone(), rows: 0, is_whole: false };
    let passing = async {
        let mut reported = 0;
        while let Some(batch) = read.recv().await {
            let Batch(values) = &batch;
            progress.rows += values.len() as u64;
            // Fails if the writer has failed. The reader then ends too, because its receiver is dropped here.
            if pass.send(batch).await.is_err() {
                break;
            }
            if progress.rows - reported >= REPORT_EVERY {
                reported = progress.rows;
                report(progress.clone());
            }
        }
        drop((read, pass));
    };
    let (read, (), written) = tokio::join!(source.read(step, sender), passing, target.write(step, written));
    // The writer's error first: after one the reader just stops. The writer takes the end of a reader that failed for the end of
    // the table, so its success alone proves nothing.
    written?;
    read?;
    progress.is_whole = true;
    let rows = progress.rows;
    report(progress);
    Ok(rows)
}
