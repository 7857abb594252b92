//! Tickets: those that are void, and those that were checked in.

use onsale_domain::ticket::{Answer, CheckIn, Standing, Voided, Why, id_of};

use super::Finding;
use super::source::{AuditSource, TicketsRow};
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource) -> Result<Vec<Finding>, StoreError> {
    let mut void = Finding::new("every refunded seat has one void ticket, and every other paid seat one valid ticket");
    let mut scanned =
        Finding::new("of every paid seat at most one check-in counts, and it is of a ticket of that seat");
    let mut tickets = source.tickets();
    while let Some(row) = tickets.recv().await {
        let row = row?;
        let wrong = wrong_tickets(&row);
        void.check(wrong.is_none(), || format!("{}: {}", row.payment.id, wrong.unwrap_or_default()));
        let wrong = wrong_scans(&row);
        scanned.check(wrong.is_none(), || format!("{}: {}", row.payment.id, wrong.unwrap_or_default()));
    }
    Ok(vec![void, scanned])
}

/// The tickets of a seat that were reissued, oldest first.
fn reissued(row: &TicketsRow, seat: u32) -> Vec<&Voided> {
    let mut reissued: Vec<&Voided> =
        row.voided.iter().filter(|voided| voided.seat == seat && voided.why == Why::Reissued).collect();
    reissued.sort_by_key(|voided| voided.version);
    reissued
}

fn wrong_tickets(row: &TicketsRow) -> Option<&'static str> {
    let TicketsRow { payment, refunded, voided, .. } = row;
    for seat in payment.seats.iter().copied() {
        let reissued = reissued(row, seat);
        let ids = (0..).map(|reissues| id_of(payment.id, seat, reissues));
        if !reissued.iter().zip(ids).all(|(voided, id)| voided.ticket == id) {
            return Some("a ticket that was reissued is not the one that follows from its payment");
        }
        let last = id_of(payment.id, seat, u32::try_from(reissued.len()).unwrap_or(u32::MAX));
        let given_back: Vec<&Voided> =
            voided.iter().filter(|voided| voided.seat == seat && voided.why != Why::Reissued).collect();
        match (refunded.contains(&seat), &given_back[..]) {
            (false, []) => {}
            (true, [one]) if one.ticket == last => {}
            (true, [_]) => return Some("the void ticket of a refunded seat is not its last one"),
            (true, _) => return Some("a refunded seat has no void ticket, or several"),
            (false, _) => return Some("a seat that was not refunded has no valid ticket"),
        }
    }
    let is_own = |voided: &Voided| payment.seats.contains(&voided.seat) && voided.performance == payment.performance;
    if voided.iter().all(is_own) { None } else { Some("a void ticket is of another seat or performance") }
}

fn wrong_scans(row: &TicketsRow) -> Option<&'static str> {
    let TicketsRow { payment, scans, .. } = row;
    for seat in payment.seats.iter().copied() {
        let counting = scans.iter().filter(|scan| scan.seat == Some(seat) && scan.standing == Standing::Counts);
        if counting.count() > 1 {
            return Some("two check-ins of a seat count");
        }
    }
    let is_own = |scan: &CheckIn| {
        let Some(seat) = scan.seat.filter(|seat| payment.seats.contains(seat)) else { return false };
        let many = u32::try_from(reissued(row, seat).len()).unwrap_or(u32::MAX);
        let mut known = (0..=many).map(|reissues| id_of(payment.id, seat, reissues));
        scan.performance == payment.performance && known.any(|id| scan.ticket == Some(id))
    };
    let is_answered = |scan: &CheckIn| (scan.answer == Answer::Admitted) == (scan.standing != Standing::Refused);
    if !scans.iter().all(is_own) {
        Some("a scan is of no ticket of the payment")
    } else if !scans.iter().all(is_answered) {
        Some("a scan counts that was refused, or the other way round")
    } else {
        None
    }
}
