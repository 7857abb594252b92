//! A prepared transaction that nothing resolves: what it holds, and for how long.

use onsale_load_generator::Outcome;
use onsale_report::Table;
use onsale_testing::postgres::driver::Client;

use super::audit;
use super::bed::{Bed, Books};
use super::teller::Way;
use super::worker::{Mode, Task, Worker};
use super::{Part, Size};

/// Rounds of updates and `VACUUM` on a small table that no payment uses.
const ROUNDS: u32 = 20;

struct Seen {
    table: Table,
    alarms: Vec<String>,
}

impl Seen {
    /// Notes an observation, and whether it is as expected.
    fn note(&mut self, what: &str, seen: &str, is_expected: bool) {
        self.table.row([what, seen]);
        if !is_expected {
            self.alarms.push(format!("{what}: {seen}"));
        }
    }
}

/// The coordinator crashes between prepare and commit, and no process resolves what it left.
pub(crate) async fn table(bed: &Bed, _: Size) -> Outcome<Part> {
    let mut seen = Seen { table: Table::new(["observation", "seen"]), alarms: Vec::new() };
    let way = Way::TwoPhase;
    let books = bed.reset(way).await?;
    let task = |number, mode| Task { way, places: bed.places(way), number, seats: 1_000, mode };
    let crashed = Worker::start(&task(1, Mode::CrashesAfter("sale-prepared".to_owned())))?.ended().await?;
    bed.until_quiet(way).await?;
    let count = prepared(&books).await?;
    seen.note("prepared transactions after the crash, both databases", &count.to_string(), count >= 2);
    waits(&books, "while its sessions are gone", true, &mut seen).await?;
    bed.sale.restart().await;
    bed.wallet.restart().await;
    let books = bed.books(way).await;
    let again = prepared(&books).await?;
    seen.note("prepared transactions after both servers were restarted", &again.to_string(), again == count);
    waits(&books, "after the restart", true, &mut seen).await?;
    let with_it = bloat(&books.sale, "with_orphan").await?;
    let drained = Worker::start(&task(2, Mode::Drains))?.ended().await?;
    let decided: Vec<String> = drained.found.iter().map(|(what, count)| format!("{what} {count}")).collect();
    let left = prepared(&books).await?;
    seen.note("resolved by the next process", &decided.join(", "), left == 0);
    waits(&books, "after that", false, &mut seen).await?;
    let without = bloat(&books.sale, "without_orphan").await?;
    let sizes = format!("{} KiB with the orphan, {} KiB without", with_it / 1_024, without / 1_024);
    let what = format!("size of an unrelated table after {ROUNDS} rounds of updates and VACUUM");
    seen.note(&what, &sizes, with_it > without);
    let verdict = audit::audit(&books, &crashed.paid).await?;
    seen.note("audit at the end", &verdict.to_string(), verdict.holds());
    let text = format!("### A prepared transaction that nothing resolves\n\n{}\n", seen.table);
    Ok(Part { text, alarms: seen.alarms, ..Part::default() })
}

async fn prepared(books: &Books) -> Outcome<i64> {
    let count = "SELECT count(*) FROM pg_prepared_xacts";
    Ok(books.sale.query_one(count, &[]).await?.get::<_, i64>(0)
        + books.wallet.query_one(count, &[]).await?.get::<_, i64>(0))
}

/// Whether a charge of a buyer, and a hold of other seats, wait for a lock.
async fn waits(books: &Books, when: &str, must_wait: bool, seen: &mut Seen) -> Outcome<()> {
    let locked = [
        (&books.wallet, "wallets", "buyer", "a charge of the same buyer"),
        (&books.sale, "performances", "performance", "a hold of other seats of the same performance"),
    ];
    for (client, table, key, what) in locked {
        client.batch_execute("SET lock_timeout = '300ms'").await?;
        let rows = client
            .query(&format!("SELECT {key} FROM {table} WHERE {key} NOT IN (SELECT {key} FROM {table} FOR NO KEY UPDATE SKIP LOCKED)"), &[])
            .await?;
        let row: i32 = match rows.first() {
            Some(row) => row.get(0),
            None => client.query_one(&format!("SELECT min({key}) FROM {table}"), &[]).await?.get(0),
        };
        let change = match table {
            "wallets" => format!("SELECT charge({row}, 100)"),
            _ => format!("SELECT hold({}, 1, {row}, ARRAY[100000], 100, 1)", 900_000_000),
        };
        let outcome = match client.batch_execute(&change).await {
            Ok(()) => "done at once".to_owned(),
            Err(error) => {
                let code = error.code().map_or("no connection", |code| code.code()).to_owned();
                format!("waits; with a limit of 300 ms it fails with {code}")
            }
        };
        let has_waited = outcome.contains("55P03");
        seen.note(&format!("{what}, {when}"), &outcome, has_waited == must_wait);
    }
    Ok(())
}

/// The size of a new table after many updates, each followed by `VACUUM`.
async fn bloat(client: &Client, table: &str) -> Outcome<i64> {
    client
        .batch_execute(&format!("CREATE TABLE {table} AS SELECT n, 0 AS changes FROM generate_series(1, 1000) AS n"))
        .await?;
    for _ in 0..ROUNDS {
        client.batch_execute(&format!("UPDATE {table} SET changes = changes + 1")).await?;
        client.batch_execute(&format!("VACUUM {table}")).await?;
    }
    Ok(client.query_one(&format!("SELECT pg_relation_size('{table}')"), &[]).await?.get(0))
}
