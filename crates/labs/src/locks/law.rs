//! What a distance between server and database costs on one hot row, measured and predicted, and what batches are worth.

use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_report::{LineChart, Series, Table, number};

use super::bed::Bed;
use super::controls::{Control, Needs, control};
use super::harness::{Figures, Load, run};
use super::tables::{Part, Size, charges, millis, title};

/// Controls whose lines are drawn: the others lie next to one of these.
const DRAWN: [char; 4] = ['C', 'F', 'I', 'S'];

/// Clients of the runs that compare sizes of batches: more than the largest batch waits for.
const CLIENTS: usize = 512;

/// A place in the chart for no distance: the axis is logarithmic.
const NEAR_MILLIS: f64 = 0.1;

/// A distance: what the proxy adds, and what a round trip of an idle connection then takes more.
#[derive(Clone, Copy)]
struct Distance {
    micros: u64,
    added: Duration,
}

impl Distance {
    fn millis(self) -> f64 {
        self.micros as f64 / 1e3
    }
}

/// Decisions per second on one hot row by the distance of the database, measured and predicted; then by size of batches.
///
/// The law: while a hot row is locked, no other client can change it. So its rate is at most
/// `changes / (t0 + trips × round trip)`: `t0` is what a lock takes without distance, `changes` are those made under one lock
/// (1 without batches), and `trips` counts the round trips between the lock and the end of the commit.
pub(crate) async fn law(bed: &mut Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let distances = distances(bed, size).await?;
    let mut head = vec!["control".to_owned(), "round trips while locked".to_owned()];
    for distance in &distances {
        let shown = distance.millis();
        let predicted = (distance.micros > 0).then(|| format!("predicted at {shown} ms"));
        head.extend([Some(format!("{shown} ms")), predicted].into_iter().flatten());
    }
    let (mut table, mut series) = (Table::new(head), Vec::new());
    for control in size.controls().filter(|control| control.needs != Needs::Sqlite) {
        let (cells, lines) = row(bed, &mut part, control, &distances, size).await?;
        table.row(cells);
        series.extend(lines);
    }
    bed.distance(Duration::ZERO);
    part.add(&format!("Charges per second on one hot row by round-trip time, {} clients", size.usual()), &table);
    let added: Vec<String> = distances.iter().map(|distance| number(distance.added.as_secs_f64() * 1e3)).collect();
    part.text.push_str(&format!(
        "A round trip of an idle connection through the proxy took longer than one without it by {} ms; the prediction uses \
         these times. Kafka (P) stays near: only its consumer's way to the database is longer. ",
        added.join(", ")
    ));
    part.add_remark();
    let tick = |distance: &Distance| (distance.millis().max(NEAR_MILLIS), format!("{} ms", distance.millis()));
    let chart = LineChart {
        title: "One hot row: charges per second by round-trip time, and the law".to_owned(),
        x: "round-trip time between server and database".to_owned(),
        y: "charges per second".to_owned(),
        ticks: distances.iter().map(tick).collect(),
        series,
    };
    part.charts.push(("latency.svg", chart));
    batches(bed, &mut part, &distances, size).await?;
    Ok(part)
}

async fn distances(bed: &mut Bed, size: Size) -> Outcome<Vec<Distance>> {
    let (mut distances, near) = (Vec::new(), bed.round_trip().await?);
    for micros in size.round_trips {
        bed.distance(Duration::from_micros(*micros));
        let added = if *micros == 0 { Duration::ZERO } else { bed.round_trip().await?.saturating_sub(near) };
        distances.push(Distance { micros: *micros, added });
    }
    bed.distance(Duration::ZERO);
    Ok(distances)
}

/// Measures a control at each distance. Returns its line of the table, and its lines of the chart.
async fn row(
    bed: &mut Bed,
    part: &mut Part,
    control: &'static Control,
    distances: &[Distance],
    size: Size,
) -> Outcome<(Vec<String>, Vec<Series>)> {
    let trips = control.trips_locked.map_or("–".to_owned(), |trips| trips.to_string());
    let mut cells = vec![title(control), trips];
    let (mut near, mut measured, mut predicted) = (None, Vec::new(), Vec::new());
    for distance in distances {
        bed.distance(Duration::from_micros(distance.micros));
        let figures = run(bed, control, charges(size, 1, size.seconds[2])).await?;
        part.check(control, &format!("{} µs away", distance.micros), &figures);
        let place = distance.millis().max(NEAR_MILLIS);
        measured.push((place, figures.won_rate().max(0.1)));
        cells.push(part.rate(&figures));
        let seconds_near = *near.get_or_insert(under_one_lock(&figures) / figures.won_rate().max(0.1));
        let law = control
            .trips_locked
            .map(|trips| under_one_lock(&figures) / (seconds_near + f64::from(trips) * distance.added.as_secs_f64()));
        predicted.extend(law.map(|law| (place, law)));
        if distance.micros > 0 {
            cells.push(law.map_or("–".to_owned(), number));
        }
    }
    let mut lines = Vec::new();
    if DRAWN.contains(&control.letter) {
        lines.push(Series { name: title(control), points: measured, is_dashed: false });
        lines.push(Series { name: format!("{}, law", title(control)), points: predicted, is_dashed: true });
    }
    Ok((cells, lines))
}

/// Changes made under one lock: those of a batch, or one.
fn under_one_lock(figures: &Figures) -> f64 {
    figures.per_batch.max(1.0)
}

/// Decisions per second and latencies of the lane by size of its batches, near and at the farthest distance.
async fn batches(bed: &mut Bed, part: &mut Part, distances: &[Distance], size: Size) -> Outcome<()> {
    let lane = control("S").ok_or("no lane")?;
    let ends = [distances.first(), distances.last()].into_iter().flatten().copied();
    let mut head = vec!["commands in a batch at most".to_owned()];
    head.extend(ends.clone().flat_map(|distance| {
        ["changes in a batch", "charges/s", "p50 ms", "p99 ms"]
            .map(|what| format!("{what} at {} ms", distance.millis()))
    }));
    let (mut table, mut lines) = (Table::new(head), vec![Vec::new(); 2]);
    for batch_max in size.batches {
        let mut cells = vec![batch_max.to_string()];
        for (line, distance) in lines.iter_mut().zip(ends.clone()) {
            bed.distance(Duration::from_micros(distance.micros));
            let load = Load { connections: CLIENTS, batch_max: *batch_max, ..charges(size, 1, size.seconds[2]) };
            let figures = run(bed, lane, load).await?;
            part.check(lane, &format!("batches of {batch_max}"), &figures);
            let times = [500, 990].map(|permille| millis(&figures.times, permille));
            cells.extend([number(figures.per_batch), part.rate(&figures)].into_iter().chain(times));
            line.push((*batch_max as f64, figures.times.millis(500).max(0.01)));
        }
        table.row(cells);
    }
    bed.distance(Duration::ZERO);
    part.add(&format!("The lane (S) on one hot row by size of batches, {CLIENTS} clients that wait"), &table);
    part.add_remark();
    let series = lines.into_iter().zip(ends).map(|(points, distance)| Series {
        name: format!("{} ms away", distance.millis()),
        points,
        is_dashed: false,
    });
    let chart = LineChart {
        title: format!("{CLIENTS} clients on one hot row: median wait by size of batches"),
        x: "commands in a batch at most".to_owned(),
        y: "milliseconds to the answer".to_owned(),
        ticks: size.batches.iter().map(|batch| (*batch as f64, batch.to_string())).collect(),
        series: series.collect(),
    };
    part.charts.push(("batches.svg", chart));
    Ok(())
}
