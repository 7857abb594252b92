//! What an index costs: inserts, log, disk, and updates that stay on their page (HOT), with the index and without it.

use std::time::Instant;

use onsale_load_generator::Outcome;
use onsale_report::{Table, number};
use onsale_testing::postgres::driver::Client;

use super::data::column;
use super::probes::PROBES;
use super::stage::Stage;
use super::{Part, Size};

/// Rounds of which the median counts, with and without in turns.
const ROUNDS: usize = 3;

/// The largest number of rows that a round inserts, and that it updates.
const INSERTED_MAX: u64 = 20_000;
const UPDATED_MAX: u64 = 2_000;

/// How a sale updates rows: the table, which of its rows, and their new values. Tables that are not here are only inserted into
/// or deleted from.
const UPDATES: &[(&str, &str, &str)] = &[
    (
        "lectures",
        "cancelled_at IS NULL",
        "enrolled = lab.enrolled + 1, version = lab.version + 1, written_version = lab.version + 1, updated_at = lab.updated_at + 1",
    ),
    (
        "performances",
        "true",
        "sold = lab.sold + 1, version = lab.version + 1, noted_version = lab.version + 1, updated_at = lab.updated_at + 1",
    ),
    ("reservations", "status = 'HELD'", "status = 'PAID'"),
    ("places", "standing = 'CURRENT'", "standing = 'REPLACED'"),
    ("turns", "settled_at IS NULL", "seen_at = lab.seen_at + 1, version = lab.version + 1"),
    ("seats", "NOT sold", "sold = true"),
    ("events", "state = 'PENDING'", "state = 'DEAD'"),
    ("dead_letters", "reason IS NOT NULL", "reason = NULL"),
];

/// A change of the indexes of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    None,
    /// The index with this name is dropped.
    Drop(&'a str),
    /// With one more: what follows `ON table`, such as `(status)`.
    Add(&'a str),
}

/// The cost of rows with one set of indexes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) inserts_per_second: f64,
    pub(crate) wal_per_row: f64,
    /// Share of updates that stayed on their page; negative if the table is never updated.
    pub(crate) hot_percent: f64,
}

/// A copy of a table with the same indexes, without a sample of its rows.
pub(crate) struct Copy<'a> {
    sql: &'a Client,
    table: String,
}

impl<'a> Copy<'a> {
    /// Copies a table.
    ///
    /// # Errors
    /// If a statement fails.
    pub(crate) async fn of(sql: &'a Client, table: &str) -> Outcome<Self> {
        let rows: i64 = sql.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get(0);
        let rows = u64::try_from(rows).unwrap_or(0);
        let sampled = INSERTED_MAX.min(rows / 2).max(1);
        let options = format!("SELECT unnest(reloptions) FROM pg_class WHERE oid = '{table}'::regclass");
        let options = column(sql, &options).await?.join(", ");
        let with = if options.is_empty() { String::new() } else { format!("ALTER TABLE lab SET ({options});") };
        let made = format!(
            "DROP TABLE IF EXISTS lab, sample, updated;
            CREATE TEMP TABLE sample AS SELECT ctid AS address, t.* FROM {table} t ORDER BY random() LIMIT {sampled};
            CREATE TABLE lab (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
            {with}
            INSERT INTO lab SELECT * FROM {table} t WHERE NOT EXISTS (SELECT FROM sample WHERE address = t.ctid);
            ALTER TABLE sample DROP COLUMN address;
            ANALYZE sample;"
        );
        sql.batch_execute(&made).await.map_err(|error| format!("{table}: {error:?}"))?;
        let indexes = format!("SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '{table}'::regclass");
        for index in column(sql, &indexes).await? {
            let (head, rest) = index.split_once(&format!(" ON public.{table} ")).ok_or("an index of another form")?;
            let (words, name) = head.rsplit_once(' ').ok_or("an index without a name")?;
            sql.batch_execute(&format!("{words} lab_{name} ON lab {rest}")).await?;
        }
        // Rows keep their addresses: each round is undone.
        let which = UPDATES.iter().find(|(known, ..)| *known == table).map_or("false", |(_, which, _)| which);
        let picked = format!(
            "CREATE TEMP TABLE updated AS
                SELECT ctid AS address FROM lab WHERE {which} ORDER BY random() LIMIT {UPDATED_MAX}"
        );
        sql.batch_execute(&picked).await?;
        sql.batch_execute("VACUUM ANALYZE lab").await?;
        Ok(Self { sql, table: table.to_owned() })
    }

    /// Inserts the sample and updates a part of it with changed indexes, and undoes all of it.
    ///
    /// # Errors
    /// If a statement fails.
    pub(crate) async fn round(&self, change: Change<'_>) -> Outcome<Cost> {
        let sql = self.sql;
        sql.batch_execute("BEGIN").await?;
        match change {
            Change::None => {}
            Change::Drop(index) => sql.batch_execute(&format!("DROP INDEX lab_{index}")).await?,
            Change::Add(columns) => sql.batch_execute(&format!("CREATE INDEX lab_added ON lab {columns}")).await?,
        }
        let before = self.log().await?;
        let began = Instant::now();
        let inserted = sql.execute("INSERT INTO lab SELECT * FROM sample", &[]).await?;
        let seconds = began.elapsed().as_secs_f64();
        let bytes = self.log().await? - before;
        let hot_percent = self.updated().await?;
        sql.batch_execute("ROLLBACK").await?;
        sql.batch_execute("VACUUM lab").await?;
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let rows = inserted as f64;
        Ok(Cost { inserts_per_second: rows / seconds, wal_per_row: bytes / rows, hot_percent })
    }

    /// Bytes of the write-ahead log so far.
    async fn log(&self) -> Outcome<f64> {
        Ok(self.sql.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::float8", &[]).await?.get(0))
    }

    /// Updates some rows as a sale does. Returns the percentage of HOT updates, or -1 if the table is never updated.
    async fn updated(&self) -> Outcome<f64> {
        let Some((.., set)) = UPDATES.iter().find(|(table, ..)| *table == self.table) else { return Ok(-1.0) };
        let update = format!("UPDATE lab SET {set} WHERE ctid = ANY (ARRAY(SELECT address FROM updated))");
        self.sql.batch_execute(&update).await.map_err(|error| format!("{}: {error:?}", self.table))?;
        let counted = "SELECT 100.0 * pg_stat_get_xact_tuples_hot_updated('lab'::regclass)::float8
            / greatest(pg_stat_get_xact_tuples_updated('lab'::regclass), 1)::float8";
        Ok(self.sql.query_one(counted, &[]).await?.get(0))
    }

    /// The medians with and without a change, in turns.
    ///
    /// # Errors
    /// If a statement fails.
    pub(crate) async fn compare(&self, change: Change<'_>) -> Outcome<(Cost, Cost)> {
        let (mut plain, mut changed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            plain.push(self.round(Change::None).await?);
            changed.push(self.round(change).await?);
        }
        Ok((median(&plain), median(&changed)))
    }
}

fn median(rounds: &[Cost]) -> Cost {
    let of = |field: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(field).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Cost {
        inserts_per_second: of(|cost| cost.inserts_per_second),
        wal_per_row: of(|cost| cost.wal_per_row),
        hot_percent: of(|cost| cost.hot_percent),
    }
}

/// A percentage, or a dash if there is none.
pub(crate) fn percent(value: f64) -> String {
    if value < 0.0 { "–".to_owned() } else { format!("{value:.0}") }
}

/// Measures the cost of each index.
///
/// # Errors
/// If a server or a statement fails.
pub(crate) async fn part(stage: &Stage, size: &Size) -> Outcome<Part> {
    let sql = stage.session().await;
    let head = [
        "index",
        "MB",
        "inserts/s with",
        "without",
        "index costs %",
        "WAL bytes a row with",
        "without",
        "HOT % with",
        "without",
    ];
    let mut table = Table::new(head);
    let mut of_table: Option<Copy<'_>> = None;
    for probe in PROBES {
        let known = format!(
            "SELECT relname FROM pg_class WHERE oid = (SELECT indrelid FROM pg_index WHERE indexrelid = '{}'::regclass)",
            probe.index
        );
        let name = column(&sql, &known).await?.pop().ok_or("an index without a table")?;
        let copy = match of_table.take() {
            Some(copy) if copy.table == name => copy,
            _ => Copy::of(&sql, &name).await?,
        };
        let (with, without) = copy.compare(Change::Drop(probe.index)).await?;
        let megabytes = format!("SELECT round(pg_relation_size('{}') / 1048576.0, 1)", probe.index);
        table.row([
            probe.index.to_owned(),
            column(&sql, &megabytes).await?.join(""),
            number(with.inserts_per_second),
            number(without.inserts_per_second),
            format!("{:.0}", (1.0 - with.inserts_per_second / without.inserts_per_second.max(1.0)) * 100.0),
            format!("{:.0}", with.wal_per_row),
            format!("{:.0}", without.wal_per_row),
            percent(with.hot_percent),
            percent(without.hot_percent),
        ]);
        of_table = Some(copy);
    }
    let text = format!(
        "Up to {} rows in one statement into a copy of the table with the other rows ({} ledger entries and the other\n\
        tables in proportion), medians of {ROUNDS} rounds in turns. HOT: updates as a sale makes them that stay on their\n\
        page and touch no index; a dash for tables that are never updated.\n\n{table}\n",
        number(INSERTED_MAX as f64),
        size.rows
    );
    Ok(Part { text, ..Part::default() })
}
