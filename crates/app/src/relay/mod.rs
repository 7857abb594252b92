//! The relay: reads the outbox in commit order, sends the events of each subject in order, and marks as sent only what was
//! acknowledged. The process may stop at any line: what was not marked is sent again, with the same ids.

mod backlog;
mod delivery;
mod order;
mod outage;
mod outbox;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use onsale_domain::time::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::desk::Observer;
use crate::event::StoredEvent;
use crate::store::{StoreError, Unit};

pub use backlog::BacklogWatch;
pub use delivery::{Delivery, DeliveryMetrics, DeliveryRight, Platform, PlatformSink, Posted};
pub use outage::Outage;
pub use outbox::{Backlog, EventRef, Lease, Marks, Outbox, PARTS, PartMark, part_of};

/// Maximum number of events of one round.
const BATCH_MAX: usize = 2_000;

/// Number of events after a full read that are checked for the order within a subject: more than transactions run at once.
const AHEAD_MAX: usize = 512;

/// Maximum number of events that are deleted within one second, so that the write lock is held for milliseconds only.
const FORGOTTEN_MAX: usize = 2_000;

/// How often a lease is renewed while there are events to send.
const RENEWED_EVERY: Duration = Duration::from_secs(1);

/// How often the relay searches for old events when the last search found few.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// The rest of a relay that has nothing to send. Events of other processes are found only by polling.
const REST_BUSY: Duration = Duration::from_millis(15);
const REST_IDLE: Duration = Duration::from_millis(100);

/// While events come, the rest is the length of the last round times this. Few rounds with many events each cost the sale
/// less. There is no rest if a full round of events waits.
const RESTS_PER_ROUND: u32 = 2;

/// How long after the last event a relay polls often.
const BUSY_FOR: Duration = Duration::from_secs(10);

/// The rests after rounds that failed.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };

/// The result of sending one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The sink acknowledged it.
    Acknowledged,
    /// It can never be sent, for this reason.
    Never(String),
    /// It may be sent later, for this reason. The later events of its subject must wait for it.
    Later(String),
}

/// The receiver of events.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Sends events, those of one subject in this order. Returns one result for each event. May wait for as long as the
    /// receiver does not answer.
    async fn send(&self, events: &[StoredEvent]) -> Vec<Sent>;
}

/// Wakes the relay of this process after a commit with events.
#[derive(Default)]
pub struct RelayWaker(Notify);

#[async_trait]
impl Observer for RelayWaker {
    fn committed(&self, unit: &Unit) {
        if !unit.rows.events.is_empty() {
            self.0.notify_one();
        }
    }

    async fn recover(&self) -> Result<(), StoreError> {
        self.0.notify_one();
        Ok(())
    }
}

/// Counters of a relay.
#[derive(Clone, Debug, Default)]
pub struct RelayMetrics {
    sent: Counter,
    dead: Counter,
    failures: Counter,
    forgotten: Counter,
    parts: Gauge,
}

impl RelayMetrics {
    /// Registers the counters with the prefix `relay_`.
    pub fn register(&self, registry: &mut Registry) {
        let relay = registry.sub_registry_with_prefix("relay");
        relay.register("events_sent", "Events published and acknowledged", self.sent.clone());
        relay.register(
            "events_dead",
            "Events that became dead letters because they cannot be published",
            self.dead.clone(),
        );
        relay.register("failures", "Rounds of the relay that failed and are retried", self.failures.clone());
        relay.register(
            "events_forgotten",
            "Sent events deleted by the relay after ONSALE_EVENTS_KEPT_DAYS",
            self.forgotten.clone(),
        );
        relay.register("parts", "Parts of the outbox that this relay publishes", self.parts.clone());
    }
}

/// The parts that a relay has leased, as of its last renewal.
#[derive(Default)]
struct Own {
    leases: HashMap<u32, Lease>,
    renewed_at: Option<Instant>,
    /// The last round found nothing to send. Then the leases are not renewed, because each renewal is a write. They lapse,
    /// and the relay takes them again when there is something to send.
    is_idle: bool,
    /// When to search for old events again; `None` for at once.
    forget_at: Option<Instant>,
}

/// Sends the outbox to a sink. Several relays share the parts of one outbox by leases.
pub struct Relay {
    outbox: Arc<dyn Outbox>,
    sink: Arc<dyn Sink>,
    waker: Arc<RelayWaker>,
    /// The name under which this relay holds its leases; a new one for each process.
    name: Uuid,
    /// How long sent events are kept, in milliseconds; `None` for ever.
    kept_millis: Option<i64>,
    outage: Outage,
    /// The counters of this relay.
    pub metrics: RelayMetrics,
}

impl Relay {
    /// A relay with a name of its own.
    pub fn new(outbox: Arc<dyn Outbox>, sink: Arc<dyn Sink>, waker: Arc<RelayWaker>) -> Self {
        let name = Uuid::from_u128(rand::random());
        let outage = Outage::of("events cannot be relayed; retrying");
        Self { outbox, sink, waker, name, kept_millis: None, outage, metrics: RelayMetrics::default() }
    }

    /// Deletes sent events this many days after they happened; `None` keeps them for ever.
    #[must_use]
    pub fn keeping(mut self, days: Option<u32>) -> Self {
        self.kept_millis = days.map(|days| i64::from(days) * 86_400_000);
        self
    }

    /// Runs until stopped; then releases its parts.
    pub async fn run(self, stop: CancellationToken) {
        let (mut failures, mut busy_at, mut cleaned_at) = (0_u32, Instant::now(), None);
        let mut own = Own::default();
        loop {
            let began = Instant::now();
            let round = tokio::select! {
                () = stop.cancelled() => break,
                round = self.round(&mut own) => round,
            };
            let is_idle = matches!(round, Ok(0));
            if round.is_ok() {
                self.outage.over();
            }
            let rest = match round {
                Ok(0) => {
                    failures = 0;
                    if busy_at.elapsed() < BUSY_FOR { REST_BUSY } else { REST_IDLE }
                }
                Ok(done) => {
                    (failures, busy_at) = (0, Instant::now());
                    let rest = (began.elapsed() * RESTS_PER_ROUND).clamp(REST_BUSY, REST_IDLE);
                    if done < BATCH_MAX { rest } else { Duration::ZERO }
                }
                Err(error) => {
                    // What was read may be out of date: read the leases again.
                    own = Own::default();
                    self.metrics.failures.inc();
                    failures = failures.saturating_add(1);
                    self.outage.failed(&error.to_string());
                    BACKOFF.jittered(failures)
                }
            };
            if cleaned_at.is_none_or(|at: Instant| at.elapsed() > RENEWED_EVERY) {
                cleaned_at = Some(Instant::now());
                self.forget_old(&mut own).await;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(rest), if !rest.is_zero() => {}
                // Only an idle relay wakes early: a busy one would run many rounds with few events each.
                () = self.waker.0.notified(), if is_idle => {}
                () = std::future::ready(()), if rest.is_zero() => {}
            }
        }
        // If this fails, the leases lapse after a few seconds.
        let _ = tokio::time::timeout(RENEWED_EVERY, self.outbox.release(self.name)).await;
    }

    /// Deletes a few old events. Steps are small because the sale writes to the same table.
    async fn forget_old(&self, own: &mut Own) {
        // The relay that has part 0 deletes for all of them.
        let is_due = own.leases.contains_key(&0) && own.forget_at.is_none_or(|at| at <= Instant::now());
        let Some(kept_millis) = self.kept_millis.filter(|_| is_due) else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let before = Timestamp::from_millis(i64::try_from(now).unwrap_or(i64::MAX) - kept_millis);
        match self.outbox.forget(before, FORGOTTEN_MAX).await {
            Ok(gone) => {
                self.metrics.forgotten.inc_by(gone as u64);
                own.forget_at = (gone < FORGOTTEN_MAX).then(|| Instant::now() + FORGET_EVERY);
            }
            Err(error) => tracing::warn!(%error, "failed to delete old events; retrying in 1 s"),
        }
    }

    /// Renews the leases, and sends the events that were put back.
    async fn renew(&self, own: &mut Own) -> Result<(), StoreError> {
        let leases = self.outbox.lease(self.name).await?;
        own.renewed_at = Some(Instant::now());
        self.metrics.parts.set(i64::try_from(leases.len()).unwrap_or(0));
        own.leases = leases.into_iter().map(|lease| (lease.part, lease)).collect();
        let again = self.outbox.put_back(BATCH_MAX).await?;
        let again: Vec<_> = again.into_iter().filter(|event| own.leases.contains_key(&part_of(event))).collect();
        let mut marks = Marks::default();
        for (event, sent) in again.iter().zip(self.send(&again).await?) {
            match sent {
                Sent::Acknowledged => marks.sent_again.push(event.into()),
                Sent::Never(reason) => marks.dead.push((event.into(), reason)),
                Sent::Later(_) => {}
            }
        }
        if again.is_empty() { Ok(()) } else { self.outbox.mark(self.name, &marks).await.map(|_| ()) }
    }

    /// One round: read events, send them, mark them. Returns how many events it handled.
    async fn round(&self, own: &mut Own) -> Result<usize, StoreError> {
        if own.renewed_at.is_none_or(|at| at.elapsed() >= RENEWED_EVERY) {
            if own.is_idle && !self.outbox.has_work().await? {
                return Ok(0);
            }
            self.renew(own).await?;
        }
        let leases = &mut own.leases;
        let Some(from) = leases.values().map(|lease| lease.sent_to).min() else {
            own.is_idle = true;
            return Ok(0);
        };
        let mut marks = Marks::default();
        // From the part that is furthest behind; what other parts have sent already is filtered out below.
        let mut found = self.outbox.after(from, BATCH_MAX).await?;
        if let Some(last) = found.last().filter(|_| found.len() == BATCH_MAX) {
            // An event after this read may have to precede one in it (see `order`).
            let ahead = self.outbox.after(last.position, AHEAD_MAX).await?;
            found.truncate(order::in_order_up_to(&found, &ahead));
        }
        let (is_whole, read) = (found.len() < BATCH_MAX, found.iter().map(EventRef::from).collect::<Vec<_>>());
        let wanted = |event: &StoredEvent| leases.get(&part_of(event)).is_some_and(|own| own.sent_to < event.position);
        own.is_idle = found.is_empty();
        let mut events: Vec<_> = found.into_iter().filter(wanted).collect();
        order::by_version(&mut events);
        let mut failed = None;
        let mut stuck: HashMap<u32, u64> = HashMap::new();
        for (event, sent) in events.iter().zip(self.send(&events).await?) {
            match sent {
                Sent::Acknowledged => {
                    self.metrics.sent.inc();
                }
                Sent::Never(reason) => {
                    self.metrics.dead.inc();
                    marks.dead.push((event.into(), reason));
                }
                // The part stops before its first event that is not sent.
                Sent::Later(reason) => {
                    let first = stuck.entry(part_of(event)).or_insert(event.position);
                    *first = event.position.min(*first);
                    failed = Some(reason);
                    continue;
                }
            }
        }
        // Each part advances to the last event before its first unsent one.
        for lease in leases.values_mut() {
            let sent = stuck
                .get(&lease.part)
                .map_or(&read[..], |first| read.split_at(read.partition_point(|event| event.position < *first)).0);
            if let Some(to) = sent.last().filter(|to| lease.sent_to < to.position) {
                marks.parts.push(PartMark { lease: *lease, to: *to });
                lease.sent_to = to.position;
            }
        }
        let is_moved = !marks.parts.is_empty() || !marks.dead.is_empty();
        if is_moved && !self.outbox.mark(self.name, &marks).await? {
            // Another relay took a part, or the log is another one after a restore: forget the leases and read them again.
            tracing::warn!("marks of the outbox changed during a round; reading them again");
            *own = Own::default();
        }
        match failed {
            Some(reason) => Err(StoreError::Unavailable(reason)),
            None if is_whole => Ok(events.len().min(1)),
            None => Ok(BATCH_MAX),
        }
    }

    /// Sends events, and renews the leases meanwhile.
    async fn send(&self, events: &[StoredEvent]) -> Result<Vec<Sent>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        // Both run in one task: the sink may need the same connection to the database as the renewal.
        let renew = async {
            loop {
                tokio::time::sleep(RENEWED_EVERY).await;
                // If the database does not answer, no other relay can take over either. If one does, its fence rejects the marks
                // of this relay.
                let _ = self.outbox.lease(self.name).await;
            }
        };
        tokio::select! {
            sent = self.sink.send(events) => Ok(sent),
            () = renew => Ok(Vec::new()),
        }
    }
}
