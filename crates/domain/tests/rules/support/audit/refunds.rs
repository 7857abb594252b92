//! Refunds: each has its ledger entry, its event and its void tickets.

use onsale_domain::ids::EventId;
use onsale_domain::wallet::{Entry, EntryKind};

use super::Tables;

/// What was paid is kept, given back or a fee; each seat is refunded once at most, with one ledger entry and one event.
pub(super) fn audit_refunds(tables: &Tables, credits: &[&Entry]) {
    assert_eq!(credits.len(), tables.refunds.len(), "each refund has exactly one ledger entry");
    let refunded = tables.refunds.iter().flat_map(|refund| refund.seats.iter().map(|seat| (refund.payment, *seat)));
    let void = tables.voided.iter().map(|voided| (voided.payment, voided.seat));
    assert!(void.eq(refunded), "each refunded seat has exactly one void ticket");
    for (refund, credit) in tables.refunds.iter().zip(credits) {
        assert_eq!((credit.kind, credit.amount, &credit.user), (EntryKind::Refund, refund.amount, &refund.user));
        assert_eq!((credit.version, credit.balance_after), (refund.entry_version, refund.balance_after));
        assert_eq!(credit.reference, Some(refund.payment));
        let event = EventId::new(refund.id.uuid());
        assert!(tables.events.iter().any(|told| told.id == event), "a refund has its event");
    }
    for payment in &tables.payments {
        let refunds = || tables.refunds.iter().filter(|refund| refund.payment == payment.id);
        let reservation = &tables.reservations[&payment.reservation];
        let refunded: Vec<u32> = refunds().flat_map(|refund| refund.seats.iter().copied()).collect();
        assert_eq!(refunded, reservation.refunded, "a reservation knows which seats are refunded");
        for refund in refunds() {
            let price: i64 = refund.seats.iter().filter_map(|seat| payment.price_of(*seat)).sum();
            assert_eq!(refund.amount + refund.fee, price, "a refund is the price of its seats");
            assert!(refund.amount >= 0 && refund.fee >= 0, "{refund:?}");
        }
        let left = payment.seats.iter().filter(|seat| !refunded.contains(seat));
        let kept: i64 = left.filter_map(|seat| payment.price_of(*seat)).sum();
        let given: i64 = refunds().map(|refund| refund.amount + refund.fee).sum();
        assert_eq!(payment.amount, kept + given, "what was paid is kept, given back or a fee");
    }
}
