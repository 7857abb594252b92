//! The measured tables: speed by contention, by connections, on the last places, and by network latency.

use std::collections::BTreeMap;
use std::time::Duration;

use onsale_load_generator::Outcome;

use super::bed::Bed;
use super::controls::{CONTROLS, Control, Needs};
use super::harness::{Figures, Load, Spread, per, run};
use super::scene::Constraints;
use onsale_report::{LineChart, Series, Table, number};

/// How long and how wide the tables measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Seconds of each closed loop.
    pub(crate) seconds: f64,
    /// Numbers of wallets, one column each.
    pub(crate) wallets: &'static [u32],
    /// Numbers of connections, one column each.
    pub(crate) connections: &'static [usize],
    /// Added round-trip times, in microseconds.
    pub(crate) round_trips: &'static [u64],
}

impl Size {
    pub(crate) const FULL: Self = Self {
        seconds: 1.2,
        wallets: &[1, 8, 64, 1_024, 10_000],
        connections: &[8, 64, 256],
        round_trips: &[0, 500, 2_000],
    };
    pub(crate) const QUICK: Self =
        Self { seconds: 0.4, wallets: &[1, 64, 10_000], connections: &[8, 64], round_trips: &[0, 2_000] };
    /// For the test that keeps the laboratory working.
    #[cfg(test)]
    pub(crate) const TINY: Self = Self { seconds: 0.15, wallets: &[1], connections: &[4], round_trips: &[0] };

    /// The connections of all tables but the one about connections.
    fn usual(&self) -> usize {
        self.connections[self.connections.len() / 2]
    }
}

/// A document part: Markdown, and charts by file name.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) charts: Vec<(&'static str, LineChart)>,
    /// What is wrong with the measurement itself.
    pub(crate) alarms: Vec<String>,
}

impl Part {
    fn add(&mut self, title: &str, table: &Table) {
        self.text.push_str(&format!("### {title}\n\n{table}\n"));
    }

    /// A control that must hold under load was seen to fail, or one that must fail was seen to hold.
    fn check(&mut self, control: &Control, what: &str, figures: &Figures) {
        let must_hold = control.claim != super::controls::Claim::FailsAtOnce;
        if must_hold && !figures.verdict.holds() {
            self.alarms.push(format!("{} {} on {what}: {}", control.letter, control.name, figures.verdict));
        }
    }
}

fn usual(size: Size, wallets: u32) -> Load {
    Load {
        wallets,
        spread: Spread::Even,
        connections: size.usual(),
        seconds: size.seconds,
        initial: 0,
        amount: 1,
        constraints: Constraints::On,
        rate: None,
    }
}

fn millis(figures: &Figures, permille: u32) -> String {
    number(figures.times.permille(permille).as_secs_f64() * 1e3)
}

/// Decisions per second by number of wallets, and a Zipf crowd; the cost of each at one hot wallet.
pub(crate) async fn contention(bed: &Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let spread: Vec<String> =
        size.wallets.iter().map(|wallets| format!("{} rows", number(f64::from(*wallets)))).collect();
    let head = ["control".to_owned()].into_iter().chain(spread).chain(["Zipf".to_owned()]);
    let mut rates = Table::new(head);
    let mut costs = Table::new([
        "control, one hot row",
        "charges/s",
        "p50 ms at half",
        "p99 ms at half",
        "retries per charge",
        "database µs",
        "WAL bytes",
        "out of order %",
        "errors",
    ]);
    let mut series = Vec::new();
    for control in CONTROLS {
        let mut cells = vec![format!("{} {}", control.letter, control.name)];
        let mut points = Vec::new();
        for (index, wallets) in size.wallets.iter().enumerate() {
            let figures = run(bed, control, usual(size, *wallets)).await?;
            part.check(control, &format!("{wallets} wallets"), &figures);
            cells.push(number(figures.won_rate()));
            points.push((f64::from(*wallets), figures.won_rate().max(1.0)));
            if index == 0 {
                costs.row(cost(bed, control, &figures, usual(size, *wallets)).await?);
            }
        }
        let most = size.wallets.last().copied().unwrap_or(1);
        let zipf = run(bed, control, Load { spread: Spread::Zipf, ..usual(size, most) }).await?;
        part.check(control, "a Zipf crowd", &zipf);
        cells.push(number(zipf.won_rate()));
        rates.row(cells);
        series.push(Series { name: format!("{} {}", control.letter, control.name), points, is_dashed: false });
    }
    let connections = size.usual();
    part.add(&format!("Charges per second by number of rows, {connections} connections"), &rates);
    part.add(&format!("What a charge costs on one hot row, {connections} connections"), &costs);
    let shown = ['B', 'C', 'F', 'H', 'M', 'N', 'R', 'S'];
    series.retain(|line| shown.iter().any(|letter| line.name.starts_with(*letter)));
    part.charts.push((
        "contention.svg",
        LineChart {
            title: "Charges per second by number of rows that they meet on".to_owned(),
            x: "rows".to_owned(),
            y: "charges per second".to_owned(),
            ticks: size.wallets.iter().map(|wallets| (f64::from(*wallets), number(f64::from(*wallets)))).collect(),
            series,
        },
    ));
    Ok(part)
}

/// A line of costs: an open loop at half of the rate of the closed one gives honest latencies.
async fn cost(bed: &Bed, control: &'static Control, closed: &Figures, load: Load) -> Outcome<Vec<String>> {
    let half = run(bed, control, Load { rate: Some(closed.rate() / 2.0), ..load }).await?;
    let has_database = control.needs != Needs::Sqlite;
    let of_database = |value: f64| if has_database { number(value) } else { "–".to_owned() };
    let errors: BTreeMap<&str, u64> = closed.failures.iter().map(|(class, count)| (class.as_str(), *count)).collect();
    let errors: Vec<String> = errors.iter().map(|(class, count)| format!("{class}: {count}")).collect();
    #[expect(clippy::cast_precision_loss, reason = "counts of a short run are exact in a float")]
    let won = closed.won.max(1) as f64;
    Ok(vec![
        format!("{} {}", control.letter, control.name),
        number(closed.won_rate()),
        millis(&half, 500),
        millis(&half, 990),
        number(per(closed.retries, won)),
        of_database(closed.database_micros),
        of_database(closed.wal_bytes),
        number(closed.verdict.inversions_percent),
        errors.join(", "),
    ])
}

/// Decisions per second by number of connections, on one row and on many.
pub(crate) async fn connections(bed: &Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let most = size.wallets.last().copied().unwrap_or(1);
    let head = [(1, "one row"), (most, "many rows")]
        .into_iter()
        .flat_map(|(_, rows)| size.connections.iter().map(move |connections| format!("{connections} on {rows}")));
    let mut table = Table::new(["control".to_owned()].into_iter().chain(head));
    for control in CONTROLS {
        let mut cells = vec![format!("{} {}", control.letter, control.name)];
        for wallets in [1, most] {
            for connections in size.connections {
                let load = Load { connections: *connections, ..usual(size, wallets) };
                let figures = run(bed, control, load).await?;
                part.check(control, &format!("{connections} connections"), &figures);
                cells.push(number(figures.won_rate()));
            }
        }
        table.row(cells);
    }
    part.add("Charges per second by number of connections", &table);
    Ok(part)
}

/// The last 30 places: winners and refusals are different work, and are counted apart.
pub(crate) async fn last_places(bed: &Bed, size: Size) -> Outcome<Part> {
    const PLACES: i64 = 30;
    let mut part = Part::default();
    let mut table = Table::new(["control", "winners of 30", "refusals/s", "p99 ms of all", "verdict"]);
    for control in CONTROLS {
        let load = Load { initial: PLACES, amount: -1, ..usual(size, 1) };
        let figures = run(bed, control, load).await?;
        part.check(control, "the last places", &figures);
        table.row([
            format!("{} {}", control.letter, control.name),
            figures.won.to_string(),
            number(per(figures.refused, figures.seconds)),
            millis(&figures, 990),
            figures.verdict.to_string(),
        ]);
    }
    part.add(&format!("The last {PLACES} places of a lecture, {} applicants at a time", size.usual()), &table);
    Ok(part)
}

/// Decisions per second on one hot row by the distance of the database, measured and predicted.
///
/// The law: while a hot row is locked, no other client can change it. So its rate is at most
/// `1 / (t0 + trips × round trip)`, where `t0` is what a change takes without distance, and `trips` counts the round trips
/// between the lock and the end of the commit.
pub(crate) async fn law(bed: &mut Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let mut head = vec!["control".to_owned(), "round trips while locked".to_owned()];
    for round_trip in size.round_trips {
        let shown = *round_trip as f64 / 1e3;
        head.extend([format!("{shown} ms"), format!("predicted at {shown} ms")]);
    }
    let mut table = Table::new(head);
    let mut series = Vec::new();
    for control in CONTROLS.iter().filter(|control| control.needs != Needs::Sqlite) {
        let trips = control.trips_locked.map_or("–".to_owned(), |trips| trips.to_string());
        let mut cells = vec![format!("{} {}", control.letter, control.name), trips];
        let (mut near, mut measured, mut predicted) = (None, Vec::new(), Vec::new());
        for micros in size.round_trips {
            bed.delay(Duration::from_micros(*micros)).await;
            let figures = run(bed, control, usual(size, 1)).await?;
            part.check(control, &format!("{micros} µs away"), &figures);
            let rate = figures.won_rate().max(0.1);
            let without = *near.get_or_insert(rate);
            let law = control.trips_locked.map(|trips| {
                let seconds = *micros as f64 / 1e6;
                1.0 / (1.0 / without + f64::from(trips) * seconds)
            });
            cells.extend([number(rate), law.map_or("–".to_owned(), number)]);
            let place = (*micros as f64 / 1e3).max(0.1);
            measured.push((place, rate));
            predicted.extend(law.map(|law| (place, law)));
        }
        if ['C', 'F', 'I', 'S'].contains(&control.letter) {
            let name = format!("{} {}", control.letter, control.name);
            series.push(Series { name: name.clone(), points: measured, is_dashed: false });
            if !predicted.is_empty() {
                series.push(Series { name: format!("{name}, law"), points: predicted, is_dashed: true });
            }
        }
        table.row(cells);
    }
    bed.delay(Duration::ZERO).await;
    part.add(&format!("Charges per second on one hot row by round-trip time, {} connections", size.usual()), &table);
    let tick = |micros: &u64| ((*micros as f64 / 1e3).max(0.1), format!("{} ms", *micros as f64 / 1e3));
    part.charts.push((
        "latency.svg",
        LineChart {
            title: "One hot row: charges per second by round-trip time".to_owned(),
            x: "round-trip time between server and database".to_owned(),
            y: "charges per second".to_owned(),
            ticks: size.round_trips.iter().map(tick).collect(),
            series,
        },
    ));
    Ok(part)
}
