//! To the data platform: each event's effect once, whatever is sent twice; one that is refused for ever is set aside and
//! keeps nobody else waiting.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use onsale_domain::ids::EventId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::{Outbox, Sent, Sink};
use crate::event::StoredEvent;
use crate::store::StoreError;
use crate::trace::{Kind, Span, TraceContext};

/// The most events in one post.
const POSTED_MAX: usize = 500;

/// Rests after failures: longer and longer, and spread.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(200);
const REST_MAX: Duration = Duration::from_secs(30);

/// How long to rest while somebody else has the turn.
const REST_FOR_TURN: Duration = Duration::from_millis(200);

/// An event on its way to the platform.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where it comes from: a partition of a topic, or the outbox itself.
    pub source: Arc<str>,
    /// Its id: stable over every repeat.
    pub id: EventId,
    /// Its topic.
    pub topic: String,
    /// Its subject.
    pub subject: String,
    /// The day on which it happened, `YYYY-MM-DD` in UTC.
    pub day: String,
    /// The CloudEvent, as JSON on one line.
    pub json: String,
    /// What led to it, where that is traced; for a platform, its own post.
    pub trace: Option<TraceContext>,
}

/// What became of a post.
#[derive(Clone, Debug)]
pub enum Posted {
    /// The platform has all of it. Files that hold it are by now so long.
    Delivered(Vec<(String, u64)>),
    /// It will never take it, for this reason: at least one of the events is to blame.
    Refused(String),
    /// Not now, for this reason; perhaps after this long.
    Later(String, Option<Duration>),
}

/// The right to deliver what comes from some sources, until it is dropped.
pub struct Turn(#[allow(dead_code, reason = "held, not looked at")] Option<Box<dyn Send>>);

impl Turn {
    /// Others may deliver at the same time.
    pub fn shared() -> Self {
        Self(None)
    }

    /// Nobody else does as long as this is held.
    pub fn holding(lock: impl Send + 'static) -> Self {
        Self(Some(Box::new(lock)))
    }
}

/// A data platform.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Asks for a turn; an error says who has it. By default nobody needs one: a platform that knows ids can be posted
    /// the same twice.
    async fn turn(&self, sources: &BTreeSet<Arc<str>>) -> Result<Turn, String> {
        let _ = sources;
        Ok(Turn::shared())
    }

    /// Posts events, those of one source in order.
    async fn post(&self, events: &[Delivery]) -> Posted;

    /// Whether it was reached last.
    fn is_well(&self) -> bool;
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct DeliveryMetrics {
    delivered: Counter,
    repeated: Counter,
    refused: Counter,
    failures: Counter,
}

impl DeliveryMetrics {
    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        let delivery = registry.sub_registry_with_prefix("delivery");
        delivery.register("events_delivered", "Events that the data platform has taken", self.delivered.clone());
        delivery.register("events_repeated", "Events that came again and were left out", self.repeated.clone());
        delivery.register(
            "events_refused",
            "Events set aside, as the data platform refuses them",
            self.refused.clone(),
        );
        delivery.register("failures", "Posts that failed and are tried again", self.failures.clone());
    }
}

/// The way to a platform.
pub struct PlatformSink {
    outbox: Arc<dyn Outbox>,
    platform: Arc<dyn Platform>,
    /// What is shown.
    pub metrics: DeliveryMetrics,
}

impl PlatformSink {
    /// Remembers in the outbox's database what was delivered.
    pub fn new(outbox: Arc<dyn Outbox>, platform: Arc<dyn Platform>) -> Self {
        Self { outbox, platform, metrics: DeliveryMetrics::default() }
    }

    /// Delivers events, those of one source in order, and returns when each is delivered or set aside. Tries without end.
    pub async fn deliver(&self, events: &[Delivery]) {
        for batch in events.chunks(POSTED_MAX) {
            let mut failures = 0_u32;
            while let Err((reason, rest)) = self.try_deliver(batch).await {
                self.metrics.failures.inc();
                failures = (failures + 1).min(10);
                let backoff = (REST_AFTER_FAILURE * 2_u32.pow(failures)).min(REST_MAX);
                let rest =
                    rest.map_or(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0), |rest| rest.min(REST_MAX * 10));
                tracing::warn!(%reason, "events could not be delivered");
                tokio::time::sleep(rest).await;
            }
        }
    }

    async fn try_deliver(&self, batch: &[Delivery]) -> Result<(), (String, Option<Duration>)> {
        let away = |error: StoreError| (error.to_string(), None);
        // Held until it is written down what was delivered: whoever comes next sees all of it.
        let sources = batch.iter().map(|event| event.source.clone()).collect();
        let _turn = self.platform.turn(&sources).await.map_err(|reason| (reason, Some(REST_FOR_TURN)))?;
        let ids: Vec<EventId> = batch.iter().map(|event| event.id).collect();
        let known: HashSet<EventId> = self.outbox.delivered(&ids).await.map_err(away)?.into_iter().collect();
        let mut seen = known.clone();
        let mut fresh: Vec<Delivery> = batch.iter().filter(|event| seen.insert(event.id)).cloned().collect();
        let mut spans = Spans::begin(&mut fresh);
        self.metrics.repeated.inc_by((batch.len() - fresh.len()) as u64);
        // The part to post next is at the end. A refused part is halved, until the one to blame is found.
        let mut parts = if fresh.is_empty() { Vec::new() } else { vec![&fresh[..]] };
        while let Some(part) = parts.pop() {
            match self.platform.post(part).await {
                Posted::Delivered(files) => {
                    let ids: Vec<EventId> = part.iter().map(|event| event.id).collect();
                    self.outbox.note_delivered(&ids, &files).await.map_err(away)?;
                    spans.end(&ids, None);
                    self.metrics.delivered.inc_by(part.len() as u64);
                }
                Posted::Refused(reason) if part.len() == 1 => {
                    tracing::warn!(id = %part[0].id, %reason, "the data platform refuses an event");
                    let Delivery { id, topic, subject, .. } = &part[0];
                    self.outbox.set_aside(topic, subject, *id, &reason).await.map_err(away)?;
                    spans.end(&[*id], Some(&reason));
                    self.metrics.refused.inc();
                }
                Posted::Refused(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Posted::Later(reason, rest) => return Err((reason, rest)),
            }
        }
        Ok(())
    }
}

/// The way of events to the platform, of those that are traced.
struct Spans(HashMap<EventId, Span>);

impl Spans {
    /// From now on each of the events is known by its own span.
    fn begin(events: &mut [Delivery]) -> Self {
        let begin = |event: &mut Delivery| {
            let span = event.trace?.child(format!("process {}", event.topic), Kind::Consumer);
            event.trace = Some(span.context);
            Some((event.id, span.with("messaging.message.id", event.id.to_string())))
        };
        Self(events.iter_mut().filter_map(begin).collect())
    }

    fn end(&mut self, ids: &[EventId], failed: Option<&str>) {
        for span in ids.iter().filter_map(|id| self.0.remove(id)) {
            span.end(failed.map(str::to_owned));
        }
    }
}

/// What did not come through is tried again.
impl Drop for Spans {
    fn drop(&mut self) {
        self.0.drain().for_each(|(_, span)| span.end(Some("tried again later".to_owned())));
    }
}

/// Without Kafka in between: the relay delivers by itself.
#[async_trait]
impl Sink for PlatformSink {
    async fn send(&self, events: &[StoredEvent]) -> Vec<Sent> {
        let deliveries: Vec<Delivery> = events.iter().map(StoredEvent::to_delivery).collect();
        self.deliver(&deliveries).await;
        vec![Sent::Acknowledged; events.len()]
    }

    async fn is_well(&self) -> bool {
        self.platform.is_well()
    }
}
