//! How tickets and check-ins are read.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use onsale_domain::ids::{CheckInId, PaymentId, PerformanceId, TicketId};
use onsale_domain::payment::Payment;
use onsale_domain::ticket::{self, Answer, CheckIn, Standing, Voided, Why};
use onsale_domain::time::Timestamp;

use super::{Page, StoreError};

/// A key that signs or verifies tickets, since an instant. Rows are added when that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The public half: 32 bytes.
    pub public: [u8; 32],
    /// The instant from which on it signs or verifies.
    pub since: Timestamp,
    /// Whether new tickets are signed by it since then. Else it only verifies.
    pub signs: bool,
}

/// What differs from the default in the tickets of a payment: without it each seat has one valid ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TicketsOf {
    /// Whether the performance is cancelled.
    pub is_cancelled: bool,
    /// Tickets that are void.
    pub voided: Vec<Voided>,
    /// Seats with a check-in that counts, each with its time.
    pub checked_in: Vec<(u32, Timestamp)>,
}

/// The status of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketStatus {
    /// It opens the door.
    Valid,
    /// Its seat was refunded, its performance was cancelled, or it was reissued.
    Void,
    /// It was scanned at the door.
    CheckedIn,
}

/// A ticket of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownTicket {
    /// Id of the ticket.
    pub id: TicketId,
    /// Number of the seat.
    pub seat: u32,
    /// Whether it opens the door.
    pub status: TicketStatus,
    /// Since when there is this ticket: the time of the payment or of the reissue.
    pub issued_at: Timestamp,
}

impl TicketsOf {
    /// All tickets of a payment, in the order of its seats. Of one seat, the newest comes first.
    pub fn list(&self, payment: &Payment) -> Vec<ShownTicket> {
        payment.seats.iter().flat_map(|seat| self.of_seat(payment, *seat)).collect()
    }

    fn of_seat(&self, payment: &Payment, seat: u32) -> Vec<ShownTicket> {
        let of_seat = || self.voided.iter().filter(move |voided| voided.seat == seat);
        let mut replaced: Vec<&Voided> = of_seat().filter(|voided| voided.why == Why::Reissued).collect();
        replaced.sort_by_key(|voided| voided.version);
        let is_refunded = of_seat().any(|voided| voided.why != Why::Reissued);
        let status = if is_refunded || self.is_cancelled {
            TicketStatus::Void
        } else if self.checked_in.iter().any(|(checked_in, _)| *checked_in == seat) {
            TicketStatus::CheckedIn
        } else {
            TicketStatus::Valid
        };
        let reissues = u32::try_from(replaced.len()).unwrap_or(u32::MAX);
        let id = ticket::id_of(payment.id, seat, reissues);
        let mut starts = vec![payment.paid_at];
        starts.extend(replaced.iter().map(|voided| voided.at));
        let issued_at = starts.pop().unwrap_or(payment.paid_at);
        let current = ShownTicket { id, seat, status, issued_at };
        let old = replaced.iter().zip(starts).map(|(voided, issued_at)| {
            let (id, status) = (voided.ticket, TicketStatus::Void);
            ShownTicket { id, seat, status, issued_at }
        });
        std::iter::once(current).chain(old.rev()).collect()
    }
}

/// What a door without a network needs to know of a performance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The version of the performance that it is as of. Changes that were saved meanwhile may be in it.
    pub version: u64,
    /// The start of the performance.
    pub starts_at: Timestamp,
    /// Whether the performance is cancelled: then all of its tickets are void.
    pub is_cancelled: bool,
    /// Tickets that became void.
    pub void: Vec<TicketId>,
    /// Tickets that were checked in.
    pub checked_in: BTreeSet<TicketId>,
    /// Tickets whose check-in was undone, and that were not checked in again.
    pub undone: BTreeSet<TicketId>,
}

impl Manifest {
    /// Adds what is known of check-ins: each ticket with whether a check-in of it counts.
    pub fn add(&mut self, ticket: TicketId, counts: bool) {
        if counts {
            self.undone.remove(&ticket);
            self.checked_in.insert(ticket);
        } else if !self.checked_in.contains(&ticket) {
            self.undone.insert(ticket);
        }
    }
}

/// Scans of one ticket that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Id of the ticket.
    pub ticket: TicketId,
    /// Number of its seat.
    pub seat: u32,
    /// How they contradict each other.
    pub kind: ConflictKind,
    /// The scans, by the time that counts. With `SameSeat` those of other tickets of the seat too.
    pub scans: Vec<CheckIn>,
}

/// How scans contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// The ticket was scanned twice.
    Twice,
    /// The ticket was void.
    Void,
    /// The ticket was void or became so after its check-in, and another ticket of the seat was checked in.
    SameSeat,
}

impl Conflict {
    /// The conflicts of these tickets, in their order, from all scans of their seats.
    pub fn of(tickets: &[(TicketId, u32)], scans: &[CheckIn]) -> Vec<Self> {
        let mut of_seats: BTreeMap<u32, Vec<&CheckIn>> = BTreeMap::new();
        for scan in scans {
            of_seats.entry(scan.seat.unwrap_or(0)).or_default().push(scan);
        }
        let conflict = |(ticket, seat): &(TicketId, u32)| {
            let mut own: Vec<&CheckIn> = of_seats.get(seat).cloned().unwrap_or_default();
            let is_own = |scan: &&CheckIn| scan.ticket == Some(*ticket);
            let is_void = own.iter().any(|scan| is_own(scan) && scan.answer == Answer::Void);
            let is_other = |scan: &&CheckIn| !is_own(scan) && scan.standing == Standing::Counts;
            // The ticket was refunded after its check-in. The seat was sold again, and its next ticket was checked in later.
            let counted = own.iter().copied().find(|scan| is_own(scan) && scan.standing == Standing::Counts);
            let is_followed = |first: &CheckIn| own.iter().any(|scan| is_other(scan) && scan.version > first.version);
            let kind = if counted.is_some_and(is_followed) || (is_void && own.iter().any(is_other)) {
                ConflictKind::SameSeat
            } else if is_void {
                ConflictKind::Void
            } else {
                ConflictKind::Twice
            };
            own.retain(|scan| scan.ticket == Some(*ticket) || (kind == ConflictKind::SameSeat && is_other(scan)));
            own.sort_by_key(|scan| (scan.at, scan.id));
            Self { ticket: *ticket, seat: *seat, kind, scans: own.into_iter().cloned().collect() }
        };
        tickets.iter().map(conflict).collect()
    }
}

/// Reads tickets and check-ins.
#[async_trait]
pub trait Tickets: Send + Sync {
    /// The keys that sign and verify tickets, oldest first.
    async fn ticket_keys(&self) -> Result<Vec<SigningKey>, StoreError>;

    /// What differs in the tickets of these payments, in their order.
    async fn tickets_of(&self, payments: &[PaymentId]) -> Result<Vec<TicketsOf>, StoreError>;

    /// A scan; `None` if there is no such scan.
    async fn check_in(&self, id: CheckInId) -> Result<Option<CheckIn>, StoreError>;

    /// Scans at the door of a performance, newest first.
    async fn check_ins(&self, performance: PerformanceId, page: Page<CheckInId>) -> Result<Vec<CheckIn>, StoreError>;

    /// Scans of a performance that contradict each other, by ticket.
    async fn conflicts(&self, performance: PerformanceId, page: Page<TicketId>) -> Result<Vec<Conflict>, StoreError>;

    /// What changed at the door after a version of the performance, or ever; `None` if there is no such performance.
    async fn manifest(&self, performance: PerformanceId, after: Option<u64>) -> Result<Option<Manifest>, StoreError>;
}
