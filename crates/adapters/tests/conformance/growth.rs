//! A unit of work reads a constant number of rows, however many are stored, and whatever statistics the server had at first.

use crate::mixed::AnyCommand;
use onsale_domain::lecture;
use onsale_testing::without;

use crate::bed::Bed;
use crate::lane::Lane;
use crate::stage::{open_lecture, user};

/// Number of stored applications.
const MANY: usize = 4_000;

/// Maximum number of rows and index entries that one application may read.
const READ_MAX: i64 = 50;

/// Number of applications, and of rows and index entries read, from the server's statistics, which lag a little.
struct Counted {
    rows: i64,
    read: i64,
}

#[tokio::test]
async fn a_unit_reads_few_rows_in_a_database_analyzed_while_empty() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of the server") };
    let sql = database.sql().await;
    sql.batch_execute("ALTER TABLE applications SET (autovacuum_enabled = off); ANALYZE").await.expect("a state");
    let counted = async || {
        let counted = "SELECT t.n_tup_ins, t.seq_tup_read + i.idx_tup_read FROM pg_stat_user_tables t
            JOIN (SELECT relid, sum(idx_tup_read)::bigint idx_tup_read FROM pg_stat_user_indexes GROUP BY relid) i
            USING (relid) WHERE relname = 'applications'";
        let row = sql.query_one(counted, &[]).await.expect("statistics");
        Counted { rows: row.get(0), read: row.get(1) }
    };
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    let lecture = open_lecture(&mut lane, store.reader().now(), 1_000_000).await;
    let mut users = 0..;
    let mut newcomers = |many: usize| -> Vec<_> {
        let apply = |number: usize| lecture::Apply { user: user(&format!("user-{number}")), lecture, waitlist: false };
        users.by_ref().take(many).map(|number| AnyCommand::from(apply(number))).collect()
    };
    // The plans are made while the tables are empty.
    lane.run(newcomers(1)).await.expect("a unit of work");
    for _ in 0..MANY / 100 {
        lane.run(newcomers(100)).await.expect("a unit of work");
    }
    let begun = std::time::Instant::now();
    let mut seen = counted().await;
    loop {
        lane.run(newcomers(1)).await.expect("a unit of work");
        let now = counted().await;
        let (rows, read) = (now.rows - seen.rows, now.read - seen.read);
        // The server reports counts in batches, so some of these steps show no count.
        if usize::try_from(seen.rows).is_ok_and(|rows| rows >= MANY) && rows > 0 {
            if read <= rows * READ_MAX {
                return;
            }
            assert!(begun.elapsed() < onsale_testing::PATIENCE, "{rows} applications read {read}");
        }
        seen = now;
    }
}
