//! One database is away for some seconds: what goes on, what waits, and what is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use onsale_load_generator::Outcome;
use onsale_report::{Table, number};
use onsale_testing::{Dice, PATIENCE};

use super::audit;
use super::bed::{Bed, Books};
use super::teller::Way;
use super::worker::{BUYERS, Mode, PERFORMANCES, Task, Worker};
use super::{Part, Size};

/// Which database is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Sale,
    Wallet,
}

const CASES: [(Way, Side); 5] = [
    (Way::One, Side::Sale),
    (Way::TwoPhase, Side::Wallet),
    (Way::TwoPhase, Side::Sale),
    (Way::Saga, Side::Wallet),
    (Way::Saga, Side::Sale),
];

pub(crate) async fn table(bed: &Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let mut table = Table::new([
        "way",
        "away",
        "payments/s before",
        "during",
        "after",
        "unfinished while away",
        "longest wait at the other database, ms",
        "finished after its return, ms",
        "longest apart, ms",
        "audit",
    ]);
    for (way, side) in CASES {
        let row = outage(bed, way, side, Duration::from_secs_f64(size.away_seconds), &mut part).await?;
        table.row(row);
    }
    let seconds = number(size.away_seconds);
    part.text = format!("### One database is away for {seconds} seconds\n\n{table}\n");
    Ok(part)
}

async fn outage(bed: &Bed, way: Way, side: Side, away: Duration, part: &mut Part) -> Outcome<Vec<String>> {
    let books = bed.reset(way).await?;
    // Enough seats that clients do not compete for them: the rate shows the outage and nothing else.
    let task = |number, mode| Task { way, places: bed.places(way), number, seats: 1_000_000, mode };
    let worker = Worker::start(&task(1, Mode::Works))?;
    books.until_paid(1).await?;
    let (server, other) = match side {
        Side::Sale => (&bed.sale, &books.wallet),
        Side::Wallet => (&bed.wallet, &books.sale),
    };
    let bystander = if way.is_split() { Some(bed.books(way).await) } else { None };
    let began = now_micros();
    tokio::time::sleep(away / 2).await;
    let gone = now_micros();
    server.kill().await;
    let stop = Arc::new(AtomicBool::new(false));
    let bystander = bystander.map(|books| tokio::spawn(wait_at(books, side, stop.clone())));
    tokio::time::sleep(away).await;
    let unfinished = match way {
        Way::One => 0,
        _ => other.query_one(unfinished(way, side), &[]).await?.get::<_, i64>(0),
    };
    server.restart().await;
    let (back, returned) = (now_micros(), Instant::now());
    let fresh = bed.books(way).await;
    finished(&fresh, way, back).await?;
    let finished = returned.elapsed();
    tokio::time::sleep(away / 2).await;
    stop.store(true, Ordering::Relaxed);
    let longest = match bystander {
        Some(bystander) => number(bystander.await??.as_secs_f64() * 1e3),
        None => "–".to_owned(),
    };
    let ended = now_micros();
    let mut acknowledged = worker.finish().await?.paid;
    acknowledged.extend(Worker::start(&task(2, Mode::Drains))?.ended().await?.paid);
    let rates = [(began, gone), (gone, back), (back, ended)];
    let mut cells = vec![way.name().to_owned(), format!("{side:?}").to_lowercase()];
    for (from, to) in rates {
        cells.push(number(paid_between(&fresh, from, to).await?));
    }
    let verdict = audit::audit(&fresh, &acknowledged).await?;
    if !verdict.holds() {
        part.alarms.push(format!("{}, {side:?} away: {verdict}", way.name()));
    }
    cells.extend([
        unfinished.to_string(),
        longest,
        number(finished.as_secs_f64() * 1e3),
        number(verdict.apart.millis(1_000)),
        verdict.to_string(),
    ]);
    Ok(cells)
}

/// Counts, at the database that is there, what a payment has left open.
fn unfinished(way: Way, away: Side) -> &'static str {
    match (way, away) {
        (Way::Saga, Side::Wallet) => "SELECT count(*) FROM sagas",
        (Way::Saga, Side::Sale) => "SELECT count(*) FROM reserves WHERE state = 'RESERVED'",
        _ => "SELECT count(*) FROM pg_prepared_xacts",
    }
}

/// Waits until no payment from before this instant (microseconds) is in flight.
async fn finished(books: &Books, way: Way, before: i64) -> Outcome<()> {
    let count = match way {
        Way::Saga => "SELECT count(*) FROM sagas WHERE changed_at < to_timestamp($1::float8 / 1e6)",
        _ => "SELECT count(*) FROM pg_prepared_xacts WHERE prepared < to_timestamp($1::float8 / 1e6)",
    };
    let before = before as f64;
    let waiting = async {
        // The sale alone knows which sagas are in flight.
        let clients = if way == Way::Saga { vec![&books.sale] } else { vec![&books.sale, &books.wallet] };
        for client in clients {
            while client.query_one(count, &[&before]).await?.get::<_, i64>(0) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, waiting).await?
}

/// A bystander at the database that is there: it changes a row that payments change too, again and again. Returns its longest
/// wait.
async fn wait_at(books: Books, away: Side, stop: Arc<AtomicBool>) -> Outcome<Duration> {
    let (client, change, rows, first) = match away {
        Side::Wallet => {
            (&books.sale, "UPDATE performances SET sold = sold WHERE performance = $1", PERFORMANCES, 1_000)
        }
        Side::Sale => (&books.wallet, "UPDATE wallets SET balance = balance WHERE buyer = $1", BUYERS, 0),
    };
    let change = client.prepare(change).await?;
    let (mut dice, mut longest) = (Dice::new(1), Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let row = first + i32::try_from(dice.below(rows))?;
        let began = Instant::now();
        client.execute(&change, &[&row]).await?;
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(longest)
}

fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Payments per second that the sale committed between two instants, in microseconds.
async fn paid_between(books: &Books, from: i64, to: i64) -> Outcome<f64> {
    let count = "SELECT count(*) FROM payments
        WHERE extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000 BETWEEN $1::bigint AND $2::bigint";
    let count: i64 = books.sale.query_one(count, &[&from, &to]).await?.get(0);
    Ok(count as f64 * 1e6 / (to - from).max(1) as f64)
}
