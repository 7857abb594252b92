//! What only one of the two databases has: every difference of their schemas that a copy must know.

use super::Database;

/// Tables that describe one database and not the sale. They are neither read nor written.
pub(super) const OWN_TABLES: &[(Database, &str)] = &[
    (Database::Postgres, "onsale_schema"),
    (Database::Postgres, "event_positions"),
    (Database::Postgres, "instance_figures"),
    (Database::Postgres, "leavings"),
];

/// A column that only one of the two databases has.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnlyIn {
    pub(super) database: Database,
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// Its value for a row of the other database, in that one's SQL; `None` if this database assigns it.
    pub(super) filled: Option<&'static str>,
}

const fn on_postgres(table: &'static str, column: &'static str, filled: &'static str) -> OnlyIn {
    OnlyIn { database: Database::Postgres, table, column, filled: Some(filled) }
}

/// Every column that only one of the two databases has.
///
/// Postgres is shared by instances, which find a change by its version. All rows of a copy were there before any instance
/// started, so the version of their room is right for all of them.
pub(super) const ONLY_IN: &[OnlyIn] = &[
    on_postgres(
        "events",
        "topic",
        "CASE WHEN type GLOB 'onsale.points.*' THEN 'onsale.points' WHEN type GLOB 'onsale.lecture.*' \
         THEN 'onsale.lectures' ELSE 'onsale.concerts' END",
    ),
    on_postgres("lectures", "written_version", "version"),
    on_postgres("performances", "known_version", "version"),
    on_postgres("performances", "noted_version", "version"),
    on_postgres("performances", "revised_at", "CASE WHEN revision > 0 THEN updated_at END"),
    on_postgres(
        "places",
        "given_up_version",
        "CASE standing WHEN 'GIVEN_UP' THEN (SELECT version FROM rooms WHERE rooms.concert_id = places.concert_id) END",
    ),
    on_postgres("rooms", "stated_version", "version"),
    on_postgres("turns", "settled_at", "NULL"),
    on_postgres("turns", "version", "(SELECT version FROM rooms WHERE rooms.concert_id = turns.concert_id)"),
    OnlyIn { database: Database::Sqlite, table: "kept_answers", column: "position", filled: None },
];

/// A column whose value is corrected when it is read: the database, the table, the column, and the expression.
///
/// A Postgres server of schema 10 did not count holds, and left `known_version` behind.
pub(super) const CORRECTED: &[(Database, &str, &str, &str)] = &[
    (
        Database::Postgres,
        "performances",
        "holds",
        "CASE WHEN known_version = version THEN holds ELSE (SELECT count(*)::integer FROM reservations held \
         WHERE held.performance_id = performances.performance_id AND held.status = 'HELD' AND held.held_until > 0) END",
    ),
    (Database::Postgres, "performances", "known_version", "version"),
];

/// Rows that are copied, if not all: the database, the table, and the condition.
///
/// On Postgres a wallet of version 0 is there only to be locked, and a settled turn only to be seen by other instances.
pub(super) const ROWS: &[(Database, &str, &str)] =
    &[(Database::Postgres, "accounts", "version > 0"), (Database::Postgres, "turns", "settled_at IS NULL")];

/// The order in which rows are read, if not by the primary key: that of the target's file.
pub(super) const ORDER: &[(Database, &str, &str)] = &[
    (Database::Postgres, "events", "position"),
    // The oldest answers are deleted first, and SQLite finds them at the lowest positions.
    (Database::Postgres, "kept_answers", "kept_at, owner, key"),
];

#[cfg(test)]
mod tests {
    use onsale_app::event::{EventState, StoredEvent};
    use onsale_domain::ids::EventId;
    use onsale_domain::time::Timestamp;
    use rusqlite::Connection;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_topic_of_a_copied_event_is_the_one_that_it_is_sent_to() {
        let filled = ONLY_IN.iter().find(|rule| rule.column == "topic").unwrap().filled.unwrap();
        let db = Connection::open_in_memory().unwrap();
        for kind in [
            "onsale.points.charged.v1",
            "onsale.lecture.changed.v1",
            "onsale.seats.held.v1",
            "onsale.payment.refunded.v1",
        ] {
            let event = StoredEvent {
                position: 1,
                id: EventId::new(Uuid::nil()),
                kind: kind.to_owned(),
                subject: String::new(),
                version: 1,
                at: Timestamp::from_millis(0),
                data: String::new(),
                state: EventState::Pending,
                reason: None,
                trace: None,
            };
            let sql = format!("SELECT {filled} FROM (SELECT ?1 AS type)");
            let topic: String = db.query_row(&sql, [kind], |row| row.get(0)).unwrap();
            assert_eq!(topic, event.topic(), "{kind}");
        }
    }
}
