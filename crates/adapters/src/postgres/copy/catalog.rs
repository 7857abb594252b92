//! The tables of a schema as its server reports them.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::super::values::Sql;
use super::values::kind_of;
use crate::copy::{Column, Table};

const COLUMNS: &str =
    "SELECT class.relname::text, attname::text, atttypid, atttypid::regtype::text, attgenerated <> '',
        (SELECT place::bigint FROM pg_index, unnest(indkey) WITH ORDINALITY part (number, place)
            WHERE indrelid = class.oid AND indisprimary AND part.number = attnum)
    FROM pg_class class JOIN pg_attribute ON attrelid = class.oid
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
    ORDER BY class.relname, attnum";

/// Pairs of tables: rows of the first refer to rows of the second.
const REFERENCES: &str = "SELECT child.relname::text, parent.relname::text FROM pg_constraint
        JOIN pg_class child ON child.oid = conrelid JOIN pg_class parent ON parent.oid = confrelid
    WHERE contype = 'f' AND child.relnamespace = current_schema()::regnamespace AND conrelid <> confrelid";

/// All tables, each after those that its rows refer to.
pub(super) async fn tables(client: &Client) -> Sql<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    let mut keys: Vec<(String, i64, String)> = Vec::new();
    for row in client.query(COLUMNS, &[]).await? {
        let (table, column): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(place) = row.try_get::<_, Option<i64>>(5)? {
            keys.push((table.clone(), place, column.clone()));
        }
        if tables.last().is_none_or(|last| last.name != table) {
            tables.push(Table { name: table, columns: Vec::new(), key: Vec::new() });
        }
        let kind = Type::from_oid(row.try_get(2)?).as_ref().and_then(kind_of);
        let column = Column { name: column, declared: row.try_get(3)?, kind, is_generated: row.try_get(4)? };
        tables.iter_mut().next_back().into_iter().for_each(|last| last.columns.push(column.clone()));
    }
    keys.sort_unstable();
    for (table, _, column) in keys {
        tables.iter_mut().filter(|other| other.name == table).for_each(|other| other.key.push(column.clone()));
    }
    let mut references = BTreeSet::new();
    for row in client.query(REFERENCES, &[]).await? {
        references.insert((row.try_get(0)?, row.try_get(1)?));
    }
    Ok(parents_first(tables, &references))
}

/// Puts each table after those that its rows refer to. Tables that refer to each other in a circle stay at the end.
fn parents_first(mut left: Vec<Table>, references: &BTreeSet<(String, String)>) -> Vec<Table> {
    let mut sorted: Vec<Table> = Vec::new();
    loop {
        let waits = |table: &Table| {
            let mut parents = references.iter().filter(|(child, _)| *child == table.name);
            parents.any(|(_, parent)| left.iter().any(|other| other.name == *parent))
        };
        let Some(next) = left.iter().position(|table| !waits(table)) else { break };
        sorted.push(left.remove(next));
    }
    sorted.extend(left);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_their_children() {
        let table = |name: &str| Table { name: name.to_owned(), columns: Vec::new(), key: Vec::new() };
        let refers = [("accounts", "zones"), ("mails", "accounts"), ("x", "y"), ("y", "x")];
        let refers = refers.iter().map(|(child, parent)| ((*child).to_owned(), (*parent).to_owned())).collect();
        let tables = ["accounts", "mails", "x", "y", "zones"].map(table);
        let sorted: Vec<String> = parents_first(tables.into(), &refers).into_iter().map(|table| table.name).collect();
        assert_eq!(sorted, ["zones", "accounts", "mails", "x", "y"]);
    }
}
