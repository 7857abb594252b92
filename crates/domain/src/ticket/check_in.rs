//! Check-ins: what a scan of a ticket at the door means, also if it arrives late.

use std::sync::Arc;

use super::{id_of, reissues, seat_of};
use crate::concert;
use crate::event::Happening;
use crate::ids::{CheckInId, EventId, PaymentId, PerformanceId, TicketId};
use crate::rows::{Keys, Rows};
use crate::staff::Actor;
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// The longest name of a device, in characters.
pub const DEVICE_MAX: usize = 64;

/// The longest id of a scan, in characters.
pub const SCAN_ID_MAX: usize = 64;

/// Maximum number of scans in one unit of work of [`Scans`].
pub const CHECKED_IN_TOGETHER_MAX: usize = 1_000;

/// How long before the start of the performance a device may have scanned a ticket, in seconds. Beyond it its clock is in doubt.
pub const EARLY_SECONDS_MAX: u32 = 86_400;

/// What was shown at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A code that one of the keys signed.
    Code {
        /// The ticket in the code.
        ticket: TicketId,
        /// The performance in the code.
        performance: PerformanceId,
    },
    /// The id of a ticket, typed in by hand.
    Id(TicketId),
    /// Something that is no code, or that no key signed.
    Unreadable,
}

/// What a scan is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The visitor may enter.
    Admitted,
    /// It is no ticket of this sale.
    Invalid,
    /// It is a ticket of another performance.
    OtherPerformance,
    /// The ticket is void.
    Void,
    /// The ticket was scanned before.
    AlreadyCheckedIn {
        /// The time of that scan.
        at: Timestamp,
        /// The device of that scan.
        device: Arc<str>,
    },
}

/// Whether a scan counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the check-in of its ticket.
    Counts,
    /// An earlier scan of the same ticket came later, and counts.
    Superseded,
    /// A member of the staff has undone it.
    Undone,
    /// It was not admitted.
    Refused,
}

/// A scan with its answer. The answer never changes; only whether it counts does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckIn {
    /// Id of the check-in, and of its event if it was admitted.
    pub id: CheckInId,
    /// The performance of the door.
    pub performance: PerformanceId,
    /// The ticket; `None` if nothing that was shown names one.
    pub ticket: Option<TicketId>,
    /// The seat of a ticket of this performance.
    pub seat: Option<u32>,
    /// The payment of the seat, if the ticket is its valid one.
    pub payment: Option<PaymentId>,
    /// The id of the scan, as the device chose it.
    pub scan: Arc<str>,
    /// The name of the device.
    pub device: Arc<str>,
    /// The time that counts.
    pub at: Timestamp,
    /// The time at which the server decided.
    pub received_at: Timestamp,
    /// Whether the clock of the device cannot be right, so that the time received counts.
    pub clock_doubtful: bool,
    /// The answer, for good.
    pub answer: Answer,
    /// Whether it counts, as of its last change.
    pub standing: Standing,
    /// The version of the performance with its last change; 0 if it was refused.
    pub version: u64,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
    /// Name of the key of the member of the staff who scanned.
    pub made_by: Arc<str>,
}

/// Decides on a scan. The answer to a scan that was refused is an output, not a refusal, because the scan is kept.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The member of the staff at the door.
    pub actor: Actor,
    /// The performance of the door.
    pub performance: PerformanceId,
    /// What the visitor showed.
    pub shown: Shown,
    /// The name of the device.
    pub device: Arc<str>,
    /// The id of the scan. A second scan with it gets the answer of the first, whatever else it names.
    pub id: Arc<str>,
    /// The time of the scan, by the clock of the device.
    pub scanned_at: Timestamp,
    /// The time at which the device sent it, by the clock of the device.
    pub device_now: Timestamp,
}

/// Decides on scans in order, in one unit of work.
#[derive(Clone, Debug)]
pub struct Scans(pub Vec<Scan>);

/// Undoes a check-in: the ticket can be checked in again.
#[derive(Clone, Debug)]
pub struct Undo {
    /// Id of the check-in.
    pub check_in: CheckInId,
    /// Its performance, which never changes.
    pub performance: PerformanceId,
}

/// A check-in that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The check-in, as it was left.
    pub check_in: CheckIn,
    /// Whether it counted until this call.
    pub is_new: bool,
}

/// The check-in of a paid seat.
pub(super) fn that_counts(rows: &Rows, payment: PaymentId, seat: u32) -> Option<&CheckIn> {
    rows.check_ins.get(rows.checked_in.get(&(payment, seat))?)
}

impl Command for Scan {
    type Output = CheckIn;

    fn needs(&self, keys: &mut Keys) {
        keys.staff.extend(self.actor.key());
        keys.performances.insert(self.performance);
        keys.scans.insert(self.id.clone());
        if let Some(ticket) = self.own_ticket() {
            keys.seats.insert((self.performance, seat_of(ticket)));
            keys.tickets.insert((self.performance, ticket));
        }
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<CheckIn, Refusal> {
        let is_live = |rows: &Rows, id| rows.staff_keys.get(&id).is_some_and(|key| key.deleted_at.is_none());
        if self.actor.key().is_some_and(|id| !is_live(rows, id)) {
            return Err(Refusal::StaffKeyEnded);
        }
        if let Some(first) = rows.scans.get(&self.id) {
            return rows.check_ins.get(first).cloned().ok_or(Refusal::CheckInNotFound);
        }
        let performance = rows.performances.get(&self.performance).ok_or(Refusal::PerformanceNotFound)?;
        let (starts_at, written_at) = (performance.starts_at, performance.updated_at.max(cx.at));
        let (at, clock_doubtful) = self.time(starts_at, cx.at);
        let (answer, payment) = self.judge(rows, at);
        let is_admitted = answer == Answer::Admitted;
        let check_in = CheckIn {
            id: CheckInId::new(cx.ids.next(written_at)),
            performance: self.performance,
            ticket: self.ticket(),
            seat: self.own_ticket().map(seat_of),
            payment,
            scan: self.id.clone(),
            device: self.device.clone(),
            at,
            received_at: cx.at,
            clock_doubtful,
            answer,
            standing: if is_admitted { Standing::Counts } else { Standing::Refused },
            version: if is_admitted {
                rows.performances.get(&self.performance).map_or(0, |own| own.version) + 1
            } else {
                0
            },
            undone_at: None,
            made_by: self.actor.name().into(),
        };
        if is_admitted {
            admit(&check_in, rows, cx.at);
        }
        rows.scans.put(self.id.clone(), check_in.id);
        rows.check_ins.put(check_in.id, check_in.clone());
        Ok(check_in)
    }
}

impl Scan {
    /// The ticket that was shown, of whatever performance.
    fn ticket(&self) -> Option<TicketId> {
        match self.shown {
            Shown::Code { ticket, .. } | Shown::Id(ticket) => Some(ticket),
            Shown::Unreadable => None,
        }
    }

    /// The ticket that was shown, unless its code names another performance.
    fn own_ticket(&self) -> Option<TicketId> {
        match self.shown {
            Shown::Code { performance, .. } if performance != self.performance => None,
            _ => self.ticket(),
        }
    }

    /// The time that counts, and whether the clock of the device is in doubt.
    fn time(&self, starts_at: Timestamp, received_at: Timestamp) -> (Timestamp, bool) {
        let at = self.scanned_at.plus_millis(self.device_now.millis_until(received_at));
        let earliest = starts_at.plus_millis(-i64::from(EARLY_SECONDS_MAX) * 1_000);
        if at > received_at || at < earliest { (received_at, true) } else { (at, false) }
    }

    /// The answer, and the payment if the ticket is valid.
    fn judge(&self, rows: &Rows, at: Timestamp) -> (Answer, Option<PaymentId>) {
        let (ticket, is_signed) = match self.shown {
            Shown::Unreadable => return (Answer::Invalid, None),
            Shown::Code { performance, .. } if performance != self.performance => {
                return (Answer::OtherPerformance, None);
            }
            Shown::Code { ticket, .. } => (ticket, true),
            Shown::Id(ticket) => (ticket, false),
        };
        let seat = seat_of(ticket);
        let is_cancelled = rows.performances.get(&self.performance).is_some_and(|own| own.cancelled_at.is_some());
        let owner = owner(rows, self.performance, seat);
        let owner = owner.filter(|payment| id_of(*payment, seat, reissues(rows, *payment, seat)) == ticket);
        let Some(payment) = owner.filter(|_| !is_cancelled) else {
            let is_void = || rows.known_voids.contains(&ticket) || rows.voided.iter().any(|void| void.ticket == ticket);
            let is_known = is_signed || owner.is_some() || is_void();
            return (if is_known { Answer::Void } else { Answer::Invalid }, None);
        };
        let answer = match that_counts(rows, payment, seat) {
            Some(first) if first.at <= at => Answer::AlreadyCheckedIn { at: first.at, device: first.device.clone() },
            _ => Answer::Admitted,
        };
        (answer, Some(payment))
    }
}

/// The payment that has a seat.
fn owner(rows: &Rows, performance: PerformanceId, seat: u32) -> Option<PaymentId> {
    let reservation = rows.seats.get(&(performance, seat)).filter(|seat| seat.sold)?.reservation;
    let added = || rows.payments.iter().find(|payment| payment.reservation == reservation).map(|payment| payment.id);
    rows.paid_by.get(&reservation).copied().or_else(added)
}

/// Makes an admitted scan the one that counts. A later one of the same ticket counted before.
fn admit(check_in: &CheckIn, rows: &mut Rows, at: Timestamp) {
    let (Some(payment), Some(seat), Some(ticket)) = (check_in.payment, check_in.seat, check_in.ticket) else { return };
    if let Some(later) = rows.checked_in.insert((payment, seat), check_in.id) {
        rows.check_ins.change(&later).into_iter().for_each(|later| later.standing = Standing::Superseded);
    }
    let event = EventId::new(check_in.id.uuid());
    concert::record(rows, check_in.performance, event, at, || Happening::TicketCheckedIn {
        check_in: check_in.id,
        performance: check_in.performance,
        ticket,
        seat,
        device: check_in.device.clone(),
        checked_in_at: check_in.at,
        undone_at: None,
    });
}

impl Command for Scans {
    type Output = Vec<Result<CheckIn, Refusal>>;

    fn needs(&self, keys: &mut Keys) {
        self.0.iter().for_each(|scan| scan.needs(keys));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Self::Output, Refusal> {
        let mut answers = Vec::with_capacity(self.0.len());
        for scan in &self.0 {
            match scan.decide(rows, cx) {
                // Of the first scan, before anything was changed: all scans have the same key.
                Err(Refusal::StaffKeyEnded) => return Err(Refusal::StaffKeyEnded),
                answer => answers.push(answer),
            }
        }
        Ok(answers)
    }
}

impl Command for Undo {
    type Output = Undone;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
        keys.check_ins.insert(self.check_in);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Undone, Refusal> {
        let is_own = |own: &&CheckIn| own.performance == self.performance && own.answer == Answer::Admitted;
        let found = rows.check_ins.get(&self.check_in).filter(is_own).ok_or(Refusal::CheckInNotFound)?.clone();
        let (Standing::Counts, Some(payment), Some(seat), Some(ticket)) =
            (found.standing, found.payment, found.seat, found.ticket)
        else {
            return Ok(Undone { check_in: found, is_new: false });
        };
        let updated_at = rows.performances.get(&self.performance).map(|own| own.updated_at);
        let written_at = updated_at.map_or(cx.at, |updated_at| updated_at.max(cx.at));
        let cx = &mut cx.not_before(updated_at);
        let version = rows.performances.get(&self.performance).map_or(0, |own| own.version) + 1;
        let undone = CheckIn { standing: Standing::Undone, version, undone_at: Some(cx.at), ..found };
        rows.checked_in.remove(&(payment, seat));
        if let Some(row) = rows.check_ins.change(&self.check_in) {
            *row = undone.clone();
        }
        let event = EventId::new(cx.ids.next(written_at));
        concert::record(rows, self.performance, event, cx.at, || Happening::TicketCheckedIn {
            check_in: undone.id,
            performance: self.performance,
            ticket,
            seat,
            device: undone.device.clone(),
            checked_in_at: undone.at,
            undone_at: undone.undone_at,
        });
        Ok(Undone { check_in: undone, is_new: true })
    }
}
