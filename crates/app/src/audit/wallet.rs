//! Wallets: each balance is the sum of its ledger, and each ledger is an unbroken chain.

use onsale_domain::ids::UserId;
use onsale_domain::time::Timestamp;
use onsale_domain::wallet::{Account, Entry, EntryKind};
use serde_json::{Value, json};

use super::Finding;
use super::source::{AuditSource, EventRow, WalletRow};
use crate::store::StoreError;

/// One user's ledger, as far as its entries were read.
struct Chain {
    user: UserId,
    account: Option<Account>,
    entries: u64,
    balance: i64,
    unbroken: bool,
}

impl Chain {
    fn new(user: UserId, account: Option<Account>) -> Self {
        Self { user, account, entries: 0, balance: 0, unbroken: true }
    }

    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.balance += match entry.kind {
            EntryKind::Charge | EntryKind::Refund | EntryKind::Adjustment => entry.amount,
            EntryKind::Use => -entry.amount,
        };
        self.unbroken &= entry.version == self.entries && entry.balance_after == self.balance && self.balance >= 0;
    }
}

pub(super) async fn check(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut balances = Finding::new("every balance is the sum of its history, and never negative");
    let mut chains = Finding::new("every history is an unbroken chain");
    let mut events = Finding::new("every ledger entry has its event");
    let mut references =
        Finding::new("every ledger entry that names a payment has that payment, and every adjustment its log entry");
    let mut close = |chain: Option<Chain>| {
        let Some(Chain { user, account, entries, balance, unbroken }) = chain else { return };
        let (stored, version) = account.map_or((0, 0), |account| (account.balance, account.version));
        balances.check(stored == balance && stored >= 0, || {
            format!("{user}: the balance is {stored}, the sum of the history is {balance}")
        });
        chains.check(unbroken && version == entries, || {
            format!("{user}: {entries} entries, the wallet counts {version}, unbroken: {unbroken}")
        });
    };
    let mut chain: Option<Chain> = None;
    let mut rows = source.wallets();
    while let Some(row) = rows.recv().await {
        match row? {
            WalletRow::Account(user, account) => close(chain.replace(Chain::new(user, Some(account)))),
            WalletRow::Entry(entry, event, has_cause) => {
                // Rows come by user: an entry of another user begins the next chain, also if that user has no wallet.
                if chain.as_ref().is_none_or(|chain| chain.user != entry.user) {
                    close(chain.replace(Chain::new(entry.user.clone(), None)));
                }
                if let Some(chain) = &mut chain {
                    chain.add(&entry);
                }
                let is_adjustment = entry.kind == EntryKind::Adjustment;
                if is_adjustment || entry.kind == EntryKind::Refund || entry.reference.is_some() {
                    let holds = has_cause && is_adjustment == entry.reference.is_none();
                    references.check(holds, || {
                        let named = entry.reference.map_or_else(|| "no payment".to_owned(), |id| id.to_string());
                        let cause = if is_adjustment { "no log entry".to_owned() } else { named };
                        format!("{}, entry {}: {cause}", entry.user, entry.version)
                    });
                }
                let is_forgotten = event.is_none() && entry.created_at < forgotten;
                events.check(is_forgotten || has_event(&entry, event.as_ref()), || {
                    format!("{}, entry {}", entry.user, entry.version)
                });
            }
        }
    }
    close(chain);
    Ok(vec![balances, chains, references, events])
}

fn has_event(entry: &Entry, event: Option<&EventRow>) -> bool {
    let kind = match entry.kind {
        EntryKind::Charge => "onsale.points.charged.v1",
        EntryKind::Use => "onsale.points.used.v1",
        EntryKind::Refund => "onsale.points.refunded.v1",
        EntryKind::Adjustment => "onsale.points.adjusted.v1",
    };
    let reference = entry.reference.map(|payment| payment.to_string());
    let data = json!({
        "userId": entry.user.as_str(), "amount": entry.amount, "balanceAfter": entry.balance_after,
        "reference": reference
    });
    event.is_some_and(|event| {
        let same = serde_json::from_str::<Value>(&event.data).is_ok_and(|found| found == data);
        event.kind == kind && event.subject == entry.user.as_str() && event.version == entry.version && same
    })
}
