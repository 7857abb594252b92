//! Stop points of a relay: before and after each of its calls that can have an effect.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use onsale_app::event::StoredEvent;
use onsale_app::relay::{Backlog, Delivery, DeliveryRight, Lease, Marks, Outbox, Platform, Posted};
use onsale_app::store::StoreError;
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::waiting::until;

/// Counts the stop points that a relay has passed, and stops it at one of them.
pub(crate) struct StopPoints {
    stops_at: usize,
    passed: AtomicUsize,
    reached: Semaphore,
    go_on: Semaphore,
}

impl StopPoints {
    /// Stops the relay nowhere.
    pub(crate) fn all() -> Arc<Self> {
        Self::until(usize::MAX)
    }

    /// Stops the relay at this point, counted from 1.
    pub(crate) fn until(point: usize) -> Arc<Self> {
        let (reached, go_on) = (Semaphore::new(0), Semaphore::new(0));
        Arc::new(Self { stops_at: point, passed: AtomicUsize::new(0), reached, go_on })
    }

    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::Acquire)
    }

    /// Waits until the relay is stopped.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.expect("a semaphore that is never closed").forget();
    }

    /// Lets the relay go on.
    pub(crate) fn go_on(&self) {
        self.go_on.add_permits(1);
    }

    /// Waits until the relay has passed this many more points.
    pub(crate) async fn passed_more(&self, points: usize) {
        until("it goes on", || async { (self.passed() >= self.stops_at + points).then_some(()) }).await;
    }

    async fn point(&self) {
        if self.passed.fetch_add(1, Ordering::AcqRel) + 1 == self.stops_at {
            self.reached.add_permits(1);
            self.go_on.acquire().await.expect("a semaphore that is never closed").forget();
        }
    }

    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.point().await;
        let answer = call.await;
        self.point().await;
        answer
    }
}

/// An outbox with stop points around its calls.
pub(crate) struct SteppingOutbox {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) points: Arc<StopPoints>,
}

#[async_trait]
impl Outbox for SteppingOutbox {
    async fn lease(&self, relay: Uuid) -> Result<Vec<Lease>, StoreError> {
        self.points.around(self.outbox.lease(relay)).await
    }

    async fn release(&self, relay: Uuid) -> Result<(), StoreError> {
        self.points.around(self.outbox.release(relay)).await
    }

    async fn after(&self, position: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.points.around(self.outbox.after(position, limit)).await
    }

    async fn has_work(&self) -> Result<bool, StoreError> {
        self.points.around(self.outbox.has_work()).await
    }

    async fn put_back(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.points.around(self.outbox.put_back(limit)).await
    }

    async fn mark(&self, relay: Uuid, marks: &Marks) -> Result<bool, StoreError> {
        self.points.around(self.outbox.mark(relay, marks)).await
    }

    async fn forget(&self, before: Timestamp, most: usize) -> Result<usize, StoreError> {
        self.points.around(self.outbox.forget(before, most)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.points.around(self.outbox.backlog()).await
    }

    async fn delivered(&self, ids: &[EventId]) -> Result<Vec<EventId>, StoreError> {
        self.points.around(self.outbox.delivered(ids)).await
    }

    async fn note_delivered(&self, ids: &[EventId], files: &[(String, u64)]) -> Result<(), StoreError> {
        self.points.around(self.outbox.note_delivered(ids, files)).await
    }

    async fn length_of(&self, file: &str) -> Result<u64, StoreError> {
        self.points.around(self.outbox.length_of(file)).await
    }

    async fn set_aside(&self, event: &Delivery, reason: &str) -> Result<(), StoreError> {
        self.points.around(self.outbox.set_aside(event, reason)).await
    }
}

/// A data platform with stop points around its calls.
pub(crate) struct SteppingPlatform {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) points: Arc<StopPoints>,
}

#[async_trait]
impl Platform for SteppingPlatform {
    async fn acquire(&self, sources: &BTreeSet<Arc<str>>) -> Result<DeliveryRight, String> {
        self.points.around(self.platform.acquire(sources)).await
    }

    async fn post(&self, events: &[Delivery]) -> Posted {
        self.points.around(self.platform.post(events)).await
    }
}
