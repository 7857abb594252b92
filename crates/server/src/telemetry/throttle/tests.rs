use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `log` under a throttle and returns the lines that were written, as JSON. The test writes the counts itself.
fn written(log: impl FnOnce(&Throttle)) -> Vec<serde_json::Value> {
    let (throttle, written) = (Throttle::new(EVERY), Written::default());
    let into = written.clone();
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || into.clone());
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(throttle.clone()));
    tracing::subscriber::with_default(subscriber, || log(&throttle));
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn repeated(line: &serde_json::Value) -> u64 {
    line["repeated"].as_u64().unwrap_or(0)
}

#[test]
fn the_first_line_of_a_kind_is_written_at_once_and_repetitions_are_counted() {
    let lines = written(|throttle| {
        for number in 0..1_000 {
            tracing::warn!(attempt = number, status = 503 + number % 2, "a request failed");
        }
        throttle.write_counts(Instant::now(), false);
        throttle.write_counts(Instant::now() + EVERY, false);
        // One more repetition after the count, then none.
        tracing::warn!("another line");
        throttle.write_counts(Instant::now() + EVERY * 3, false);
        throttle.write_counts(Instant::now() + EVERY * 5, false);
    });
    let failed: Vec<_> = lines.iter().filter(|line| line["message"] == "a request failed").collect();
    assert_eq!(failed.iter().map(|line| repeated(line)).collect::<Vec<_>>(), [0, 0, 499, 499], "{lines:#?}");
    assert!(failed[2]["last"].as_str().unwrap().contains("status="), "{lines:#?}");
    assert_eq!((failed[2]["level"].as_str(), failed[2]["seconds"].as_u64()), (Some("WARN"), Some(10)));
    assert_eq!(lines.len(), 5);
}

#[test]
fn a_rare_error_does_not_hide_behind_a_frequent_one_of_the_same_place() {
    let lines = written(|_| {
        for error in ["time-out", "time-out", "refused"] {
            tracing::warn!(error, "a read failed");
        }
    });
    let errors: Vec<&str> = lines.iter().filter_map(|line| line["error"].as_str()).collect();
    assert!(errors.starts_with(&["time-out", "refused"]), "{lines:#?}");
}

#[test]
fn a_line_after_a_quiet_time_is_written_at_once() {
    let lines = written(|throttle| {
        for _ in 0..2 {
            let note = || tracing::error!("a unit of work failed");
            note();
            throttle.write_counts(Instant::now() + EVERY, false);
        }
    });
    assert_eq!(lines.iter().map(repeated).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn dropping_the_guard_writes_the_remaining_counts() {
    let lines = written(|throttle| {
        for _ in 0..3 {
            tracing::info!(reason = "expired", "bearers refused");
        }
        drop(LogGuard(throttle.clone()));
    });
    assert_eq!(lines.iter().map(repeated).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(lines[1]["level"], "INFO");
}

#[test]
fn messages_that_never_repeat_are_throttled_too() {
    let lines = written(|throttle| {
        for number in 0..1_000 {
            tracing::warn!("number {number} failed");
        }
        throttle.write_counts(Instant::now() + EVERY, false);
    });
    assert_eq!(lines.len(), KINDS_MAX + 2, "{lines:#?}");
    assert_eq!(lines.iter().map(|line| repeated(line).max(1)).sum::<u64>(), 1_000);
}

#[test]
fn notes_without_a_reason_are_not_throttled() {
    let lines = written(|_| {
        for number in 0..100 {
            tracing::info!(number, "a room was opened");
        }
    });
    assert_eq!(lines.len(), 100);
}
