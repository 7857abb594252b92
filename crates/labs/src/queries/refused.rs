//! Indexes that were tried and refused, with the numbers that refuse them.

use onsale_load_generator::Outcome;
use onsale_report::{Table, number};

use super::cost::{Change, Copy, percent};
use super::data::column;
use super::indexes::{millis, pair, prepare};
use super::source::{self, Sender, Statement};
use super::stage::Stage;
use super::{Part, Size};

/// An index that was tried, with the statement that it was meant for.
struct Tried {
    table: &'static str,
    /// What follows `CREATE INDEX … ON table`.
    columns: &'static str,
    /// The index that it would replace; empty if it would be one more.
    instead_of: &'static str,
    /// A statement of the code, or a text if the code has no such statement.
    statement: &'static str,
    values: &'static str,
    why: &'static str,
}

const TRIED: &[Tried] = &[
    Tried {
        table: "reservations",
        columns: "(status)",
        instead_of: "reservations_held",
        statement: "concert_reads::LAPSED",
        values: "(1700000300100, 500)",
        why: "finds all holds, also those that have not lapsed, and sorts them",
    },
    Tried {
        table: "reservations",
        columns: "(status)",
        instead_of: "",
        statement: "SELECT count(*), sum(amount) FROM reservations WHERE status = 'PAID'",
        values: "",
        why: "97 % of the rows have the value: reading all rows in their order is as fast, and the planner does that",
    },
    Tried {
        table: "reservations",
        columns: "(performance_id, status)",
        instead_of: "",
        statement: "SELECT count(*) FROM reservations WHERE performance_id = '01900000-0000-7000-a002-000000000001' AND status = 'HELD'",
        values: "",
        why: "no call of the API needs it: the seats of a performance have their own table",
    },
    Tried {
        table: "seats",
        columns: "(sold)",
        instead_of: "",
        statement: "concert_reads::SEATS",
        values: "('01900000-0000-7000-a002-000000000001')",
        why: "seats are found by performance, and nearly all of them have the same value: the planner does not use it",
    },
    Tried {
        table: "reservations",
        columns: "(user_id, reservation_id) INCLUDE (concert_id, performance_id, place, seats, amount, held_at, held_until, status, end_event_id)",
        instead_of: "reservations_by_user",
        statement: "concert_reads::RESERVATIONS_OF",
        values: "('u7', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 20)",
        why: "saves 20 reads of rows that are in memory, and each change of a status writes a wide entry",
    },
    Tried {
        table: "ledger",
        columns: "(user_id, created_at)",
        instead_of: "",
        statement: "wallet::LEDGER",
        values: "('u1', 9223372036854775807, 20)",
        why: "the primary key (user_id, version) already has the order of time",
    },
    Tried {
        table: "events",
        columns: "(at)",
        instead_of: "events_by_time",
        statement: "event::FIRST_SINCE",
        values: "($RECENTLY)",
        why: "a B-tree is faster, and each insert of each sale pays for it; only `onsale events replay` searches by time",
    },
    Tried {
        table: "events",
        columns: "USING brin (position)",
        instead_of: "events_in_order",
        statement: "positions::IS_AHEAD",
        values: "",
        why: "small and cheap, but it has no order: the last position, which each new connection reads, takes a scan of the log",
    },
];

/// Measures each candidate.
///
/// # Errors
/// If a server or a statement fails.
pub(crate) async fn part(stage: &Stage, size: &Size) -> Outcome<Part> {
    let statements = source::statements("postgres")?;
    let head = [
        "index",
        "instead of",
        "statement",
        "ms before",
        "ms after",
        "uses it",
        "MB",
        "inserts/s before",
        "after",
        "WAL bytes a row before",
        "after",
        "HOT % before",
        "after",
    ];
    let (mut table, mut reasons) = (Table::new(head), Table::new(["index", "refused because"]));
    for tried in TRIED {
        let sql = stage.session().await;
        let own;
        let statement = if tried.statement.starts_with("SELECT") {
            let text = tried.statement.to_owned();
            own = Statement { name: "not in the code".to_owned(), text, sender: Sender::Reader, is_format: false };
            &own
        } else {
            source::named(&statements, tried.statement)?
        };
        let prepared = prepare(&sql, statement, &super::with_rows(tried.values, size.rows)).await?;
        sql.batch_execute("BEGIN").await?;
        let before = pair(&sql, &prepared).await?.warm;
        if !tried.instead_of.is_empty() {
            sql.batch_execute(&format!("DROP INDEX {}", tried.instead_of)).await?;
        }
        let create = format!(
            "SET LOCAL enable_seqscan = on; CREATE INDEX lab_tried ON {} {}; ANALYZE {0}",
            tried.table, tried.columns
        );
        sql.batch_execute(&create).await?;
        let after = pair(&sql, &prepared).await?.warm;
        let megabytes = column(&sql, "SELECT round(pg_relation_size('lab_tried') / 1048576.0, 1)").await?;
        sql.batch_execute("ROLLBACK").await?;
        let sql = stage.session().await;
        let copy = Copy::of(&sql, tried.table).await?;
        let (plain, changed) = copy.compare(Change::Add(tried.columns)).await?;
        table.row([
            format!("{} {}", tried.table, short(tried.columns)),
            if tried.instead_of.is_empty() { "–".to_owned() } else { tried.instead_of.to_owned() },
            statement.name.clone(),
            millis(before.millis),
            millis(after.millis),
            if after.paths.contains("lab_tried") { "yes" } else { "no" }.to_owned(),
            megabytes.join(""),
            number(plain.inserts_per_second),
            number(changed.inserts_per_second),
            format!("{:.0}", plain.wal_per_row),
            format!("{:.0}", changed.wal_per_row),
            percent(plain.hot_percent),
            percent(changed.hot_percent),
        ]);
        reasons.row([format!("{} {}", tried.table, short(tried.columns)), tried.why.to_owned()]);
    }
    let text = format!(
        "Warm medians of a statement before and after the index was added, in a transaction that was rolled back. Inserts,\n\
        log and HOT: with the index in addition to all others.\n\n{table}\n{reasons}\n"
    );
    Ok(Part { text, ..Part::default() })
}

/// Columns without a long list of included ones.
fn short(columns: &str) -> String {
    columns.split_once(" INCLUDE (").map_or(columns.to_owned(), |(key, _)| format!("{key} INCLUDE (the rest)"))
}
