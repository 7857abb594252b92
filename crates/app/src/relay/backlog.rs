//! Counts the events that wait. A task of its own counts them, because a round of the relay lasts as long as an outage.

use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tokio_util::sync::CancellationToken;

use super::{Backlog, Outage, Outbox};
use crate::conditions::{Conditions, Reason};

/// How often the task queries the backlog.
const QUERY_EVERY: Duration = Duration::from_secs(1);

/// A query that takes longer than this is reported as failed. It goes on, and no second query is started meanwhile.
const QUERY_WITHIN: Duration = Duration::from_secs(5);

/// If the oldest waiting event is older than this, the task logs it.
const OLD: Duration = Duration::from_secs(10);

/// The last answer of the database.
struct Last {
    backlog: Option<Backlog>,
    /// When the backlog was read; before the first answer, when the watch was created.
    read_at: Instant,
}

/// The task that counts the events that wait.
pub struct BacklogWatch {
    outbox: Arc<dyn Outbox>,
    /// Written by the task, read by every scrape; held for a copy only.
    last: Arc<Mutex<Last>>,
    /// Where `database`/`away` is raised, if no other task does.
    conditions: Option<Arc<Conditions>>,
    unread: Outage,
    waiting: Outage,
}

impl BacklogWatch {
    /// A watch with an outbox connection of its own: that of the relay is busy for as long as an outage.
    pub fn new(outbox: Arc<dyn Outbox>) -> Self {
        Self {
            outbox,
            last: Arc::new(Mutex::new(Last { backlog: None, read_at: Instant::now() })),
            conditions: None,
            unread: Outage::of("the events that wait cannot be counted; retrying"),
            waiting: Outage::of("events wait to be sent"),
        }
    }

    /// Raises `database`/`away` on this board while the database does not answer.
    #[must_use]
    pub fn shown_on(mut self, conditions: Arc<Conditions>) -> Self {
        conditions.clear("database", "away");
        self.conditions = Some(conditions);
        self
    }

    /// Shows `relay_pending`, `relay_oldest_seconds` and `relay_backlog_age_seconds`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Shown(self.last.clone())));
    }

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.query() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(QUERY_EVERY) => {}
            }
        }
    }

    async fn query(&self) {
        let mut query = self.outbox.backlog();
        let found = loop {
            match tokio::time::timeout(QUERY_WITHIN, &mut query).await {
                Ok(found) => break found,
                // The query goes on: a second one would burden a slow database even more.
                Err(_) => self.failed(format!("no answer within {} s", QUERY_WITHIN.as_secs())),
            }
        };
        match found {
            Ok(backlog) => {
                *self.last.lock() = Last { backlog: Some(backlog), read_at: Instant::now() };
                self.unread.over();
                if let Some(conditions) = &self.conditions {
                    conditions.clear("database", "away");
                }
                let Backlog { events, oldest_millis } = backlog;
                if events > 0 && Duration::from_millis(oldest_millis) > OLD {
                    self.waiting.failed(&format!("{events} events wait, the oldest for {} s", oldest_millis / 1_000));
                } else {
                    self.waiting.over();
                }
            }
            Err(error) => self.failed(error.to_string()),
        }
    }

    fn failed(&self, cause: String) {
        self.unread.failed(&cause);
        if let Some(conditions) = &self.conditions {
            let away = Reason::new("the database does not answer: check that it runs and that this process reaches it");
            conditions.raise("database", "away", away.because(cause));
        }
    }
}

/// The gauges. Their values are computed at each scrape, because the age of a waiting event grows by itself.
struct Shown(Arc<Mutex<Last>>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (backlog, age) = {
            // Copied out, so that the task never waits for the encoding.
            let last = self.0.lock();
            (last.backlog, last.read_at.elapsed())
        };
        if let Some(Backlog { events, oldest_millis }) = backlog {
            let pending = ConstGauge::new(i64::try_from(events).unwrap_or(i64::MAX));
            let help = "Events that wait to be published, counted up to 10,000";
            pending.encode(encoder.encode_descriptor("relay_pending", help, None, pending.metric_type())?)?;
            let oldest = if events == 0 { Duration::ZERO } else { Duration::from_millis(oldest_millis) + age };
            let oldest = ConstGauge::new(oldest.as_secs_f64());
            let help = "Age of the oldest event that waits to be published";
            let kind = oldest.metric_type();
            oldest.encode(encoder.encode_descriptor("relay_oldest", help, Some(&Unit::Seconds), kind)?)?;
        }
        let age = ConstGauge::new(age.as_secs_f64());
        let help =
            "Seconds since the database last reported the backlog; pending and oldest_seconds are as old as this";
        let kind = age.metric_type();
        age.encode(encoder.encode_descriptor("relay_backlog_age", help, Some(&Unit::Seconds), kind)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_waiting_events_grows_while_the_database_does_not_answer() {
        let (last, mut registry) =
            (Arc::new(Mutex::new(Last { backlog: None, read_at: Instant::now() })), Registry::default());
        registry.register_collector(Box::new(Shown(last.clone())));
        let value = |name: &str| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok())
        };
        assert_eq!((value("relay_pending"), value("relay_oldest_seconds")), (None, None), "not known yet");
        assert!(value("relay_backlog_age_seconds").is_some());
        let ago = Instant::now().checked_sub(Duration::from_secs(100)).unwrap();
        for (events, oldest) in [(7, 105.0), (0, 0.0)] {
            let backlog = Some(Backlog { events, oldest_millis: 5_000 });
            *last.lock() = Last { backlog, read_at: ago };
            assert_eq!(value("relay_pending"), Some(f64::from(u32::try_from(events).unwrap())));
            assert!((value("relay_oldest_seconds").unwrap() - oldest).abs() < 5.0);
            assert!(value("relay_backlog_age_seconds").unwrap() >= 100.0);
        }
    }
}
