//! The measured tables: speed by contention, by connections, and on the last places.

use std::collections::BTreeMap;

use onsale_load_generator::{Histogram, Outcome};
use onsale_report::{LineChart, Series, Table, number};

use super::bed::Bed;
use super::controls::{CONTROLS, Claim, Control, Needs};
use super::harness::{Figures, GENERATOR_PERCENT_MAX, Load, Span, Spread, WINDOWS, per, run};
use super::lane::BATCH_MAX;
use super::scene::Constraints;
use super::session::Pause;

/// How long and how wide the tables measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Letters of the controls.
    pub(crate) letters: &'static str,
    /// Seconds of each run by number of rows, of each run by number of connections, and of every other one.
    pub(crate) seconds: [f64; 3],
    /// Numbers of wallets, one column each.
    pub(crate) wallets: &'static [u32],
    /// Numbers of connections, one column each.
    pub(crate) connections: &'static [usize],
    /// Added round-trip times, in microseconds.
    pub(crate) round_trips: &'static [u64],
    /// Maximum numbers of commands in a batch.
    pub(crate) batches: &'static [usize],
}

impl Size {
    pub(crate) const FULL: Self = Self {
        letters: "ABCDEFGHIJLMNOPQRS",
        seconds: [0.8, 0.6, 0.8],
        wallets: &[1, 8, 64, 1_024, 10_000],
        connections: &[8, 64, 256],
        round_trips: &[0, 500, 2_000],
        batches: &[1, 4, 16, 64, 256, 512],
    };
    pub(crate) const QUICK: Self = Self {
        seconds: [0.2; 3],
        wallets: &[1, 10_000],
        connections: &[32],
        round_trips: &[0, 2_000],
        batches: &[1, 16, 256],
        ..Self::FULL
    };
    /// For the test that keeps the laboratory working.
    #[cfg(test)]
    pub(crate) const TINY: Self = Self {
        letters: "ABMNRS",
        seconds: [0.1; 3],
        wallets: &[1],
        connections: &[4],
        round_trips: &[0, 100],
        batches: &[4],
    };

    /// The controls that are measured.
    pub(crate) fn controls(self) -> impl Iterator<Item = &'static Control> {
        CONTROLS.iter().filter(move |control| self.letters.contains(control.letter))
    }

    /// The connections of all tables but the one about connections.
    pub(crate) fn usual(self) -> usize {
        self.connections[self.connections.len() / 2]
    }
}

/// A document part: Markdown, and charts by file name.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) charts: Vec<(&'static str, LineChart)>,
    /// A control that did not behave as claimed.
    pub(crate) alarms: Vec<String>,
    /// Distances between the windows of each run, in percent of its median.
    spreads: Vec<f64>,
}

impl Part {
    /// A part of this text.
    pub(crate) fn of(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    pub(crate) fn add(&mut self, title: &str, table: &Table) {
        self.text.push_str(&format!("### {title}\n\n{table}\n"));
    }

    /// Raises an alarm if a control that must hold under load was seen to fail. A Redis lock is not among these: a client that
    /// the machine stops for longer than the lock lives is a fault of its own.
    pub(crate) fn check(&mut self, control: &Control, what: &str, figures: &Figures) {
        let must_hold = !matches!(control.claim, Claim::FailsAtOnce | Claim::FailsIfStopped);
        if must_hold && !figures.verdict.holds() {
            self.alarms.push(format!("{} on {what}: {}", title(control), figures.verdict));
        }
    }

    /// A rate as the cell of a table.
    pub(crate) fn rate(&mut self, figures: &Figures) -> String {
        self.spreads.push(figures.spread_percent());
        let void = if figures.is_void() { " †" } else { "" };
        format!("{}{void}", number(figures.won_rate()))
    }

    /// How the rates of this part were made.
    pub(crate) fn add_remark(&mut self) {
        let mut spreads = std::mem::take(&mut self.spreads);
        spreads.sort_by(f64::total_cmp);
        let middle = spreads.get(spreads.len() / 2).copied().unwrap_or_default();
        self.text.push_str(&format!(
            "Each rate is the median of the {} counted windows of its run. The slowest and the fastest window are apart by \
             {middle:.0} % of the rate in the median run, and by {:.0} % in the worst.",
            WINDOWS - 1,
            spreads.last().copied().unwrap_or_default()
        ));
        if self.text.contains('†') {
            self.text.push_str(&format!(
                " † Void as a ceiling: the generator used more than {GENERATOR_PERCENT_MAX:.0} % of its core, so the control \
                 can do at least this."
            ));
        }
        self.text.push_str("\n\n");
    }
}

/// Letter and name of a control.
pub(crate) fn title(control: &Control) -> String {
    format!("{} {}", control.letter, control.name)
}

/// A load of charges in a closed loop.
pub(crate) fn charges(size: Size, wallets: u32, seconds: f64) -> Load {
    Load {
        wallets,
        spread: Spread::Even,
        connections: size.usual(),
        span: Span::Windows(seconds),
        initial: 0,
        amount: 1,
        constraints: Constraints::On,
        rate: None,
        pause: Pause::Random,
        batch_max: BATCH_MAX,
    }
}

pub(crate) fn millis(times: &Histogram, permille: u32) -> String {
    number(times.millis(permille))
}

/// Decisions per second by number of wallets, and a Zipf crowd; the cost of each at one hot wallet.
pub(crate) async fn contention(bed: &Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let spread: Vec<String> = size.wallets.iter().map(|wallets| rows(*wallets)).collect();
    let mut rates = Table::new(["control".to_owned()].into_iter().chain(spread).chain(["Zipf".to_owned()]));
    let mut costs = Table::new([
        "control, one hot row",
        "charges/s",
        "p50 ms at half",
        "p99 ms at half",
        "retries per charge",
        "database µs",
        "WAL bytes",
        "connections",
        "out of order %",
        "errors",
    ]);
    let mut series = Vec::new();
    for control in size.controls() {
        let (mut cells, mut points) = (vec![title(control)], Vec::new());
        for (index, wallets) in size.wallets.iter().enumerate() {
            let load = charges(size, *wallets, size.seconds[0]);
            let figures = run(bed, control, load).await?;
            part.check(control, &rows(*wallets), &figures);
            cells.push(part.rate(&figures));
            points.push((f64::from(*wallets), figures.won_rate().max(1.0)));
            if index == 0 {
                costs.row(cost(bed, control, &figures, load).await?);
            }
        }
        let most = size.wallets.last().copied().unwrap_or(1);
        let zipf = Load { spread: Spread::Zipf, ..charges(size, most, size.seconds[0]) };
        let zipf = run(bed, control, zipf).await?;
        part.check(control, "a Zipf crowd", &zipf);
        cells.push(part.rate(&zipf));
        rates.row(cells);
        series.push(Series { name: title(control), points, is_dashed: false });
    }
    let connections = size.usual();
    part.add(&format!("Charges per second by number of rows, {connections} clients"), &rates);
    part.add_remark();
    part.add(&format!("What a charge costs on one hot row, {connections} clients"), &costs);
    part.text.push_str(
        "Errors: 40001 is a serialization failure, 40P01 a deadlock, 55P03 a lock that is not available, 23505 a violated \
         unique index; the others are the words of the control. Database µs is processor time.\n\n",
    );
    let shown = ['B', 'C', 'F', 'H', 'N', 'P', 'R', 'S'];
    series.retain(|line| shown.iter().any(|letter| line.name.starts_with(*letter)));
    let chart = LineChart {
        title: "Charges per second by number of rows that they meet on".to_owned(),
        x: "rows".to_owned(),
        y: "charges per second".to_owned(),
        ticks: size.wallets.iter().map(|wallets| (f64::from(*wallets), number(f64::from(*wallets)))).collect(),
        series,
    };
    part.charts.push(("contention.svg", chart));
    Ok(part)
}

fn rows(wallets: u32) -> String {
    let shown =
        if wallets < 10 { wallets.to_string() } else { number(f64::from(wallets)).trim_end_matches(".0").to_owned() };
    format!("{shown} {}", if wallets == 1 { "row" } else { "rows" })
}

/// A line of costs: an open loop at half of the rate of the closed one gives honest latencies.
async fn cost(bed: &Bed, control: &'static Control, closed: &Figures, load: Load) -> Outcome<Vec<String>> {
    let half = run(bed, control, Load { rate: Some(closed.rate() / 2.0), ..load }).await?;
    let of_database = |value: f64| if control.needs == Needs::Sqlite { "–".to_owned() } else { number(value) };
    let errors: BTreeMap<&str, u64> = closed.failures.iter().map(|(class, count)| (class.as_str(), *count)).collect();
    let mut errors: Vec<String> = errors.iter().map(|(class, count)| format!("{class}: {count}")).collect();
    if half.accepted.total() > 0 {
        let (p50, p99) = (millis(&half.accepted, 500), millis(&half.accepted, 990));
        errors.push(format!("accepted after p50 {p50}, p99 {p99} ms"));
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a short run are exact in a float")]
    let won = closed.won.max(1) as f64;
    Ok(vec![
        title(control),
        number(closed.won_rate()),
        millis(&half.times, 500),
        millis(&half.times, 990),
        number(per(closed.retries, won)),
        of_database(closed.database_micros),
        of_database(closed.wal_bytes),
        closed.connections.to_string(),
        number(closed.verdict.inversions_percent),
        errors.join(", "),
    ])
}

/// Decisions per second by number of clients, on one row and on many.
pub(crate) async fn connections(bed: &Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let most = size.wallets.last().copied().unwrap_or(1);
    let spans = [1, most];
    let head = spans.into_iter().flat_map(|wallets| {
        size.connections.iter().map(move |connections| format!("{connections} on {}", rows(wallets)))
    });
    let mut table = Table::new(["control".to_owned()].into_iter().chain(head));
    for control in size.controls() {
        let mut cells = vec![title(control)];
        for wallets in spans {
            for connections in size.connections {
                let load = Load { connections: *connections, ..charges(size, wallets, size.seconds[1]) };
                let figures = run(bed, control, load).await?;
                part.check(control, &format!("{connections} clients"), &figures);
                cells.push(part.rate(&figures));
            }
        }
        table.row(cells);
    }
    part.add("Charges per second by number of clients", &table);
    part.add_remark();
    Ok(part)
}

/// The last 30 places: winners and refusals are different work, and are counted apart.
pub(crate) async fn last_places(bed: &Bed, size: Size) -> Outcome<Part> {
    const PLACES: i64 = 30;
    let mut part = Part::default();
    let mut table = Table::new(["control", "winners of 30", "refusals/s", "p99 ms of all", "verdict"]);
    for control in size.controls() {
        let seconds = size.seconds[2] / 2.0;
        let load = charges(size, 1, seconds);
        let figures =
            run(bed, control, Load { initial: PLACES, amount: -1, span: Span::Seconds(seconds), ..load }).await?;
        part.check(control, "the last places", &figures);
        table.row([
            title(control),
            figures.won.to_string(),
            number(per(figures.refused, figures.seconds)),
            millis(&figures.times, 990),
            figures.verdict.cell(),
        ]);
    }
    part.add(&format!("The last {PLACES} places of a lecture, {} applicants at a time", size.usual()), &table);
    Ok(part)
}
