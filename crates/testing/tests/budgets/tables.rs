//! The diagrams of tables in docs/design/data.md show the tables and columns of the migrations.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::sources::{all, root};

/// Tables with their columns.
type Tables = BTreeMap<String, BTreeSet<String>>;

/// The tables that these migrations leave, in the order in which they run.
fn migrated(migrations: &str) -> Tables {
    let comment = Regex::new(r"--.*").unwrap();
    let sql = comment.replace_all(migrations, "");
    let statement = Regex::new(r"(?s)(CREATE|ALTER) TABLE (\w+)\s+(.*?);").unwrap();
    let body = Regex::new(r"(?s)^\((.*?)\n\)").unwrap();
    let column = Regex::new(r"(?m)^ {4}([a-z_]+) +[A-Za-z]+").unwrap();
    let change = Regex::new(r"(ADD|DROP|RENAME) COLUMN (\w+)(?: TO (\w+))?").unwrap();
    let renamed = Regex::new(r"^RENAME TO (\w+)").unwrap();
    let mut tables = Tables::new();
    for found in statement.captures_iter(&sql) {
        let (name, rest) = (found[2].to_owned(), &found[3]);
        if &found[1] == "CREATE" {
            let Some(body) = body.captures(rest) else { continue };
            tables.insert(name, column.captures_iter(&body[1]).map(|found| found[1].to_owned()).collect());
        } else if let Some(renamed) = renamed.captures(rest) {
            // A table that is made again under another name, and then takes the place of the first.
            let columns = tables.remove(&name).unwrap_or_default();
            tables.insert(renamed[1].to_owned(), columns);
        } else {
            for change in change.captures_iter(rest) {
                let own = tables.entry(name.clone()).or_default();
                if &change[1] != "ADD" {
                    own.remove(&change[2]);
                }
                let new = if &change[1] == "RENAME" { change.get(3) } else { change.get(2) };
                own.extend(new.filter(|_| &change[1] != "DROP").map(|new| new.as_str().to_owned()));
            }
        }
    }
    tables
}

/// The tables of a document's entity diagrams, with the columns that they show.
fn drawn(document: &str) -> Tables {
    let entity = Regex::new(r"(?m)^ {4}(\w+) \{\n((?: {8}.*\n)+) {4}\}").unwrap();
    let column = Regex::new(r"(?m)^ {8}\w+ (\w+)").unwrap();
    entity
        .captures_iter(document)
        .map(|found| (found[1].to_owned(), column.captures_iter(&found[2]).map(|name| name[1].to_owned()).collect()))
        .collect()
}

/// The migrations of a database, joined in the order of their numbers.
fn migrations(database: &str) -> String {
    let folder = format!("crates/adapters/src/{database}/migrations/");
    let files = all().into_iter().filter(|name| name.starts_with(&folder) && name.ends_with(".sql"));
    files.map(|name| std::fs::read_to_string(root().join(name)).unwrap() + "\n").collect()
}

#[test]
fn the_diagrams_show_the_tables_of_the_migrations() {
    let document = std::fs::read_to_string(root().join("docs/design/data.md")).unwrap();
    let (drawn, tables) = (drawn(&document), migrated(&migrations("postgres")));
    assert!(drawn.len() > 15, "only {drawn:?}");
    for (name, columns) in &drawn {
        assert_eq!(Some(columns), tables.get(name), "the columns of {name} in the diagram, and in the migrations");
    }
    let missing: Vec<&String> = tables.keys().filter(|name| !document.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "docs/design/data.md does not name {missing:?}");
}

/// Columns that only one database has. The document explains them.
const ONLY_POSTGRES: [(&str, &[&str]); 9] = [
    ("event_positions", &["added", "only_row"]),
    ("events", &["topic"]),
    ("instance_figures", &["instance_id", "seen_at", "viewed_at", "figures"]),
    ("leavings", &["token_id", "concert_id", "user_id", "place", "issued_at", "asked_at", "leaves_at"]),
    ("lectures", &["written_version"]),
    ("performances", &["known_version", "noted_version", "revised_at"]),
    ("places", &["given_up_version"]),
    ("rooms", &["stated_version"]),
    ("turns", &["settled_at", "version"]),
];
const ONLY_SQLITE: [(&str, &[&str]); 1] = [("kept_answers", &["position"])];

/// The columns of some tables that other tables lack.
fn only(tables: &Tables, lacking: &Tables) -> Tables {
    let none = BTreeSet::new();
    let difference = |name: &String, columns: &BTreeSet<String>| {
        columns.difference(lacking.get(name).unwrap_or(&none)).cloned().collect::<BTreeSet<String>>()
    };
    let differences = tables.iter().map(|(name, columns)| (name.clone(), difference(name, columns)));
    differences.filter(|(_, columns)| !columns.is_empty()).collect()
}

#[test]
fn both_databases_have_the_same_tables_but_for_what_is_known() {
    let [postgres, sqlite] = ["postgres", "sqlite"].map(|database| migrated(&migrations(database)));
    let known = |list: &[(&str, &[&str])]| -> Tables {
        list.iter()
            .map(|(name, columns)| ((*name).to_owned(), columns.iter().map(|name| (*name).to_owned()).collect()))
            .collect()
    };
    assert_eq!(only(&postgres, &sqlite), known(&ONLY_POSTGRES), "what only Postgres has");
    assert_eq!(only(&sqlite, &postgres), known(&ONLY_SQLITE), "what only SQLite has");
}

#[test]
fn a_table_is_read_with_the_columns_that_were_added_to_it() {
    let sql = "CREATE TABLE a (\n    one   text NOT NULL, -- first\n    two   bigint CHECK (\n        two > 0),\n    PRIMARY KEY (one),
    CHECK (two > 0)\n);\nALTER TABLE a ADD COLUMN three bytea;\nALTER TABLE a\n    ADD COLUMN four text,\n    ADD COLUMN five text;
ALTER TABLE a DROP COLUMN four;\nALTER TABLE a RENAME COLUMN five TO six;\nALTER TABLE a DROP COLUMN six;
CREATE TABLE b (\n    old text\n);\nCREATE TABLE new_b (\n    old text,\n    new text\n);\nALTER TABLE new_b RENAME TO b;\n";
    let expected = Tables::from([("a".to_owned(), ["one", "two", "three"].map(str::to_owned).into())]);
    let mut found = migrated(sql);
    assert_eq!(found.remove("b"), Some(["old", "new"].map(str::to_owned).into()));
    assert_eq!(found, expected);
    assert_eq!(
        drawn("erDiagram\n    a {\n        text one PK\n        bigint two\n        bytea three\n    }\n"),
        expected
    );
}
