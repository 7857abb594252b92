//! How good the estimates of waiting were: now and then it is noted what the last one in line is told, and once that
//! place is called, how long it took.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use onsale_domain::time::Timestamp;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// How often it is noted.
const NOTED_EVERY_MILLIS: i64 = 5_000;

/// How many may be open in a room: those noted first are given up first.
const OPEN_MAX: usize = 1_024;

/// A shorter wait is over before it was looked at twice.
const SECONDS_MIN: u64 = 2;

/// How long people waited, as a part of what they were told.
const PARTS: [f64; 11] = [0.1, 0.25, 0.5, 0.8, 0.9, 1.0, 1.1, 1.25, 2.0, 4.0, 10.0];

/// By how many seconds the estimate was off.
const SECONDS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0];

/// What is measured over all rooms.
#[derive(Clone, Debug)]
pub struct EstimateMetrics {
    parts: Histogram,
    seconds: Histogram,
}

impl Default for EstimateMetrics {
    fn default() -> Self {
        Self { parts: Histogram::new(PARTS), seconds: Histogram::new(SECONDS) }
    }
}

impl EstimateMetrics {
    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Actual wait divided by the estimate that the last visitor in line got; sampled every 5 s";
        registry.register("waiting_room_wait_ratio", help, self.parts.clone());
        let help = "Difference between the actual and the estimated wait of the same visitors, in either direction";
        registry.register("waiting_room_estimate_error_seconds", help, self.seconds.clone());
    }
}

/// What somebody was told.
#[derive(Clone, Copy, Debug)]
struct Told {
    place: u64,
    at: Timestamp,
    /// When it would be called, as it was told.
    called_at: Timestamp,
}

/// Those of one room that are still open, by place.
#[derive(Debug, Default)]
pub(super) struct Estimates(Mutex<VecDeque<Told>>);

impl Estimates {
    /// Places up to `served` were called.
    pub(super) fn settle(&self, served: u64, at: Timestamp, metrics: &EstimateMetrics) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(told) = open.front().copied().filter(|told| told.place <= served) {
            open.pop_front();
            let promised = told.at.millis_until(told.called_at);
            let (waited, promised) = (seconds(told.at.millis_until(at)), seconds(promised));
            metrics.parts.observe(waited / promised);
            metrics.seconds.observe((waited - promised).abs());
        }
    }

    /// Whether it is time to note another one, further back than the last.
    pub(super) fn is_due(&self, place: u64, at: Timestamp) -> bool {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.back().is_none_or(|told| told.place < place && told.at.millis_until(at) >= NOTED_EVERY_MILLIS)
    }

    /// Whoever has this place is told to wait so long.
    pub(super) fn note(&self, place: u64, at: Timestamp, seconds: u64) {
        if seconds < SECONDS_MIN {
            return;
        }
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() == OPEN_MAX {
            open.pop_front();
        }
        let called_at = at.plus_seconds(u32::try_from(seconds).unwrap_or(u32::MAX));
        open.push_back(Told { place, at, called_at });
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

    fn shown(metrics: &EstimateMetrics) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        metrics.register(&mut registry);
        encode(&mut text, &registry).unwrap_or_default();
        text
    }

    #[test]
    fn what_was_told_is_held_against_what_came() {
        let (metrics, estimates) = (EstimateMetrics::default(), Estimates::default());
        let at = |second: i64| Timestamp::from_millis(second * 1_000);
        assert!(estimates.is_due(10, at(0)));
        estimates.note(10, at(0), 20);
        assert!(!estimates.is_due(11, at(4)), "not so soon");
        assert!(!estimates.is_due(10, at(9)), "nobody came since");
        assert!(estimates.is_due(30, at(5)));
        estimates.note(30, at(5), 40);
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
    }

    #[test]
    fn who_is_called_at_once_says_nothing_of_estimates() {
        let (metrics, estimates) = (EstimateMetrics::default(), Estimates::default());
        estimates.note(1, Timestamp::default(), 1);
        estimates.settle(1, Timestamp::from_millis(3), &metrics);
        assert!(shown(&metrics).contains("waiting_room_wait_ratio_count 0"));
    }
}
