//! The seam to the outbox: who relays which part of it, how far that got, and what was set aside.

use async_trait::async_trait;
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use uuid::Uuid;

use super::Delivery;
use crate::event::StoredEvent;
use crate::store::StoreError;

/// The outbox is shared among relays by its subjects, in so many parts. All events of one subject are in one part.
pub const PARTS: u32 = 8;

/// The part that an event belongs to: the same for every process and version.
pub fn part_of(event: &StoredEvent) -> u32 {
    // FNV-1a, 64 bits.
    let hash = event
        .subject
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    u32::try_from((hash >> 32) % u64::from(PARTS)).unwrap_or(0)
}

/// A part that a relay has to itself until it lets go, or is not heard of for a few seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which part.
    pub part: u32,
    /// All of its events up to this position were sent, or set aside.
    pub sent_to: u64,
    /// Another whenever the part goes to another relay. What a former one marks is refused by it.
    pub fence: u64,
}

/// An event of the log as a relay read it: its position, and its id. A position alone does not name an event: after a
/// restore or a failover another event may lie there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRef {
    /// Its position in the log.
    pub position: u64,
    /// Its id.
    pub id: EventId,
}

impl From<&StoredEvent> for EventRef {
    fn from(event: &StoredEvent) -> Self {
        Self { position: event.position, id: event.id }
    }
}

/// How far one part got.
#[derive(Clone, Copy, Debug)]
pub struct PartMark {
    /// The part, and the mark from which its events were read.
    pub lease: Lease,
    /// The last event of the log up to which the part's events are sent or set aside. It may be of another part.
    pub to: EventRef,
}

/// What became of events.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// How far each part got that moved.
    pub parts: Vec<PartMark>,
    /// Events that were put back and are sent by now.
    pub sent_again: Vec<EventRef>,
    /// Events that can never be sent, each with the reason.
    pub dead: Vec<(EventRef, String)>,
}

/// An outbox.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Renews what a relay has, and takes or gives up parts so that all relays that are heard of have about as many.
    /// Each call is a sign of life, good for a few seconds.
    async fn lease(&self, relay: Uuid) -> Result<Vec<Lease>, StoreError>;

    /// Lets go of everything, so that others need not wait.
    async fn release(&self, relay: Uuid) -> Result<(), StoreError>;

    /// Events after a position, in the order of their commits. None is ever written before one that was returned.
    async fn after(&self, position: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// Whether any relay has something to send: events that no part has passed, or that were put back, or
    /// marks to correct. Only reads.
    async fn has_work(&self) -> Result<bool, StoreError>;

    /// Events that were put back, to be sent again; copies of events that the log has forgotten have position 0.
    async fn put_back(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// Writes down what became of events.
    ///
    /// A part moves only if the relay still has it, its mark is still the one from which was read, and the log still
    /// holds the same event at the new mark. So nothing that was read from one history of the database is counted in
    /// another: after a restore, or a failover that lost the newest commits, other events lie at these positions.
    ///
    /// Returns `false` if a part did not move. The relay must then forget its marks and read them again.
    async fn mark(&self, relay: Uuid, marks: &Marks) -> Result<bool, StoreError>;

    /// Forgets at most so many of the oldest events that happened before an instant. Only what was sent, and neither what
    /// is dead nor what was put back; the last event of all stays.
    async fn forget(&self, before: Timestamp, most: usize) -> Result<usize, StoreError>;

    /// How many events wait, and since when the oldest does, in milliseconds: as far as is cheap to say.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// Of these events, those that were delivered before.
    async fn delivered(&self, ids: &[EventId]) -> Result<Vec<EventId>, StoreError>;

    /// Writes down that events were delivered, and how long files are by now that hold them: both or neither.
    async fn note_delivered(&self, ids: &[EventId], files: &[(String, u64)]) -> Result<(), StoreError>;

    /// How long a file was when its last events were written down; 0 for one that is not known.
    async fn length_of(&self, file: &str) -> Result<u64, StoreError>;

    /// Sets an event aside that the data platform refuses, with the reason. If the log has forgotten the event, a copy of
    /// it is kept: a dead letter can be put back for as long as it is one.
    async fn set_aside(&self, event: &Delivery, reason: &str) -> Result<(), StoreError>;
}

/// What waits in an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many events, counted up to ten thousand.
    pub events: u64,
    /// How old the oldest is.
    pub oldest_millis: u64,
}
