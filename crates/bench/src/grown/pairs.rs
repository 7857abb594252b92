//! Figures of two databases next to each other: the small one is the reference.

use std::time::Duration;

use onsale_load_generator::Histogram;

use crate::results::{Figure, Line, Results, Target};

/// How much slower the grown database may be.
const SLOWER: Target = Target::at_most(2.0);

/// The lines of one row of the suite.
pub(super) struct Pairs<'r> {
    pub(super) results: &'r mut Results,
    /// The database, which begins the name of each line.
    pub(super) database: &'static str,
}

impl Pairs<'_> {
    fn add(&mut self, what: &str, [small, grown]: [Figure; 2], ratio: Option<f64>) -> Line {
        Line { result: grown, reference: small, ratio, ..Line::new(format!("{}: {what}", self.database)) }
    }

    /// Figures without a target: sizes, and times that grow with the data.
    pub(super) fn figures(&mut self, what: &str, both: [Figure; 2]) {
        let line = self.add(what, both, None);
        self.results.add(line);
    }

    /// Figures whose ratio has a target.
    pub(super) fn values(&mut self, what: &str, values: [f64; 2], figure: fn(f64) -> Figure) {
        // Processor time comes in steps of 10 ms, so an idle process may have used none.
        let ratio = Some(values[1] / values[0]).filter(|ratio| ratio.is_finite());
        let line = self.add(what, values.map(figure), ratio);
        self.results.add(match ratio {
            Some(ratio) => line.judged(SLOWER, ratio),
            None => line,
        });
    }

    /// The p99 latencies of one kind of request, and their ratio.
    pub(super) fn latencies(&mut self, what: &str, connections: usize, both: &[Histogram; 2]) {
        let [small, grown] = [&both[0], &both[1]].map(|times| times.millis(990));
        let ratio = grown / small.max(f64::MIN_POSITIVE);
        let line = Line {
            connections,
            p50_millis: Some(both[1].millis(500)),
            p99_millis: Some(grown),
            ..self.add(what, [small, grown].map(precise), Some(ratio))
        };
        self.results.add(line.judged(SLOWER, ratio));
    }
}

/// A latency in milliseconds with two decimals.
pub(super) fn precise(millis: f64) -> Figure {
    Figure::Words(format!("{millis:.2} ms"))
}

/// A duration in seconds with two decimals.
pub(super) fn seconds(seconds: f64) -> Figure {
    Figure::Words(format!("{seconds:.2} s"))
}

/// Bytes in megabytes.
pub(super) fn megabytes(bytes: f64) -> Figure {
    Figure::Megabytes(bytes / (1_024.0 * 1_024.0))
}

/// A duration in seconds.
pub(super) fn in_seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
