//! Incidents of the database.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::Incident;
use crate::scene::{Scene, Stage};

/// Longest time until the log of Postgres has no room.
const FULL_MAX: Duration = Duration::from_secs(60);

/// All processes of Postgres are killed.
pub(super) struct Away;

impl Incident for Away {
    const NAME: &'static str = "database-away";

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.store.server().kill().await;
    }

    fn what(&self) -> &'static str {
        "all processes of Postgres are killed with SIGKILL"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.store.server().restart().await;
    }

    fn repaired(&self) -> &'static str {
        "Postgres was started, and accepts sessions"
    }
}

/// The primary is killed, and its standby takes over.
pub(super) struct Failover;

impl Incident for Failover {
    const NAME: &'static str = "failover";

    fn stage(&self) -> Stage {
        Stage { wire: true, standby: true, ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        let (_, url) = scene.parts.store.standby();
        scene.shell.set("STANDBY", url);
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.store.server().kill().await;
    }

    fn what(&self) -> &'static str {
        "all processes of the primary are killed with SIGKILL"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        let (standby, _) = scene.parts.store.standby();
        scene.parts.store.wire().retarget(standby.address()).await;
    }

    fn repaired(&self) -> &'static str {
        "the address of the database leads to the former standby"
    }
}

/// How far the clock of the database jumps, in seconds.
const AHEAD: i64 = 600;

/// The clock of the database jumps forward.
pub(super) struct WrongClock;

impl Incident for WrongClock {
    const NAME: &'static str = "wrong-clock";

    fn stage(&self) -> Stage {
        Stage { own_clock: true, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.store.server().set_clock_ahead(AHEAD);
    }

    fn what(&self) -> &'static str {
        "the clock of the database jumps ten minutes forward"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.store.server().set_clock_ahead(0);
    }

    fn repaired(&self) -> &'static str {
        "the clock of the database was set back"
    }
}

/// No file of Postgres grows any more, and its log needs a new one.
pub(super) struct DiskFull;

impl Incident for DiskFull {
    const NAME: &'static str = "disk-full";

    fn stage(&self) -> Stage {
        Stage { small_disk: true, ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        scene.shell.set("POSTGRES_LOG", scene.parts.store.server().log_path().display());
    }

    async fn cause(&mut self, scene: &mut Scene) {
        let (sql, began) = (scene.sql().await, Instant::now());
        scene.parts.store.server().fill_disk();
        // One file of the log after another, until there is no room for one.
        let switch = "SELECT pg_logical_emit_message(false, 'a', 'b'), pg_switch_wal()";
        while sql.batch_execute(switch).await.is_ok() {
            assert!(began.elapsed() < FULL_MAX, "the log of Postgres never lacks room");
        }
    }

    fn what(&self) -> &'static str {
        "the disk of Postgres is full, and its log needs another file"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.store.server().free_disk();
        scene.parts.store.server().restart().await;
    }

    fn repaired(&self) -> &'static str {
        "there is room on the disk, and Postgres was started"
    }
}

/// A balance is changed by hand, past the ledger.
pub(super) struct BooksInDoubt;

impl Incident for BooksInDoubt {
    const NAME: &'static str = "books-in-doubt";

    async fn cause(&mut self, scene: &mut Scene) {
        let change = "UPDATE accounts SET balance = balance + 77 WHERE user_id = 'buyer-1'";
        let changed = scene.sql().await.execute(change, &[]).await.expect("the row can be changed");
        assert_eq!(changed, 1, "the first buyer has a wallet");
    }

    fn what(&self) -> &'static str {
        "the balance of a user is changed by hand, past the ledger"
    }
}

/// Rows that SQLite's log cannot hold while a reader keeps it from being shortened.
const ROWS: u32 = 400_000;

/// Another process keeps a read transaction open on the file of the sale.
#[derive(Default)]
pub(super) struct LogGrowth {
    reader: Option<Child>,
}

impl Incident for LogGrowth {
    const NAME: &'static str = "log-growth";

    fn stage(&self) -> Stage {
        Stage { instances: 1, redis: false, sqlite: true, ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        scene.shell.set("FILE", scene.first().instance.folder().join("onsale.db").display());
    }

    async fn cause(&mut self, scene: &mut Scene) {
        let file = scene.first().instance.folder().join("onsale.db");
        let sqlite = || {
            let mut command = Command::new("sqlite3");
            command.arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            command
        };
        let mut reader = sqlite().spawn().expect("sqlite3 starts");
        let input = reader.stdin.as_mut().expect("a standard input");
        input.write_all(b"BEGIN; SELECT count(*) FROM accounts;\n").await.expect("a shell that reads");
        let mut line = String::new();
        let output = reader.stdout.as_mut().expect("a standard output");
        BufReader::new(output).read_line(&mut line).await.expect("the count of accounts");
        self.reader = Some(reader);
        // Ids of deliveries that never were: no rule of the sale reads them.
        let rows = format!(
            "PRAGMA busy_timeout = 20000; INSERT INTO deliveries WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL \
             SELECT i + 1 FROM n WHERE i < {ROWS}) SELECT randomblob(16), 9000000000000 FROM n"
        );
        let wrote = sqlite().arg(rows).output().await.expect("sqlite3 starts");
        assert!(wrote.status.success(), "{}", String::from_utf8_lossy(&wrote.stderr));
    }

    fn what(&self) -> &'static str {
        "another process keeps a read transaction open, and 400,000 rows are written"
    }
}
