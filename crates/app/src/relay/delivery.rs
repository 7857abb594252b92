//! Delivery to the data platform. Each event takes effect once, even if it is sent twice. An event that the platform refuses
//! for good becomes a dead letter, so that the events behind it go on.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use onsale_domain::ids::EventId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::{Outage, Outbox, Sent, Sink};
use crate::backoff::Backoff;
use crate::calendar::rfc3339;
use crate::conditions::Conditions;
use crate::event::StoredEvent;
use crate::store::StoreError;
use crate::trace::{Kind, Span, TraceContext};

/// Maximum number of events in one post.
const POSTED_MAX: usize = 500;

/// The rests after posts that failed.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(400), max: Duration::from_secs(30) };

/// The shortest rest that a platform can ask for.
const REST_ASKED_MIN: Duration = Duration::from_millis(200);

/// The longest rest that a platform can ask for; a longer one is shortened to this.
const REST_ASKED_MAX: Duration = Duration::from_secs(300);

/// The rest while another process has the right to deliver.
const REST_FOR_RIGHT: Duration = Duration::from_millis(200);

/// The name of the data platform on the board of conditions.
const PLATFORM: &str = "platform";

/// After this many refusals in a row the platform itself may be broken: the condition `platform`/`refuses` is raised.
const REFUSED_IN_A_ROW: u64 = 10;

/// An event on its way to the platform.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The source: a partition of a topic, or `outbox`.
    pub source: Arc<str>,
    /// Id of the event, the same in every repeat.
    pub id: EventId,
    /// The topic of its type.
    pub topic: String,
    /// Id of the user, lecture or performance that it is about.
    pub subject: String,
    /// The day on which it happened, `YYYY-MM-DD` in UTC.
    pub day: String,
    /// The CloudEvent, as JSON on one line.
    pub json: String,
    /// The trace context of the request that caused it, if it is traced; during a post, the context of the post.
    pub trace: Option<TraceContext>,
}

impl From<&StoredEvent> for Delivery {
    fn from(event: &StoredEvent) -> Self {
        Self {
            source: "outbox".into(),
            id: event.id,
            topic: event.topic().to_owned(),
            subject: event.subject.clone(),
            // `YYYY-MM-DD` are the first ten characters of an RFC 3339 instant.
            day: rfc3339(event.at).chars().take(10).collect(),
            json: event.to_json(),
            trace: event.trace,
        }
    }
}

/// The answer of a platform to a post.
#[derive(Clone, Debug)]
pub enum Posted {
    /// The platform has all events. Contains the new length in bytes of each file that holds them.
    Delivered(Vec<(String, u64)>),
    /// The platform will never take all of these events, for this reason: at least one of them is bad.
    Refused(String),
    /// The post is too large, for this reason. A post with fewer events may succeed; one event alone is refused for good.
    TooLarge(String),
    /// The platform does not answer or is misconfigured, for this reason. It may ask for a rest.
    Later(String, Option<Duration>),
}

/// The right to deliver the events of some sources. It ends when this value is dropped.
pub struct DeliveryRight(#[allow(dead_code, reason = "it counts until it is dropped")] Option<Box<dyn Send>>);

impl DeliveryRight {
    /// A right that several processes have at the same time.
    pub fn shared() -> Self {
        Self(None)
    }

    /// A right that one process has while it holds `lock`.
    pub fn holding(lock: impl Send + 'static) -> Self {
        Self(Some(Box::new(lock)))
    }
}

/// A data platform that receives events.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Asks for the right to deliver. By default all processes have it, because a platform that knows event ids may get the
    /// same event twice.
    ///
    /// # Errors
    /// If another process has the right: which one.
    async fn acquire(&self, sources: &BTreeSet<Arc<str>>) -> Result<DeliveryRight, String> {
        let _ = sources;
        Ok(DeliveryRight::shared())
    }

    /// Posts events. Those of one source are in order.
    async fn post(&self, events: &[Delivery]) -> Posted;
}

/// Counters of the deliveries.
#[derive(Clone, Debug, Default)]
pub struct DeliveryMetrics {
    delivered: Counter,
    repeated: Counter,
    refused: Counter,
    failures: Counter,
}

impl DeliveryMetrics {
    /// Registers the counters with the prefix `delivery_`.
    pub fn register(&self, registry: &mut Registry) {
        let delivery = registry.sub_registry_with_prefix("delivery");
        delivery.register("events_delivered", "Events that the data platform accepted", self.delivered.clone());
        delivery.register("events_repeated", "Events that arrived again and were skipped", self.repeated.clone());
        let help = "Events that became dead letters because the data platform refused them";
        delivery.register("events_refused", help, self.refused.clone());
        delivery.register("failures", "Posts to the data platform that failed and are retried", self.failures.clone());
    }
}

/// Why a batch was not delivered yet.
enum Trouble {
    /// The platform does not answer or is misconfigured. It may ask for a rest.
    Platform(String, Option<Duration>),
    /// Another process has the right to deliver.
    NoRight(String),
    /// The database of the outbox fails.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Trouble {
    /// The rest after this many failures in a row.
    fn rest(&self, failures: u32) -> Duration {
        match self {
            Self::Platform(_, Some(asked)) => (*asked).clamp(REST_ASKED_MIN, REST_ASKED_MAX),
            Self::NoRight(_) => REST_FOR_RIGHT,
            Self::Platform(_, None) | Self::Store(_) => BACKOFF.jittered(failures),
        }
    }
}

/// A sink that delivers to a data platform.
pub struct PlatformSink {
    outbox: Arc<dyn Outbox>,
    platform: Arc<dyn Platform>,
    conditions: Arc<Conditions>,
    /// Number of events in a post: halved after a post was too large, then raised again. Relaxed: it only sets
    /// the size of the next post.
    posted_max: AtomicUsize,
    /// Events refused since the platform last took one. Relaxed: it only counts.
    refused_in_a_row: AtomicU64,
    outage: Outage,
    refusals: Outage,
    /// The counters of this sink.
    pub metrics: DeliveryMetrics,
}

impl PlatformSink {
    /// A sink that records in the outbox's database what was delivered.
    pub fn new(outbox: Arc<dyn Outbox>, platform: Arc<dyn Platform>) -> Self {
        Self {
            outbox,
            platform,
            conditions: Arc::default(),
            posted_max: AtomicUsize::new(POSTED_MAX),
            refused_in_a_row: AtomicU64::new(0),
            outage: Outage::of("events cannot be delivered to the data platform; retrying"),
            refusals: Outage::of("the data platform refuses events; they become dead letters"),
            metrics: DeliveryMetrics::default(),
        }
    }

    /// Raises `platform`/`away` and `platform`/`refuses` on this board.
    #[must_use]
    pub fn shown_on(mut self, conditions: Arc<Conditions>) -> Self {
        conditions.clear(PLATFORM, "away");
        conditions.clear(PLATFORM, "refuses");
        self.conditions = conditions;
        self
    }

    /// Delivers events, those of one source in order. Returns when each is delivered or set aside. Retries for ever.
    pub async fn deliver(&self, events: &[Delivery]) {
        for batch in events.chunks(POSTED_MAX) {
            let mut failures = 0_u32;
            while let Err(trouble) = self.try_deliver(batch).await {
                self.metrics.failures.inc();
                failures += 1;
                match &trouble {
                    Trouble::Platform(reason, _) => {
                        self.conditions.raise(PLATFORM, "away", reason.clone());
                        self.outage.failed(reason);
                    }
                    Trouble::NoRight(reason) => self.outage.failed(reason),
                    Trouble::Store(error) => self.outage.failed(&error.to_string()),
                }
                tokio::time::sleep(trouble.rest(failures)).await;
            }
            // Also if another process delivered the batch meanwhile: then nothing is retried here.
            self.conditions.clear(PLATFORM, "away");
            self.outage.over();
        }
    }

    async fn try_deliver(&self, batch: &[Delivery]) -> Result<(), Trouble> {
        // Held until the deliveries are saved, so that the next process with the right sees all of them.
        let sources = batch.iter().map(|event| event.source.clone()).collect();
        let _right = self.platform.acquire(&sources).await.map_err(Trouble::NoRight)?;
        let ids: Vec<EventId> = batch.iter().map(|event| event.id).collect();
        let known: HashSet<EventId> = self.outbox.delivered(&ids).await?.into_iter().collect();
        // Leaves out what was delivered before, and what comes twice in this batch.
        let mut seen = known.clone();
        let mut fresh: Vec<Delivery> = batch.iter().filter(|event| seen.insert(event.id)).cloned().collect();
        let mut spans = Spans::begin(&mut fresh);
        self.metrics.repeated.inc_by((batch.len() - fresh.len()) as u64);
        // The part to post next is at the end. A refused part is halved, until the one to blame is found.
        let mut parts: Vec<&[Delivery]> = fresh.chunks(self.posted_max.load(Ordering::Relaxed)).rev().collect();
        while let Some(part) = parts.pop() {
            match self.platform.post(part).await {
                Posted::Delivered(files) => {
                    let ids: Vec<EventId> = part.iter().map(|event| event.id).collect();
                    // Saved before the next part is posted: after a crash only one part is posted twice.
                    self.outbox.note_delivered(&ids, &files).await?;
                    spans.end(&ids, None);
                    self.was_taken(part.len());
                }
                Posted::Refused(reason) | Posted::TooLarge(reason) if part.len() == 1 => {
                    self.set_aside(&part[0], &reason).await?;
                    spans.end(&[part[0].id], Some(&reason));
                }
                posted @ (Posted::Refused(_) | Posted::TooLarge(_)) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    if matches!(posted, Posted::TooLarge(_)) {
                        self.posted_max.store(second.len(), Ordering::Relaxed);
                    }
                    parts.extend([second, first]);
                }
                Posted::Later(reason, rest) => return Err(Trouble::Platform(reason, rest)),
            }
        }
        Ok(())
    }

    fn was_taken(&self, events: usize) {
        self.metrics.delivered.inc_by(events as u64);
        self.conditions.clear(PLATFORM, "away");
        if self.refused_in_a_row.swap(0, Ordering::Relaxed) > 0 {
            self.conditions.clear(PLATFORM, "refuses");
            self.refusals.over();
        }
        // Small steps back to full posts, because each post that is too large fails as a whole.
        let most = self.posted_max.load(Ordering::Relaxed);
        if most < POSTED_MAX && events >= most {
            self.posted_max.store((most + most / 4 + 1).min(POSTED_MAX), Ordering::Relaxed);
        }
    }

    async fn set_aside(&self, event: &Delivery, reason: &str) -> Result<(), StoreError> {
        let Delivery { id, topic, .. } = event;
        self.outbox.set_aside(event, reason).await?;
        self.metrics.refused.inc();
        // The platform answered, so it is not away.
        self.conditions.clear(PLATFORM, "away");
        self.refusals.failed(&format!("event {id} of {topic}: {reason}"));
        let refused = self.refused_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        if refused >= REFUSED_IN_A_ROW {
            let text = format!(
                "the last {REFUSED_IN_A_ROW} or more events were refused and none was taken: {reason}; see `onsale events \
                 --state dead`, mend the platform, then `onsale events retry`"
            );
            self.conditions.raise(PLATFORM, "refuses", text);
        }
        Ok(())
    }
}

/// The spans of traced events on their way to the platform.
struct Spans(HashMap<EventId, Span>);

impl Spans {
    /// Begins a span for each traced event. The event carries the context of its span from now on.
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

/// Ends the spans of events that were not delivered: they are retried with new spans.
impl Drop for Spans {
    fn drop(&mut self) {
        for (_, span) in self.0.drain() {
            span.end(Some("retried later".to_owned()));
        }
    }
}

/// For a relay without Kafka: it delivers to the platform itself.
#[async_trait]
impl Sink for PlatformSink {
    async fn send(&self, events: &[StoredEvent]) -> Vec<Sent> {
        let deliveries: Vec<Delivery> = events.iter().map(Delivery::from).collect();
        self.deliver(&deliveries).await;
        vec![Sent::Acknowledged; events.len()]
    }
}
