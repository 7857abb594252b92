//! How good the estimates of waiting were: what the last place in line was told is noted every five seconds, and compared with
//! the actual wait when that place is admitted.

use std::collections::VecDeque;

use onsale_domain::time::Timestamp;
use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::pace::precise;
use super::standing::Wait;

/// An estimate is noted this often.
const NOTED_EVERY_MILLIS: i64 = 5_000;

/// The most estimates of a room whose places are not admitted yet. Beyond that the oldest is dropped.
const OPEN_MAX: usize = 1_024;

/// Shorter estimates are not noted: such a place is admitted before its client polls a second time.
const SECONDS_MIN: u64 = 2;

/// Buckets of the actual wait divided by the estimate.
const PARTS: [f64; 11] = [0.1, 0.25, 0.5, 0.8, 0.9, 1.0, 1.1, 1.25, 2.0, 4.0, 10.0];

/// Buckets of the difference between the two, in seconds.
const SECONDS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0];

/// When a wait ended, by the bounds that its client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum End {
    Before,
    Inside,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabel {
    bounds: End,
}

/// The measurements over all rooms.
#[derive(Clone, Debug)]
pub struct EstimateMetrics {
    parts: Histogram,
    seconds: Histogram,
    ends: Family<EndLabel, Counter>,
}

impl Default for EstimateMetrics {
    fn default() -> Self {
        let ends = Family::<EndLabel, Counter>::default();
        for bounds in [End::Before, End::Inside, End::After] {
            // Shown from the start, also without a wait.
            drop(ends.get_or_create(&EndLabel { bounds }));
        }
        Self { parts: Histogram::new(PARTS), seconds: Histogram::new(SECONDS), ends }
    }
}

impl EstimateMetrics {
    /// Registers the measurements with this registry.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Actual wait divided by the estimate that the last visitor in line got; sampled every 5 s";
        registry.register("waiting_room_wait_ratio", help, self.parts.clone());
        let help = "Difference between the actual and the estimated wait of the same visitors, in either direction";
        registry.register("waiting_room_estimate_error_seconds", help, self.seconds.clone());
        let help = "Waits of the same visitors by the bounds that they were told: ended before, inside or after them";
        registry.register("waiting_room_waits", help, self.ends.clone());
    }

    fn observe(&self, told: &Estimate, at: Timestamp) {
        let waited = told.at.millis_until(at);
        let (waited_seconds, promised) = (seconds(waited), precise(told.wait.seconds));
        self.parts.observe(waited_seconds / promised);
        self.seconds.observe((waited_seconds - promised).abs());
        let waited = u64::try_from(waited).unwrap_or(0);
        let bounds = if waited < told.wait.low * 1_000 {
            End::Before
        } else if waited <= told.wait.high * 1_000 {
            End::Inside
        } else {
            End::After
        };
        self.ends.get_or_create(&EndLabel { bounds }).inc();
    }
}

/// An estimate that a client got.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    place: u64,
    at: Timestamp,
    wait: Wait,
}

/// The estimates of one room whose places are not admitted yet, in the order of places. The lock is held for a moment, and no
/// other lock is taken meanwhile.
#[derive(Debug, Default)]
pub(super) struct Estimates(Mutex<VecDeque<Estimate>>);

impl Estimates {
    /// Compares the estimates of places up to `served`, which are admitted, with their actual waits.
    pub(super) fn settle(&self, served: u64, at: Timestamp, metrics: &EstimateMetrics) {
        let mut open = self.0.lock();
        while let Some(told) = open.front().copied().filter(|told| told.place <= served) {
            open.pop_front();
            metrics.observe(&told, at);
        }
    }

    /// Whether it is time to note the estimate of this place: it has to be further back than the last one.
    pub(super) fn is_due(&self, place: u64, at: Timestamp) -> bool {
        let open = self.0.lock();
        open.back().is_none_or(|told| told.place < place && told.at.millis_until(at) >= NOTED_EVERY_MILLIS)
    }

    /// Notes what a place was told.
    pub(super) fn note(&self, place: u64, at: Timestamp, wait: Wait) {
        if wait.seconds < SECONDS_MIN {
            return;
        }
        let mut open = self.0.lock();
        if open.len() == OPEN_MAX {
            open.pop_front();
        }
        open.push_back(Estimate { place, at, wait });
    }
}

#[expect(clippy::cast_precision_loss, reason = "a measurement needs no more than 53 bits")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn wait(seconds: u64) -> Wait {
        Wait { seconds, low: seconds / 2, high: seconds + 5 }
    }

    fn shown(metrics: &EstimateMetrics) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        metrics.register(&mut registry);
        encode(&mut text, &registry).unwrap_or_default();
        text
    }

    #[test]
    fn an_estimate_is_compared_with_the_actual_wait() {
        let (metrics, estimates) = (EstimateMetrics::default(), Estimates::default());
        let at = |second: i64| Timestamp::from_millis(second * 1_000);
        assert!(estimates.is_due(10, at(0)));
        estimates.note(10, at(0), wait(20));
        assert!(!estimates.is_due(11, at(4)), "not so soon");
        assert!(!estimates.is_due(10, at(9)), "no place further back");
        assert!(estimates.is_due(30, at(5)));
        estimates.note(30, at(5), wait(40));
        estimates.settle(9, at(19), &metrics);
        assert!(shown(&metrics).contains("waiting_room_wait_ratio_count 0"));
        estimates.settle(10, at(18), &metrics);
        let text = shown(&metrics);
        assert!(text.contains("waiting_room_wait_ratio_sum 0.9\n"), "{text}");
        assert!(text.contains("waiting_room_estimate_error_seconds_sum 2.0\n"), "{text}");
        estimates.settle(99, at(65), &metrics);
        let text = shown(&metrics);
        assert!(text.contains("waiting_room_wait_ratio_sum 2.4\n"), "{text}");
        assert!(text.contains("waiting_room_estimate_error_seconds_count 2\n"), "{text}");
        assert!(text.contains("waiting_room_waits_total{bounds=\"Inside\"} 1\n"), "{text}");
        assert!(text.contains("waiting_room_waits_total{bounds=\"After\"} 1\n"), "{text}");
    }

    #[test]
    fn a_place_that_is_admitted_at_once_is_not_measured() {
        let (metrics, estimates) = (EstimateMetrics::default(), Estimates::default());
        estimates.note(1, Timestamp::default(), wait(1));
        estimates.settle(1, Timestamp::from_millis(3), &metrics);
        assert!(shown(&metrics).contains("waiting_room_wait_ratio_count 0"));
    }
}
