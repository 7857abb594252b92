//! What this process answered in the last minute: durations by route, and refusals by code.
//!
//! A request adds 1 to one counter. Once a second the counters are read, and the differences are kept for a minute.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Buckets of each doubling of the duration: a duration is known to 12 %.
const EACH_DOUBLING: usize = 8;

/// Durations from 1 µs to 2^24 µs (16.8 s). A longer one counts as that.
const BUCKETS: usize = 24 * EACH_DOUBLING;

/// Seconds that are kept.
const SECONDS_KEPT: usize = 60;

/// The durations of one route. Counters wrap, which no difference of a second notices.
#[derive(Debug)]
pub struct RouteTimes([AtomicU32; BUCKETS]);

impl RouteTimes {
    /// Counts an answer. One addition, without a lock.
    pub fn add(&self, took: Duration) {
        self.0[bucket(took)].fetch_add(1, Ordering::Relaxed);
    }
}

/// The bucket of a duration.
#[expect(clippy::cast_possible_truncation, reason = "the logarithm is below 24, and the share below 8")]
fn bucket(took: Duration) -> usize {
    let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).clamp(1, (1 << 24) - 1);
    let doubling = micros.ilog2();
    // The three bits after the first one.
    let share = (u64::from(micros) << 3 >> doubling) as usize - EACH_DOUBLING;
    doubling as usize * EACH_DOUBLING + share
}

/// The middle of a bucket, in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "the numbers are below 200")]
fn middle_millis(bucket: usize) -> f64 {
    let (doubling, share) = (bucket / EACH_DOUBLING, bucket % EACH_DOUBLING);
    let micros = 2_f64.powf(doubling as f64) * (1.0 + (share as f64 + 0.5) / EACH_DOUBLING as f64);
    (micros / 10.0).round() / 100.0
}

/// Answers of one route in the last minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteFigures {
    /// Method of the route.
    pub method: String,
    /// Path of the route, with the names of its parameters.
    pub path: String,
    /// Number of answers.
    pub count: u64,
    /// The median of the durations, in milliseconds.
    pub p50: f64,
    /// 99 % of the durations are at most this, in milliseconds.
    pub p99: f64,
}

/// Answers of one process in the last minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerFigures {
    /// Refusals by code, the most frequent first.
    pub refusals: Vec<(String, u64)>,
    /// Routes that were called, the most frequent first.
    pub routes: Vec<RouteFigures>,
}

/// Method and path, as in the router.
type Route = (&'static str, &'static str);

/// What was answered in one second: counts by bucket of each route, and by code.
#[derive(Debug, Default)]
struct Second {
    routes: Vec<(Route, Vec<(usize, u32)>)>,
    refusals: Vec<(&'static str, u64)>,
}

/// Counts the answers of this process.
#[derive(Debug, Default)]
pub struct Answers {
    routes: Mutex<HashMap<Route, Arc<RouteTimes>>>,
    /// Refusals since the last second ended. Held for one addition: a refusal is not the common answer.
    refusals: Mutex<HashMap<&'static str, u64>>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The counters at the end of the last second.
    last: HashMap<Route, Vec<u32>>,
    /// The last 60 seconds, the newest at the back.
    seconds: VecDeque<Second>,
}

impl Answers {
    /// The counters of a route, to keep: finding them takes a lock.
    pub fn of(&self, method: &'static str, path: &'static str) -> Arc<RouteTimes> {
        let new = || Arc::new(RouteTimes(std::array::from_fn(|_| AtomicU32::new(0))));
        self.routes.lock().entry((method, path)).or_insert_with(new).clone()
    }

    /// Counts a refusal by its code.
    pub fn refused(&self, code: &'static str) {
        *self.refusals.lock().entry(code).or_default() += 1;
    }

    /// Ends a second: called once a second.
    pub(super) fn end_second(&self) {
        let routes: Vec<_> = self.routes.lock().iter().map(|(route, times)| (*route, times.clone())).collect();
        let refusals = std::mem::take(&mut *self.refusals.lock()).into_iter().collect();
        let mut kept = self.kept.lock();
        let mut second = Second { routes: Vec::new(), refusals };
        for (route, times) in routes {
            let last = kept.last.entry(route).or_insert_with(|| vec![0; BUCKETS]);
            let mut added = Vec::new();
            for (bucket, (counter, last)) in times.0.iter().zip(last).enumerate() {
                let now = counter.load(Ordering::Relaxed);
                if now != *last {
                    added.push((bucket, now.wrapping_sub(*last)));
                    *last = now;
                }
            }
            if !added.is_empty() {
                second.routes.push((route, added));
            }
        }
        kept.seconds.push_back(second);
        while kept.seconds.len() > SECONDS_KEPT {
            kept.seconds.pop_front();
        }
    }

    /// The figures of the last minute.
    pub(super) fn figures(&self) -> AnswerFigures {
        let kept = self.kept.lock();
        let (mut routes, mut refusals) = (HashMap::<Route, Vec<u64>>::new(), HashMap::<&str, u64>::new());
        for second in &kept.seconds {
            for (route, added) in &second.routes {
                let sums = routes.entry(*route).or_insert_with(|| vec![0; BUCKETS]);
                added.iter().for_each(|(bucket, count)| sums[*bucket] += u64::from(*count));
            }
            second.refusals.iter().for_each(|(code, count)| *refusals.entry(code).or_default() += count);
        }
        drop(kept);
        let mut routes: Vec<RouteFigures> = routes.into_iter().map(|(route, sums)| figures_of(route, &sums)).collect();
        routes.sort_by(|a, b| (b.count, &a.path, &a.method).cmp(&(a.count, &b.path, &b.method)));
        let mut refusals: Vec<_> = refusals.into_iter().map(|(code, count)| (code.to_owned(), count)).collect();
        refusals.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        AnswerFigures { refusals, routes }
    }
}

fn figures_of((method, path): Route, sums: &[u64]) -> RouteFigures {
    let count = sums.iter().sum::<u64>();
    let quantile = |percent: u64| {
        let rank = (count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = sums.iter().position(|sum| {
            seen += sum;
            seen >= rank
        });
        middle_millis(found.unwrap_or(0))
    };
    RouteFigures { method: method.to_owned(), path: path.to_owned(), count, p50: quantile(50), p99: quantile(99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_known_to_twelve_percent() {
        for micros in [1, 2, 3, 7, 8, 9, 100, 1_000, 4_321, 99_999, 1_000_000, 9_700_000] {
            let (took, expected) = (Duration::from_micros(micros), micros as f64 / 1_000.0);
            let shown = middle_millis(bucket(took));
            assert!((shown - expected).abs() <= expected * 0.07 + 0.005, "{micros} µs: {shown} ms");
        }
        assert_eq!(bucket(Duration::ZERO), bucket(Duration::from_micros(1)));
        assert_eq!(bucket(Duration::from_secs(3_600)), BUCKETS - 1);
    }

    #[test]
    fn figures_are_of_the_last_minute() {
        let answers = Answers::default();
        let (pay, poll) = (answers.of("POST", "/payments"), answers.of("GET", "/queue/token"));
        (0..98).for_each(|_| pay.add(Duration::from_millis(4)));
        (0..2).for_each(|_| pay.add(Duration::from_millis(80)));
        poll.add(Duration::from_micros(500));
        answers.refused("seat-taken");
        assert_eq!(answers.figures(), AnswerFigures::default(), "the second is not over");
        answers.end_second();
        answers.refused("seat-taken");
        answers.refused("overloaded");
        answers.end_second();
        let figures = answers.figures();
        assert_eq!(figures.refusals, [("seat-taken".to_owned(), 2), ("overloaded".to_owned(), 1)]);
        let [first, second] = &figures.routes[..] else { panic!("{figures:?}") };
        assert_eq!((&*first.path, first.count, &*second.path, second.count), ("/payments", 100, "/queue/token", 1));
        assert!((first.p50 - 4.0).abs() < 0.4 && (first.p99 - 80.0).abs() < 8.0, "{first:?}");
        (0..58).for_each(|_| answers.end_second());
        assert_eq!(answers.figures().routes.len(), 2);
        answers.end_second();
        assert!(answers.figures().routes.is_empty(), "the first second is over");
        answers.end_second();
        assert_eq!(answers.figures(), AnswerFigures::default());
    }

    #[test]
    fn a_counter_may_wrap() {
        let answers = Answers::default();
        let route = answers.of("GET", "/concerts");
        let bucket = bucket(Duration::from_millis(1));
        route.0[bucket].store(u32::MAX, Ordering::Relaxed);
        answers.end_second();
        (0..3).for_each(|_| route.add(Duration::from_millis(1)));
        (0..59).for_each(|_| answers.end_second());
        let counted = answers.figures().routes[0].count;
        assert_eq!(counted, u64::from(u32::MAX) + 3);
        answers.end_second();
        assert_eq!(answers.figures().routes[0].count, 3);
    }
}
