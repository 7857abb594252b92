//! The anomalies and scripts of the truth table: plain SQL that can be pasted into two terminals.

use super::{Anomaly, Script, Step};
use Step::{AtLeast, Run};

/// Both sessions take the same steps.
macro_rules! both {
    ($($step:expr),+ $(,)?) => {{ const STEPS: &[Step] = &[$($step),+]; [STEPS, STEPS] }};
}

const fn script(name: &'static str, steps: [&'static [Step]; 2]) -> Script {
    Script { name, extra: "", steps }
}

const READ: &str = "SELECT n FROM t WHERE id = 1";
const WRITE: &str = "UPDATE t SET n = :read - 70 WHERE id = 1";
const REPEATABLE: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";
const SERIALIZABLE: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";

/// The table, by anomaly.
pub(crate) const ANOMALIES: &[Anomaly] = &[LOST_UPDATE, ABSENT_ROW, WRITE_SKEW, DEADLOCK, FOREIGN_KEY, CLOCK];

/// Reads with this statement, then writes.
macro_rules! read_then_write {
    ($begin:expr, $read:expr) => {
        both![Run($begin), Run($read), AtLeast(70), Run(WRITE), Run("COMMIT")]
    };
}

const LOST_UPDATE: Anomaly = Anomaly {
    name: "lost update",
    about: "two uses of 70 from a balance of 100",
    setup: "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL); INSERT INTO t VALUES (1, 100)",
    judge: "SELECT n = 100 - 70 * :won FROM t WHERE id = 1",
    scripts: &[
        script("none", read_then_write!("BEGIN", READ)),
        script("FOR SHARE", read_then_write!("BEGIN", "SELECT n FROM t WHERE id = 1 FOR SHARE")),
        script("FOR NO KEY UPDATE", read_then_write!("BEGIN", "SELECT n FROM t WHERE id = 1 FOR NO KEY UPDATE")),
        script("FOR UPDATE", read_then_write!("BEGIN", "SELECT n FROM t WHERE id = 1 FOR UPDATE")),
        script("FOR UPDATE NOWAIT", read_then_write!("BEGIN", "SELECT n FROM t WHERE id = 1 FOR UPDATE NOWAIT")),
        script(
            "conditional UPDATE",
            both![
                Run("BEGIN"),
                Run("UPDATE t SET n = n - 70 WHERE id = 1 AND n >= 70 RETURNING n"),
                AtLeast(0),
                Run("COMMIT"),
            ],
        ),
        script("REPEATABLE READ", read_then_write!(REPEATABLE, READ)),
        script("SERIALIZABLE", read_then_write!(SERIALIZABLE, READ)),
        script(
            "advisory lock to the end of the transaction",
            both![
                Run("BEGIN"),
                Run("SELECT pg_advisory_xact_lock(1)"),
                Run(READ),
                AtLeast(70),
                Run(WRITE),
                Run("COMMIT"),
            ],
        ),
        script(
            "advisory lock released before the commit",
            both![
                Run("BEGIN"),
                Run("SELECT pg_advisory_lock(1)"),
                Run(READ),
                AtLeast(70),
                Run(WRITE),
                Run("SELECT pg_advisory_unlock(1)"),
                Run("COMMIT"),
            ],
        ),
    ],
};

const ABSENT_ROW: Anomaly = Anomaly {
    name: "absent row",
    about: "two first charges of 5 to a wallet that has no row yet",
    setup: "CREATE TABLE t (id int NOT NULL, n int NOT NULL)",
    judge: "SELECT count(*) <= 1 AND coalesce(sum(n), 0) = 5 * :won FROM t",
    scripts: &[
        script(
            "FOR UPDATE of a row that is not there",
            both![
                Run("BEGIN"),
                Run("SELECT 0 - count(*) FROM (SELECT 1 FROM t WHERE id = 1 FOR UPDATE) found"),
                AtLeast(0),
                Run("INSERT INTO t VALUES (1, 5)"),
                Run("COMMIT"),
            ],
        ),
        script(
            "SERIALIZABLE",
            both![
                Run(SERIALIZABLE),
                Run("SELECT 0 - count(*) FROM t WHERE id = 1"),
                AtLeast(0),
                Run("INSERT INTO t VALUES (1, 5)"),
                Run("COMMIT"),
            ],
        ),
        Script {
            name: "unique index and ON CONFLICT DO UPDATE",
            extra: "CREATE UNIQUE INDEX ON t (id)",
            steps: both![
                Run("BEGIN"),
                Run("INSERT INTO t VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET n = t.n + 5"),
                Run("COMMIT"),
            ],
        },
        Script {
            name: "unique index, insert an empty row, then FOR UPDATE",
            extra: "CREATE UNIQUE INDEX ON t (id)",
            steps: both![
                Run("BEGIN"),
                Run("INSERT INTO t VALUES (1, 0) ON CONFLICT DO NOTHING"),
                Run("SELECT n FROM t WHERE id = 1 FOR UPDATE"),
                Run("UPDATE t SET n = :read + 5 WHERE id = 1"),
                Run("COMMIT"),
            ],
        },
    ],
};

const COUNT: &str = "SELECT 3 - count(*) FROM t WHERE user_id = 1";

/// Counts the seats of the user after these steps, then takes one more.
macro_rules! count_then_insert {
    ($($before:expr),+) => {
        both![$($before),+, Run(COUNT), AtLeast(0), Run("INSERT INTO t VALUES (2, 1)"), Run("COMMIT")]
    };
}

const WRITE_SKEW: Anomaly = Anomaly {
    name: "write skew",
    about: "at most 4 seats a user over two performances: 3 are held, and both sessions take one more",
    setup: "CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users VALUES (1);
        CREATE TABLE t (performance int NOT NULL, user_id int NOT NULL); CREATE INDEX ON t (user_id);
        INSERT INTO t VALUES (1, 1), (1, 1), (2, 1)",
    judge: "SELECT count(*) <= 4 AND count(*) = 3 + :won FROM t",
    scripts: &[
        script("none", count_then_insert!(Run("BEGIN"))),
        script(
            "FOR UPDATE of the rows that are there",
            both![
                Run("BEGIN"),
                Run("SELECT 3 - count(*) FROM (SELECT 1 FROM t WHERE user_id = 1 FOR UPDATE) held"),
                AtLeast(0),
                Run("INSERT INTO t VALUES (2, 1)"),
                Run("COMMIT"),
            ],
        ),
        script("REPEATABLE READ", count_then_insert!(Run(REPEATABLE))),
        script("SERIALIZABLE", count_then_insert!(Run(SERIALIZABLE))),
        script(
            "FOR NO KEY UPDATE of the user, the parent",
            count_then_insert!(Run("BEGIN"), Run("SELECT id FROM users WHERE id = 1 FOR NO KEY UPDATE")),
        ),
        script("advisory lock", count_then_insert!(Run("BEGIN"), Run("SELECT pg_advisory_xact_lock(1)"))),
        script(
            "advisory lock inside REPEATABLE READ",
            count_then_insert!(Run(REPEATABLE), Run("SELECT pg_advisory_xact_lock(1)")),
        ),
    ],
};

/// Locks two seats, one after the other, and takes both.
macro_rules! take_two {
    ($first:literal, $second:literal) => {{
        const STEPS: &[Step] = &[
            Run("BEGIN"),
            Run(concat!("SELECT n FROM t WHERE id = ", $first, " FOR UPDATE")),
            AtLeast(1),
            Run(concat!("SELECT n FROM t WHERE id = ", $second, " FOR UPDATE")),
            AtLeast(1),
            Run("UPDATE t SET n = 0"),
            Run("COMMIT"),
        ];
        STEPS
    }};
}

const DEADLOCK: Anomaly = Anomaly {
    name: "two rows",
    about: "two sessions take seats 1 and 2; the second names them the other way round",
    setup: "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL); INSERT INTO t VALUES (1, 1), (2, 1)",
    judge: "SELECT sum(n) = 2 - 2 * :won FROM t",
    scripts: &[
        script("FOR UPDATE in the order of the request", [take_two!("1", "2"), take_two!("2", "1")]),
        script("FOR UPDATE in ascending order", [take_two!("1", "2"), take_two!("1", "2")]),
        script(
            "one statement, ascending",
            both![
                Run("BEGIN"),
                Run("SELECT min(n) FROM (SELECT n FROM t ORDER BY id FOR UPDATE) locked"),
                AtLeast(1),
                Run("UPDATE t SET n = 0"),
                Run("COMMIT"),
            ],
        ),
    ],
};

/// Adds a row that refers to the parent, which locks the parent `FOR KEY SHARE`, then changes the parent.
macro_rules! child_then_parent {
    ($lock:literal) => {
        both![
            Run("BEGIN"),
            Run("INSERT INTO child VALUES (1)"),
            Run(concat!("SELECT n FROM t WHERE id = 1 ", $lock)),
            Run("UPDATE t SET n = n + 1 WHERE id = 1"),
            Run("COMMIT"),
        ]
    };
}

const FOREIGN_KEY: Anomaly = Anomaly {
    name: "foreign key",
    about: "two sessions add a child row, then lock its parent and change it",
    setup: "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL); INSERT INTO t VALUES (1, 0);
        CREATE TABLE child (parent int NOT NULL REFERENCES t)",
    judge: "SELECT n = :won AND (SELECT count(*) FROM child) = :won FROM t",
    scripts: &[
        script("FOR UPDATE of the parent", child_then_parent!("FOR UPDATE")),
        script("FOR NO KEY UPDATE of the parent", child_then_parent!("FOR NO KEY UPDATE")),
        script(
            "FOR NO KEY UPDATE of the parent, then the child",
            both![
                Run("BEGIN"),
                Run("SELECT n FROM t WHERE id = 1 FOR NO KEY UPDATE"),
                Run("INSERT INTO child VALUES (1)"),
                Run("UPDATE t SET n = n + 1 WHERE id = 1"),
                Run("COMMIT"),
            ],
        ),
    ],
};

/// Another session has the row locked while the time of the hold runs out.
const TIME_PASSES: &[Step] = &[
    Run("BEGIN"),
    Run("UPDATE t SET passed = true WHERE id = 1 AND NOT paid"),
    Run("UPDATE clock SET now = 20"),
    Run("COMMIT"),
];

const CLOCK: Anomaly = Anomaly {
    name: "time before the wait",
    about: "a hold that ends at 10 is paid; another session has its row locked until the clock shows 20",
    setup: "CREATE TABLE clock (now int); INSERT INTO clock VALUES (0);
        CREATE TABLE t (id int PRIMARY KEY, paid boolean NOT NULL, passed boolean NOT NULL);
        INSERT INTO t VALUES (1, false, false)",
    judge: "SELECT NOT (paid AND passed) FROM t",
    scripts: &[
        script(
            "time read, then the row locked",
            [
                &[
                    Run("BEGIN"),
                    Run("SELECT 9 - now FROM clock"),
                    Run("UPDATE t SET id = id WHERE id = 1"),
                    AtLeast(0),
                    Run("UPDATE t SET paid = true WHERE id = 1"),
                    Run("COMMIT"),
                ],
                TIME_PASSES,
            ],
        ),
        script(
            "row locked, then the time read",
            [
                &[
                    Run("BEGIN"),
                    Run("UPDATE t SET id = id WHERE id = 1"),
                    Run("SELECT 9 - now FROM clock"),
                    AtLeast(0),
                    Run("UPDATE t SET paid = true WHERE id = 1"),
                    Run("COMMIT"),
                ],
                TIME_PASSES,
            ],
        ),
    ],
};
