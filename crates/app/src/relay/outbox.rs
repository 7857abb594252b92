//! The port to the outbox: which relay has which part, how far each part is sent, and the dead letters.

use async_trait::async_trait;
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use uuid::Uuid;

use super::Delivery;
use crate::event::StoredEvent;
use crate::store::StoreError;

/// Number of parts that relays share. All events of one subject are in one part.
pub const PARTS: u32 = 8;

/// The part that an event belongs to. It is the same in every process and every version of onsale.
pub fn part_of(event: &StoredEvent) -> u32 {
    // FNV-1a, 64 bits.
    let hash = event
        .subject
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    u32::try_from((hash >> 32) % u64::from(PARTS)).unwrap_or(0)
}

/// A part that one relay has until it releases it, or until it has not renewed it for a few seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Number of the part, below [`PARTS`].
    pub part: u32,
    /// All events of the part up to this position are sent or set aside.
    pub sent_to: u64,
    /// A number that changes whenever the part goes to another relay. The outbox refuses marks with an older number.
    pub fence: u64,
}

/// An event of the log as a relay read it. A position alone does not name an event: after a
/// restore or a failover another event may lie there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRef {
    /// Position of the event in the log.
    pub position: u64,
    /// Id of the event.
    pub id: EventId,
}

impl From<&StoredEvent> for EventRef {
    fn from(event: &StoredEvent) -> Self {
        Self { position: event.position, id: event.id }
    }
}

/// How far one part is sent now.
#[derive(Clone, Copy, Debug)]
pub struct PartMark {
    /// The part, and the mark from which its events were read.
    pub lease: Lease,
    /// The last event of the log up to which all events of the part are sent or set aside. It may belong to another part.
    pub to: EventRef,
}

/// The results of a round.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// The parts that advanced.
    pub parts: Vec<PartMark>,
    /// Events that were put back and are sent now.
    pub sent_again: Vec<EventRef>,
    /// Events that can never be sent, each with the reason.
    pub dead: Vec<(EventRef, String)>,
}

/// The outbox of a database, as relays use it.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Renews the parts of a relay, and takes or gives up parts so that all live relays have about as many. A relay counts
    /// as live for a few seconds after each call.
    async fn lease(&self, relay: Uuid) -> Result<Vec<Lease>, StoreError>;

    /// Releases all parts of a relay, so that other relays need not wait for its leases to lapse.
    async fn release(&self, relay: Uuid) -> Result<(), StoreError>;

    /// Events after a position, in the order of their commits. None is ever written before one that was returned.
    async fn after(&self, position: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// Whether any relay has something to send: events that no part has passed, or that were put back, or
    /// marks to correct. Only reads.
    async fn has_work(&self) -> Result<bool, StoreError>;

    /// Events that an operator put back, to be sent again. A copy of an event that the log has deleted has position 0.
    async fn put_back(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// Saves the results of a round.
    ///
    /// A part advances only if the relay still has it, if its mark is still the one that the relay read from, and if the log
    /// still has the same event at the new mark. After a restore, or a failover that lost the newest commits, other events
    /// are at these positions: they must not count as sent.
    ///
    /// Returns `false` if a part did not advance. The relay must then forget its marks and read them again.
    async fn mark(&self, relay: Uuid, marks: &Marks) -> Result<bool, StoreError>;

    /// Deletes at most `most` of the oldest events from before an instant. Deletes only sent events; dead letters, events that
    /// were put back and the last event of the log stay. Returns how many it deleted.
    async fn forget(&self, before: Timestamp, most: usize) -> Result<usize, StoreError>;

    /// How many events wait, and the age of the oldest. Counts only as far as that is cheap.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// The ids among these that were delivered before.
    async fn delivered(&self, ids: &[EventId]) -> Result<Vec<EventId>, StoreError>;

    /// Saves in one transaction that events were delivered, and the new lengths in bytes of the files that hold them.
    async fn note_delivered(&self, ids: &[EventId], files: &[(String, u64)]) -> Result<(), StoreError>;

    /// The length of a file in bytes as saved last; 0 if the file is not known.
    async fn length_of(&self, file: &str) -> Result<u64, StoreError>;

    /// Makes an event that the data platform refuses a dead letter, with the reason. If the log has deleted the event, the
    /// outbox keeps a copy, so that an operator can put every dead letter back.
    async fn set_aside(&self, event: &Delivery, reason: &str) -> Result<(), StoreError>;
}

/// The events that wait in an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Number of events, counted up to 10,000.
    pub events: u64,
    /// Age of the oldest event, in milliseconds.
    pub oldest_millis: u64,
}
