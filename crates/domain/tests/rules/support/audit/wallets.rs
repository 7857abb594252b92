//! Wallets: the ledger explains every balance, and the events tell of every entry.

use std::collections::BTreeMap;

use onsale_domain::event::{Event, Happening};
use onsale_domain::ids::UserId;
use onsale_domain::wallet::{Account, BALANCE_MAX, Entry, EntryKind};

use super::{Events, Tables};

pub(super) fn audit(tables: &Tables, events: &Events<'_>) {
    let mut rebuilt: BTreeMap<UserId, Account> = BTreeMap::new();
    for entry in &tables.ledger {
        let account = rebuilt.entry(entry.user.clone()).or_default();
        assert!(account.updated_at.is_none_or(|last| last <= entry.created_at), "{entry:?} is out of order");
        account.balance += match entry.kind {
            EntryKind::Charge | EntryKind::Refund | EntryKind::Adjustment => entry.amount,
            EntryKind::Use => -entry.amount,
        };
        account.version += 1;
        account.updated_at = Some(entry.created_at);
        assert!(entry.amount >= 0 || entry.kind == EntryKind::Adjustment, "{entry:?} moves less than nothing");
        assert!((0..=BALANCE_MAX).contains(&account.balance), "a balance out of bounds after {entry:?}");
        assert_eq!((entry.version, entry.balance_after), (account.version, account.balance), "the chain breaks");
    }
    assert_eq!(tables.accounts, rebuilt, "a wallet is the sum of its history");

    for (user, story) in &events.users {
        let entries: Vec<Event> = tables.ledger.iter().filter(|entry| entry.user == **user).map(event_of).collect();
        assert!(entries.iter().eq(story.iter().copied()), "each ledger entry has exactly one event");
    }
    let told: usize = events.users.values().map(Vec::len).sum();
    assert_eq!(told, tables.ledger.len(), "a ledger entry has no event");
}

/// The event that must tell of an entry.
fn event_of(entry: &Entry) -> Event {
    let Entry { id, user, version, kind, amount, balance_after, reference, created_at } = entry.clone();
    let happening = Happening::PointsMoved { user, kind, amount, balance_after, reference };
    Event { id, at: created_at, version, happening }
}
