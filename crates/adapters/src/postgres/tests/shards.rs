//! Checks that each statement of a sale stays within one shard, if a distributed Postgres splits the tables by the keys below.

use crate::postgres::writer;

/// Tables that are split by the same key. A performance never changes its concert.
const SHARDS: &[(&str, &[&str])] = &[
    ("user", &["accounts", "ledger"]),
    ("lecture", &["lectures", "applications", "freed_seats", "waiting_blocks", "lecture_history"]),
    (
        "concert",
        &[
            "concerts",
            "rooms",
            "places",
            "turns",
            "turn_ends",
            "place_disputes",
            "draws",
            "performances",
            "hold_extensions",
            "reservations",
            "seats",
            "payments",
            "refunds",
            "refunded_seats",
            "cancellations",
            "failed_refunds",
            "void_tickets",
            "check_ins",
            "layouts",
            "codes",
            "code_uses",
            "leavings",
        ],
    ),
    ("subject", &["events"]),
    ("owner", &["kept_answers"]),
    ("external id", &["external_charges"]),
    ("instance", &["instance_figures"]),
    ("ended session", &["ended_sessions"]),
    ("staff", &["staff_keys", "staff_directory", "staff_key_uses", "staff_sessions", "admin_log"]),
];

/// The keys by which the tables of a statement are split.
fn shards_of(sql: &str) -> Vec<&'static str> {
    let words: Vec<&str> = sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let follows = |word: &str| matches!(word, "FROM" | "JOIN" | "INTO" | "UPDATE" | "USING");
    let tables = words.windows(2).filter(|pair| follows(pair[0])).map(|pair| pair[1]);
    let shard_of = |table: &str| SHARDS.iter().find(|(_, tables)| tables.contains(&table)).map(|(shard, _)| *shard);
    let mut shards: Vec<&str> = tables.filter_map(shard_of).collect();
    shards.sort_unstable();
    shards.dedup();
    shards
}

#[test]
fn no_statement_of_a_sale_joins_across_shards() {
    // Without the first group: BEGIN, COMMIT and the like name no table.
    for sql in writer::STATEMENTS[1..].concat() {
        let shards = shards_of(sql);
        assert!(shards.len() <= 1, "{shards:?}: {sql}");
        let names_no_table = ["pg_locks", "pg_advisory_xact_lock"].iter().any(|name| sql.contains(name));
        assert!(!shards.is_empty() || names_no_table, "no known table in {sql}");
    }
    let across = "UPDATE accounts SET balance = 0 FROM seats JOIN payments USING (performance_id)";
    assert_eq!(shards_of(across), ["concert", "user"], "the test sees a join across shards");
}
