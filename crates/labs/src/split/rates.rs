//! Speed and price of each way: one payment a transaction, and many together; near and far databases.

use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_report::{BarChart, BarGroup, Table, number};

use super::bed::Bed;
use super::load::{Figures, Load, run};
use super::teller::{WAYS, Way};
use super::{Part, Size};

/// Lanes if payments that wait together are one transaction, as in the program, and the most of them.
const LANES: u16 = 2;
const BATCH: u16 = 128;

/// Performances if the load is spread.
const PERFORMANCES: u16 = 64;

/// A title, and the load of a way on a number of performances.
type Kind = (&'static str, fn(Way, u16, Size) -> Load);

fn single(way: Way, performances: u16, size: Size) -> Load {
    Load { way, clients: size.clients, batch: 1, has_lanes: false, performances, seconds: size.seconds, rate: None }
}

fn batched(way: Way, performances: u16, size: Size) -> Load {
    // One row has one lane.
    let clients = if performances == 1 { 1 } else { LANES };
    Load { way, clients, batch: BATCH, has_lanes: true, performances, seconds: size.seconds, rate: None }
}

/// Rounds of a closed loop, sorted by rate.
async fn rounds(bed: &Bed, load: Load, size: Size, part: &mut Part) -> Outcome<Vec<Figures>> {
    let mut rounds = Vec::new();
    for _ in 0..size.rounds {
        let figures = run(bed, load).await?;
        check(part, load, &figures);
        rounds.push(figures);
    }
    rounds.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
    Ok(rounds)
}

/// Under load alone every way must hold; what fails needs a crash.
fn check(part: &mut Part, load: Load, figures: &Figures) {
    if !figures.verdict.holds() || figures.paid == 0 {
        part.alarms.push(format!("{}, {load:?}: {} paid, {}", load.way.name(), figures.paid, figures.verdict));
    }
}

fn median(rounds: &[Figures]) -> &Figures {
    &rounds[rounds.len() / 2]
}

/// The median, and the span if there are several rounds.
fn rate(rounds: &[Figures]) -> String {
    let all: Vec<String> = rounds.iter().map(|round| number(round.rate())).collect();
    let middle = number(median(rounds).rate());
    match &all[..] {
        [lowest, .., highest] => format!("{middle} ({lowest} to {highest})"),
        _ => middle,
    }
}

/// What each way does and costs.
pub(crate) async fn tables(bed: &Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let mut groups = Vec::new();
    let kinds: [Kind; 2] =
        [("One payment a transaction, 16 clients", single), ("Up to 128 payments a transaction, 2 lanes", batched)];
    for (title, load) in kinds.into_iter().take(size.kinds) {
        let mut table = Table::new([
            "way",
            "payments/s, 64 performances",
            "payments/s, one performance",
            "p50 ms at half",
            "p99 ms at half",
            "WAL bytes",
            "syncs",
            "database µs",
        ]);
        for (index, way) in WAYS.into_iter().enumerate() {
            let spread = rounds(bed, load(way, PERFORMANCES, size), size, &mut part).await?;
            let hot = rounds(bed, load(way, 1, size), size, &mut part).await?;
            let closed = median(&spread);
            let half = Load { rate: Some(closed.rate() / 2.0), ..load(way, PERFORMANCES, size) };
            let open = run(bed, half).await?;
            check(&mut part, half, &open);
            table.row([
                way.name().to_owned(),
                rate(&spread),
                rate(&hot),
                number(open.times.millis(500)),
                number(open.times.millis(990)),
                number(closed.wal_bytes),
                number(closed.syncs),
                number(closed.processor_micros),
            ]);
            let label = |kind: &str| format!("{}{kind}", way.name());
            if groups.len() <= index {
                groups.push(BarGroup { label: label(""), values: Vec::new(), mark: None });
            }
            groups[index].values.extend([closed.rate(), median(&hot).rate()]);
        }
        part.text.push_str(&format!("### {title}\n\n{table}\n"));
    }
    let chart = BarChart {
        title: "Payments per second by way".to_owned(),
        unit: "payments per second".to_owned(),
        series: ["single, 64 rows", "single, one row", "batches, 64 rows", "batches, one row"]
            .map(str::to_owned)
            .to_vec(),
        mark: String::new(),
        groups,
    };
    part.charts.push(("rates.svg", chart.svg()));
    Ok(part)
}

/// What distance costs: the same with a millisecond between clients and databases.
pub(crate) async fn distance(bed: &mut Bed, size: Size) -> Outcome<Part> {
    const ROUND_TRIP: Duration = Duration::from_millis(1);
    let mut part = Part::default();
    let mut table = Table::new([
        "way",
        "one performance, near",
        "one performance, 1 ms away",
        "64 performances, near",
        "64 performances, 1 ms away",
    ]);
    for way in WAYS {
        let mut cells = vec![way.name().to_owned()];
        for performances in [1, PERFORMANCES] {
            for delay in [Duration::ZERO, ROUND_TRIP] {
                bed.delay(delay).await;
                let load = single(way, performances, size);
                let figures = run(bed, load).await?;
                check(&mut part, load, &figures);
                cells.push(number(figures.rate()));
            }
        }
        bed.delay(Duration::ZERO).await;
        table.row(cells);
    }
    part.text = format!("### Payments per second by distance, one payment a transaction, 16 clients\n\n{table}\n");
    Ok(part)
}
