//! Answers as clients saw them, and their statistics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use onsale_testing::auditor::Record;

use super::calls::{Call, Kind};

/// One answer as a client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// When its request was due, in milliseconds since the run began.
    pub(super) at: u32,
    pub(super) call: Call,
    /// Status code; 0 if there was no answer.
    pub(super) status: u16,
    /// Code of the problem; empty for a success.
    pub(super) code: &'static str,
    /// From the instant at which the request was due until its answer arrived, in microseconds.
    pub(super) micros: u32,
}

impl Sample {
    /// The kind of the answer.
    pub(super) fn kind(&self) -> Kind {
        self.call.kind(self.status, self.code)
    }
}

/// What a generator brought back.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) samples: Vec<Sample>,
    /// The answers of the waiting room, for the auditor.
    pub(super) records: Vec<Record>,
    /// What became of the persons, each counted once: `paid`, `nothing left` and other ends.
    pub(super) ends: BTreeMap<&'static str, u64>,
    /// Seats of payments: performance and number, as often as an answer showed them to a new buyer.
    pub(super) paid: Vec<(u32, u32)>,
    /// Persons who were due and did not start.
    pub(super) dropped: u64,
    /// Delays between due and sent, in microseconds.
    pub(super) late: Vec<u32>,
    /// Requests whose answers were cut.
    pub(super) cut: u64,
}

impl Answers {
    /// Adds those of another thread, or of a later level.
    pub(super) fn merge(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.records.extend(other.records);
        other.ends.into_iter().for_each(|(end, count)| *self.ends.entry(end).or_default() += count);
        self.paid.extend(other.paid);
        self.dropped += other.dropped;
        self.late.extend(other.late);
        self.cut += other.cut;
    }
}

/// Codes of problems. There are few, and each is kept until the end of the process.
pub(super) fn interned(code: &str) -> &'static str {
    static CODES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    if code.is_empty() {
        return "";
    }
    let mut codes = CODES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = codes.get(code) {
        return known;
    }
    let new: &'static str = Box::leak(code.into());
    codes.insert(new);
    new
}

/// The statistics of some answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Summary {
    pub(super) count: usize,
    pub(super) shed: usize,
    pub(super) failed: usize,
    /// Latencies of good answers, in milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) longest: f64,
    /// Status and code of all answers that are no success, with their number.
    pub(super) problems: BTreeMap<(u16, &'static str), usize>,
}

impl Summary {
    /// The statistics of these answers.
    pub(super) fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let (mut summary, mut good) = (Self::default(), Vec::new());
        for sample in samples {
            summary.count += 1;
            match sample.kind() {
                Kind::Good => good.push(sample.micros),
                Kind::Shed => summary.shed += 1,
                Kind::Failed => summary.failed += 1,
            }
            if !(200..300).contains(&sample.status) {
                *summary.problems.entry((sample.status, sample.code)).or_default() += 1;
            }
        }
        good.sort_unstable();
        (summary.p50, summary.p99, summary.longest) =
            (permille(&good, 500), permille(&good, 990), permille(&good, 1_000));
        summary
    }

    /// The problems in words: the most frequent first.
    pub(super) fn problems(&self) -> String {
        let mut problems: Vec<_> = self.problems.iter().collect();
        problems.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let word = |((status, code), count): (&(u16, &str), &usize)| match status {
            0 => format!("{count} without an answer"),
            _ => format!("{count} × {status} {code}"),
        };
        problems.into_iter().take(4).map(word).collect::<Vec<_>>().join(", ")
    }
}

/// The value in milliseconds that this many of a thousand do not exceed; 0 without values. They are sorted.
pub(super) fn permille(sorted_micros: &[u32], permille: usize) -> f64 {
    let rank = (sorted_micros.len() * permille).div_ceil(1_000);
    sorted_micros.get(rank.saturating_sub(1)).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
}

/// Answers by call, in the order of the calls.
pub(super) fn by_call(samples: &[Sample]) -> BTreeMap<Call, Vec<&Sample>> {
    let mut calls: BTreeMap<Call, Vec<&Sample>> = BTreeMap::new();
    samples.iter().for_each(|sample| calls.entry(sample.call).or_default().push(sample));
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_good_answers_count_for_latency_and_all_problems_are_named() {
        let sample = |call, status, code, micros| Sample { at: 0, call, status, code, micros };
        let mut samples: Vec<Sample> = (1..=100).map(|number| sample(Call::Hold, 201, "", number * 1_000)).collect();
        samples.extend([
            sample(Call::Hold, 409, interned("seat-taken"), 500),
            sample(Call::Hold, 503, interned("overloaded"), 9_000_000),
            sample(Call::Hold, 0, "", 9_000_000),
            sample(Call::Hold, 503, interned("unavailable"), 1),
        ]);
        let summary = Summary::of(&samples);
        assert_eq!((summary.count, summary.shed, summary.failed), (104, 1, 2));
        assert!((summary.p50 - 50.0).abs() < 1e-9 && (summary.longest - 100.0).abs() < 1e-9, "{summary:?}");
        assert!(summary.problems().contains("1 without an answer") && summary.problems().contains("409 seat-taken"));
        assert_eq!((permille(&[], 990), by_call(&samples)[&Call::Hold].len()), (0.0, 104));
    }
}
