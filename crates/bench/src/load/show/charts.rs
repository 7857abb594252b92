//! The charts of a run: answers and latencies over time.

use onsale_report::{TimeChart, TimeSeries};
use serde_json::Value;

use super::super::record::Record;

/// Runs shorter than this have no chart, in seconds.
const SHORTEST: usize = 5;

/// The name of the file of a run's chart; `None` if it has none.
pub(super) fn file(record: &Record) -> Option<String> {
    let [scenario, deployment, generator] = ["scenario", "deployment", "generator"].map(|name| record.text(name));
    (record.list("seconds").len() >= SHORTEST).then(|| format!("load-{scenario}-{deployment}-{generator}.svg"))
}

/// The chart of a run.
pub(super) fn chart(record: &Record) -> TimeChart {
    let column = |name: &str, index: usize| TimeSeries {
        name: name.to_owned(),
        points: record.list("seconds").iter().filter_map(|second| point(second, index)).collect(),
    };
    TimeChart {
        title: record.title(),
        x: "seconds after the first arrival".to_owned(),
        panels: vec![
            ("answers a second".to_owned(), vec![column("good", 1), column("shed", 2), column("failed", 3)]),
            ("p99, ms".to_owned(), vec![column("enter", 4), column("poll", 5), column("other calls", 6)]),
        ],
    }
}

fn point(second: &Value, index: usize) -> Option<(f64, f64)> {
    Some((second[0].as_f64()?, second[index].as_f64()?))
}
