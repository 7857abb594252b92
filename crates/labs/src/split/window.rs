//! How long the two databases disagree, and what a program that reads both sees of it.

use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_report::{Table, number};

use super::bed::{Bed, Books};
use super::load::{Load, run_beside};
use super::teller::WAYS;
use super::{Part, Size};

/// Payments per second, the same for each way: below what any of them can do.
const RATE: f64 = 400.0;

/// What a reader of both databases saw.
#[derive(Debug, Default)]
struct Seen {
    reads: u64,
    /// Reads that no moment explains: the wallets have paid less than the sale had taken before, or more than it had taken
    /// after.
    unexplained: u64,
    /// The largest such difference, in points.
    largest: i64,
}

pub(crate) async fn table(bed: &Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let mut table = Table::new([
        "way",
        "apart p50, ms",
        "apart p99, ms",
        "longest, ms",
        "reads of both",
        "inconsistent reads",
        "largest difference, points",
    ]);
    for way in WAYS {
        let load = Load {
            way,
            clients: size.clients,
            batch: 1,
            has_lanes: false,
            performances: 64,
            seconds: size.seconds,
            rate: Some(RATE),
        };
        let until = Duration::from_secs_f64(size.seconds);
        let (figures, seen) = run_beside(bed, load, |books| Some(tokio::spawn(read(books, until)))).await?;
        let seen = seen.unwrap_or_default();
        if !figures.verdict.holds() || seen.reads == 0 {
            part.alarms.push(format!("{}: {} reads, {}", way.name(), seen.reads, figures.verdict));
        }
        if !way.is_split() && (seen.unexplained > 0 || figures.verdict.apart.permille(1_000) > Duration::ZERO) {
            part.alarms.push(format!("one transaction was seen half done: {seen:?}"));
        }
        let apart = &figures.verdict.apart;
        let percent = seen.unexplained as f64 * 100.0 / seen.reads.max(1) as f64;
        table.row([
            way.name().to_owned(),
            number(apart.millis(500)),
            number(apart.millis(990)),
            number(apart.millis(1_000)),
            seen.reads.to_string(),
            format!("{} ({percent:.1} %)", seen.unexplained),
            seen.largest.to_string(),
        ]);
    }
    part.text = format!("### How long the databases disagree, {RATE} payments per second\n\n{table}\n");
    Ok(part)
}

/// Reads the takings of the sale, what the wallets have paid, and the takings again, until the time is over. Takings only grow,
/// so what the wallets have paid is between the two at any moment at which both databases agree.
async fn read(books: Books, until: Duration) -> Outcome<Seen> {
    let takings = books.sale.prepare("SELECT sum(revenue)::bigint FROM performances").await?;
    let balances = books.wallet.prepare("SELECT sum(balance)::bigint FROM wallets").await?;
    let charged = "SELECT sum(amount)::bigint FROM ledger WHERE kind = 'CHARGE'";
    let charged: i64 = books.wallet.query_one(charged, &[]).await?.get(0);
    let (mut seen, began) = (Seen::default(), Instant::now());
    while began.elapsed() < until {
        let before: i64 = books.sale.query_one(&takings, &[]).await?.get(0);
        let left: i64 = books.wallet.query_one(&balances, &[]).await?.get(0);
        let after: i64 = books.sale.query_one(&takings, &[]).await?.get(0);
        let paid = charged - left;
        let difference = (before - paid).max(paid - after).max(0);
        seen.reads += 1;
        seen.unexplained += u64::from(difference > 0);
        seen.largest = seen.largest.max(difference);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(seen)
}
