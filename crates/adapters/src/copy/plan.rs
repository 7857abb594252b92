//! Pairs the tables of two databases: what is read, what is written, and in which order.

use super::rules::{CORRECTED, ONLY_IN, ORDER, OWN_TABLES, ROWS};
use super::{Column, Database, Table};

/// One table of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name, the same in both databases.
    pub table: String,
    /// The statement that reads its rows, in the source's SQL.
    pub select: String,
    /// The columns of the target that get the values, in the order of the statement.
    pub columns: Vec<String>,
}

/// A difference of two schemas without a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRule {
    /// A table that only one of them has.
    #[error(
        "the table {0} is only in one of the two databases, and crates/adapters/src/copy/rules.rs has no rule for it"
    )]
    Table(String),
    /// A column that only one of them has.
    #[error("{0}.{1} is only in one of the two databases, and crates/adapters/src/copy/rules.rs has no rule for it")]
    Column(String, String),
    /// A column whose types do not fit.
    #[error("{table}.{column} is {from} in one database and {to} in the other, and copies have no rule for that")]
    Types {
        /// Name of the table, the same in both databases.
        table: String,
        /// Name of the column, the same in both databases.
        column: String,
        /// The type in the source.
        from: String,
        /// The type in the target.
        to: String,
    },
}

/// The steps of a copy, in the order of the target's tables.
///
/// # Errors
/// [`NoRule`] for the first difference that no rule explains.
pub fn plan(from: (Database, &[Table]), to: (Database, &[Table])) -> Result<Vec<Step>, NoRule> {
    let is_own = |database: Database, table: &Table| OWN_TABLES.contains(&(database, table.name.as_str()));
    let (have, want): (Vec<&Table>, Vec<&Table>) = (
        from.1.iter().filter(|table| !is_own(from.0, table)).collect(),
        to.1.iter().filter(|table| !is_own(to.0, table)).collect(),
    );
    if let Some(extra) = have.iter().find(|table| !want.iter().any(|other| other.name == table.name)) {
        return Err(NoRule::Table(extra.name.clone()));
    }
    let steps = want.into_iter().map(|table| {
        let source = have.iter().find(|other| other.name == table.name);
        pair(from.0, source.ok_or_else(|| NoRule::Table(table.name.clone()))?, to.0, table)
    });
    steps.collect()
}

/// The step of one table.
fn pair(from: Database, source: &Table, to: Database, target: &Table) -> Result<Step, NoRule> {
    let name = &target.name;
    let no_rule = |column: &Column| NoRule::Column(name.clone(), column.name.clone());
    let only_in = |database: Database, column: &Column| {
        ONLY_IN.iter().find(|only| (only.database, only.table, only.column) == (database, name, &column.name))
    };
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for column in target.columns.iter().filter(|column| !column.is_generated) {
        let value = match source.columns.iter().find(|other| other.name == column.name) {
            Some(other) => {
                check_types(name, other, column)?;
                Some(read(from, name, other))
            }
            None => only_in(to, column).ok_or_else(|| no_rule(column))?.filled.map(str::to_owned),
        };
        if let Some(value) = value {
            columns.push(column.name.clone());
            values.push(value);
        }
    }
    for column in source.columns.iter().filter(|column| !column.is_generated) {
        let is_wanted = target.columns.iter().any(|other| other.name == column.name);
        if !is_wanted && only_in(from, column).is_none() {
            return Err(no_rule(column));
        }
    }
    let find = |rules: &[(Database, &str, &'static str)]| {
        rules.iter().find(|(database, table, _)| (*database, *table) == (from, name)).map(|(_, _, sql)| *sql)
    };
    let rows = find(ROWS).map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
    let key = source.key.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let order = find(ORDER).map_or(key, str::to_owned);
    let order = if order.is_empty() { order } else { format!(" ORDER BY {order}") };
    let select = format!("SELECT {} FROM {}{rows}{order}", values.join(", "), quoted(name));
    Ok(Step { table: name.clone(), select, columns })
}

/// The expression that reads a column.
fn read(from: Database, table: &str, column: &Column) -> String {
    let is_it = |(database, of, name, _): &&(Database, &str, &str, &str)| {
        (*database, *of, *name) == (from, table, column.name.as_str())
    };
    CORRECTED.iter().find(is_it).map_or_else(|| quoted(&column.name), |(.., sql)| (*sql).to_owned())
}

fn check_types(table: &str, from: &Column, to: &Column) -> Result<(), NoRule> {
    if from.kind.is_some() && from.kind == to.kind {
        return Ok(());
    }
    Err(NoRule::Types {
        table: table.to_owned(),
        column: to.name.clone(),
        from: from.declared.clone(),
        to: to.declared.clone(),
    })
}

/// A name of a table or column, which may be a word of SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn table(name: &str, columns: &[(&str, Option<Kind>)]) -> Table {
        let column = |(name, kind): &(&str, Option<Kind>)| Column {
            name: (*name).to_owned(),
            declared: format!("{kind:?}"),
            kind: *kind,
            is_generated: *name == "computed",
        };
        let key = columns.first().map(|(name, _)| (*name).to_owned()).into_iter().collect();
        Table { name: name.to_owned(), columns: columns.iter().map(column).collect(), key }
    }

    fn between(from: &[Table], to: &[Table]) -> Result<Vec<Step>, NoRule> {
        plan((Database::Sqlite, from), (Database::Postgres, to))
    }

    const NUMBER: Option<Kind> = Some(Kind::Integer);

    #[test]
    fn every_difference_needs_a_rule() {
        let rooms = table("rooms", &[("concert_id", NUMBER), ("version", NUMBER)]);
        let known = table("rooms", &[("concert_id", NUMBER), ("version", NUMBER), ("stated_version", NUMBER)]);
        let other = table("rooms", &[("concert_id", NUMBER), ("version", NUMBER), ("mood", NUMBER)]);
        let column = NoRule::Column("rooms".to_owned(), "mood".to_owned());
        assert_eq!(between(std::slice::from_ref(&rooms), std::slice::from_ref(&other)), Err(column.clone()));
        assert_eq!(between(&[other], std::slice::from_ref(&rooms)), Err(column));
        let moods = NoRule::Table("moods".to_owned());
        let (one, two) = ([rooms.clone()], [rooms.clone(), table("moods", &[("mood", NUMBER)])]);
        assert_eq!(between(&one, &two), Err(moods.clone()));
        assert_eq!(between(&two, &one), Err(moods));

        let steps = between(&[rooms], &[known]).unwrap();
        assert_eq!(steps[0].columns, ["concert_id", "version", "stated_version"]);
        assert_eq!(steps[0].select, r#"SELECT "concert_id", "version", version FROM "rooms" ORDER BY "concert_id""#);
    }

    #[test]
    fn columns_of_other_types_are_refused_and_computed_ones_left_out() {
        let of = |kind| [table("seats", &[("seat", NUMBER), ("price", kind), ("computed", NUMBER)])];
        assert!(matches!(between(&of(NUMBER), &of(Some(Kind::Text))), Err(NoRule::Types { .. })));
        assert!(matches!(between(&of(None), &of(None)), Err(NoRule::Types { .. })), "a type without a rule");
        let own = table("event_positions", &[("added", NUMBER)]);
        let [seats] = of(NUMBER);
        let steps = between(std::slice::from_ref(&seats), &[own, seats.clone()]).unwrap();
        assert_eq!(steps.len(), 1, "what is only there for Postgres is left out");
        assert_eq!(steps[0].columns, ["seat", "price"]);
    }
}
