//! Traps: for each, the way that fails and the way that holds, both run, and what came of them.

use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_report::{Table, number};
use onsale_testing::PATIENCE;
use onsale_testing::postgres::driver::Client;

use super::bed::Bed;
use super::controls::{Control, control};
use super::harness::{Load, Span, per, run};
use super::session::Pause;
use super::tables::{Part, Size, charges};
use super::truth;

/// Requests for the last 30 places in the experiment with refusals.
const APPLICANTS: i64 = 1_000;

/// How long a lock is kept in the experiment with time.
const KEPT: Duration = Duration::from_millis(100);

/// Interval of checks whether a session waits.
const CHECKED_EVERY: Duration = Duration::from_millis(1);

/// What came of the way that fails, and of the way that holds.
type Pair = [String; 2];

/// Traps of the truth table: anomaly, the script that fails, the script that holds.
const IN_TRUTH: [[&str; 3]; 4] = [
    ["absent row", "FOR UPDATE of a row that is not there", "unique index, insert an empty row, then FOR UPDATE"],
    ["foreign key", "FOR UPDATE of the parent", "FOR NO KEY UPDATE of the parent"],
    ["lost update", "advisory lock released before the commit", "advisory lock to the end of the transaction"],
    ["write skew", "advisory lock inside REPEATABLE READ", "advisory lock"],
];

/// Runs both ways of each trap, one after another, and returns them as a table.
pub(crate) async fn table(bed: &Bed, size: Size) -> Outcome<Part> {
    let mut table = Table::new(["trap", "fails", "what came of it", "holds", "what came of it"]);
    let names = [
        "a lock on an absent row",
        "a lock that a foreign key's `FOR KEY SHARE` cannot share",
        "a lock released before the commit",
        "a snapshot older than the lock",
    ];
    for (name, [anomaly, fails, holds]) in names.into_iter().zip(IN_TRUTH) {
        let [failed, held] = [truth::by_name(bed, anomaly, fails).await?, truth::by_name(bed, anomaly, holds).await?];
        table.row([name, fails, &failed, holds, &held]);
    }
    let [failed, held] = time(bed).await?;
    table.row(["time read before the wait", "`now()`", &failed, "`clock_timestamp()` after the lock", &held]);
    let [failed, held] = order(bed).await?;
    let horizon = "read only what is older than each open transaction";
    table.row([
        "a sequence is not the order of commits",
        "read what is above the last number",
        &failed,
        horizon,
        &held,
    ]);
    let [failed, held] = successes(bed, size).await?;
    table.row(["refusals counted as successes", "count all answers", &failed, "count winners", &held]);
    let [none, fixed, random] = pauses(bed, size).await?;
    table.row(["retry without jitter", "retry at once", &none, "a random pause that grows", &random]);
    table.row(["", "a fixed pause that grows", &fixed, "", ""]);
    let mut part = Part::default();
    part.add("Traps", &table);
    Ok(part)
}

/// A hold ends while its payment waits for the row.
async fn time(bed: &Bed) -> Outcome<Pair> {
    // A transaction sees one state of the sessions, so a third session observes them.
    let (holder, payer, observer) = (bed.sql().await?, bed.sql().await?, bed.sql().await?);
    // On its own: statements before a `BEGIN` in one text belong to its transaction, and no other session would see the table.
    let table =
        "DROP TABLE IF EXISTS holds; CREATE TABLE holds (ends timestamptz); INSERT INTO holds VALUES ('infinity')";
    holder.batch_execute(table).await?;
    holder.batch_execute("BEGIN; SELECT ends FROM holds FOR UPDATE").await?;
    let process: i32 = payer.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    payer.batch_execute("BEGIN").await?;
    let locking = "SELECT ends FROM holds FOR UPDATE";
    let locked = async { Outcome::Ok(payer.query_one(locking, &[]).await?) };
    let released = async {
        waits(&observer, process).await?;
        holder.batch_execute("UPDATE holds SET ends = clock_timestamp()").await?;
        tokio::time::sleep(KEPT).await;
        Outcome::Ok(holder.batch_execute("COMMIT").await?)
    };
    tokio::try_join!(locked, released)?;
    let judged = "SELECT now() < ends, clock_timestamp() < ends,
        extract(epoch FROM clock_timestamp() - ends)::float8 FROM holds";
    let row = payer.query_one(judged, &[]).await?;
    payer.batch_execute("COMMIT").await?;
    let late: f64 = row.get(2);
    let shown = |is_valid: bool| match is_valid {
        true => format!("**paid {late:.2} s after the end of the hold**"),
        false => format!("refused {late:.2} s after the end of the hold"),
    };
    Ok([shown(row.get(0)), shown(row.get(1))])
}

/// Waits until a session waits for a lock.
async fn waits(observer: &Client, process: i32) -> Outcome<()> {
    let waiting = async {
        loop {
            let waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1";
            if observer.query_one(waits, &[&process]).await?.get::<_, Option<bool>>(0) == Some(true) {
                return Outcome::Ok(());
            }
            tokio::time::sleep(CHECKED_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await?
}

/// A writer gets a number first and commits second, and a reader comes in between.
async fn order(bed: &Bed) -> Outcome<Pair> {
    const ABOVE: &str = "SELECT n FROM log WHERE n > $1 ORDER BY n";
    const SAFE: &str = "SELECT n FROM log WHERE n > $1 AND writer < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY n";
    let (slow, quick) = (bed.sql().await?, bed.sql().await?);
    let mut seen = Vec::new();
    for read in [ABOVE, SAFE] {
        quick
            .batch_execute(
                "DROP TABLE IF EXISTS log;
                 CREATE TABLE log (n bigserial PRIMARY KEY, writer xid8 DEFAULT pg_current_xact_id())",
            )
            .await?;
        slow.batch_execute("BEGIN; INSERT INTO log DEFAULT VALUES").await?;
        quick.batch_execute("INSERT INTO log DEFAULT VALUES").await?;
        let (mut cursor, mut count) = (0_i64, 0);
        for is_last in [false, true] {
            for row in quick.query(read, &[&cursor]).await? {
                (cursor, count) = (row.get(0), count + 1);
            }
            if !is_last {
                slow.batch_execute("COMMIT").await?;
            }
        }
        seen.push(match count {
            2 => "the reader got 2 of 2 rows".to_owned(),
            count => format!("**the reader got {count} of 2 rows**"),
        });
    }
    let [above, safe] = <[String; 2]>::try_from(seen).map_err(|_| "two ways to read")?;
    Ok([above, safe])
}

fn known(letter: &str) -> Outcome<&'static Control> {
    Ok(control(letter).ok_or("no such control")?)
}

/// The last 30 places under a crowd.
async fn successes(bed: &Bed, size: Size) -> Outcome<Pair> {
    let load = Load { initial: 30, amount: -1, span: Span::Requests(APPLICANTS), ..charges(size, 1, 0.0) };
    let figures = run(bed, known("E")?, load).await?;
    let answers = figures.won + figures.refused;
    let rate = number(per(answers, figures.seconds));
    Ok([format!("**{answers} successes, {rate} a second**"), format!("{} of 30 places given", figures.won)])
}

/// Optimistic clients on one row, with different pauses before a retry.
async fn pauses(bed: &Bed, size: Size) -> Outcome<[String; 3]> {
    let mut shown = Vec::new();
    for pause in [Pause::None, Pause::Fixed, Pause::Random] {
        let load = Load { pause, ..charges(size, 1, size.seconds[2]) };
        let figures = run(bed, known("B")?, load).await?;
        #[expect(clippy::cast_precision_loss, reason = "counts of a short run are exact in a float")]
        let retries = per(figures.retries, figures.won.max(1) as f64);
        shown.push(format!("{} charges/s, {} retries per charge", number(figures.won_rate()), number(retries)));
    }
    Ok(<[String; 3]>::try_from(shown).map_err(|_| "three pauses")?)
}
