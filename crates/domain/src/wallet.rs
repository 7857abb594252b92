//! Points: each user's wallet, and the ledger that explains its balance.

use std::sync::Arc;

use crate::event::{Event, Happening};
use crate::ids::{EventId, PaymentId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// Maximum amount of one charge or use, in points; the minimum is 1.
pub const AMOUNT_MAX: i64 = 10_000_000;

/// Maximum balance of a wallet, in points.
pub const BALANCE_MAX: i64 = 1_000_000_000;

/// A user's wallet. The default is a wallet that was never used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Balance in points, 0 to [`BALANCE_MAX`].
    pub balance: i64,
    /// Number of ledger entries. The last entry carries this number.
    pub version: u64,
    /// Time of the last entry.
    pub updated_at: Option<Timestamp>,
}

/// Maximum amount of one adjustment, in points, in either direction. It is never 0.
pub const ADJUSTMENT_MAX: i64 = 1_000_000_000;

/// Why an entry moves points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Adds points.
    Charge,
    /// Removes points.
    Use,
    /// Gives points of a payment back.
    Refund,
    /// Adds or removes points, as a member of the staff decided.
    Adjustment,
}

impl EntryKind {
    /// The change of the balance by an entry of this kind and amount, in points.
    pub fn change(self, amount: i64) -> i64 {
        match self {
            Self::Charge | Self::Refund | Self::Adjustment => amount,
            Self::Use => -amount,
        }
    }
}

/// One ledger entry. Never changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Id of the entry and of its event.
    pub id: EventId,
    /// The owner of the wallet.
    pub user: UserId,
    /// 1 for the wallet's first entry, then one more for each.
    pub version: u64,
    /// Why it moves points.
    pub kind: EntryKind,
    /// Points moved. Only that of an adjustment may be negative.
    pub amount: i64,
    /// Balance after the entry, in points.
    pub balance_after: i64,
    /// The payment that added this entry, or of which seats were refunded.
    pub reference: Option<PaymentId>,
    /// Time of the entry.
    pub created_at: Timestamp,
}

/// Adds points to a wallet.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The owner of the wallet.
    pub user: UserId,
    /// Points, 1 to [`AMOUNT_MAX`].
    pub amount: i64,
}

/// Removes points from a wallet.
#[derive(Clone, Debug)]
pub struct Use {
    /// The owner of the wallet.
    pub user: UserId,
    /// Points, 1 to [`AMOUNT_MAX`].
    pub amount: i64,
}

/// Corrects a wallet, as a member of the staff decided.
#[derive(Clone, Debug)]
pub struct Adjust {
    /// The owner of the wallet.
    pub user: UserId,
    /// Points to add, or to remove if negative: up to [`ADJUSTMENT_MAX`] in either direction, and not 0.
    pub amount: i64,
    /// Why: 1 to 200 characters. Kept in the admin log.
    pub reason: Arc<str>,
}

/// The wallet after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The owner of the wallet.
    pub user: UserId,
    /// The wallet after the change.
    pub account: Account,
}

impl Command for Charge {
    type Output = Changed;

    fn needs(&self, keys: &mut Keys) {
        keys.accounts.insert(self.user.clone());
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Changed, Refusal> {
        check_amount(self.amount)?;
        charge(rows, cx, &self.user, self.amount)
    }
}

impl Command for Use {
    type Output = Changed;

    fn needs(&self, keys: &mut Keys) {
        keys.accounts.insert(self.user.clone());
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Changed, Refusal> {
        check_amount(self.amount)?;
        debit(rows, cx, &self.user, self.amount, None)?;
        Ok(changed(rows, &self.user))
    }
}

impl Command for Adjust {
    type Output = Changed;

    fn needs(&self, keys: &mut Keys) {
        keys.accounts.insert(self.user.clone());
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Changed, Refusal> {
        if self.amount == 0 || !(-ADJUSTMENT_MAX..=ADJUSTMENT_MAX).contains(&self.amount) {
            return Err(Refusal::AmountOutOfRange);
        }
        if balance(rows, &self.user).balance + self.amount < 0 {
            return Err(Refusal::InsufficientBalance);
        }
        add(rows, cx, &self.user, Movement { kind: EntryKind::Adjustment, amount: self.amount, reference: None })?;
        Ok(changed(rows, &self.user))
    }
}

/// Gives points of a payment back.
///
/// # Errors
/// [`Refusal::BalanceLimit`] if the wallet cannot take them.
pub(crate) fn refund(
    rows: &mut Rows,
    cx: &mut Context<'_>,
    user: &UserId,
    amount: i64,
    payment: PaymentId,
) -> Result<(), Refusal> {
    add(rows, cx, user, Movement { kind: EntryKind::Refund, amount, reference: Some(payment) })
}

/// Adds points to a wallet.
pub(crate) fn charge(rows: &mut Rows, cx: &mut Context<'_>, user: &UserId, amount: i64) -> Result<Changed, Refusal> {
    add(rows, cx, user, Movement { kind: EntryKind::Charge, amount, reference: None })?;
    Ok(changed(rows, user))
}

pub(crate) fn check_amount(amount: i64) -> Result<(), Refusal> {
    if (1..=AMOUNT_MAX).contains(&amount) { Ok(()) } else { Err(Refusal::AmountOutOfRange) }
}

fn changed(rows: &Rows, user: &UserId) -> Changed {
    Changed { user: user.clone(), account: balance(rows, user) }
}

/// The wallet, or an empty one if it was never used.
pub(crate) fn balance(rows: &Rows, user: &UserId) -> Account {
    rows.accounts.get(user).cloned().unwrap_or_default()
}

/// Adds an entry that the upper bound of the wallet may refuse.
fn add(rows: &mut Rows, cx: &mut Context<'_>, user: &UserId, movement: Movement) -> Result<(), Refusal> {
    let account = balance(rows, user);
    if account.balance + movement.kind.change(movement.amount) > BALANCE_MAX {
        return Err(Refusal::BalanceLimit);
    }
    enter(rows, cx, user, movement);
    Ok(())
}

/// Removes points, for a use or a payment. A payment may exceed [`AMOUNT_MAX`].
pub(crate) fn debit(
    rows: &mut Rows,
    cx: &mut Context<'_>,
    user: &UserId,
    amount: i64,
    reference: Option<PaymentId>,
) -> Result<(), Refusal> {
    if balance(rows, user).balance < amount {
        return Err(Refusal::InsufficientBalance);
    }
    enter(rows, cx, user, Movement { kind: EntryKind::Use, amount, reference });
    Ok(())
}

#[derive(Clone, Copy)]
struct Movement {
    kind: EntryKind,
    amount: i64,
    reference: Option<PaymentId>,
}

/// Adds one ledger entry with its event, and updates the wallet.
fn enter(rows: &mut Rows, cx: &mut Context<'_>, user: &UserId, movement: Movement) {
    let Movement { kind, amount, reference } = movement;
    let account = balance(rows, user);
    // The ledger never goes back in time, even if the clock does: entries and their ids are in order of version.
    let at = account.updated_at.map_or(cx.at, |last| last.max(cx.at));
    let balance_after = account.balance + kind.change(amount);
    assert!((0..=BALANCE_MAX).contains(&balance_after), "a wallet left its bounds");
    let version = account.version + 1;
    let id = EventId::new(cx.ids.next(at));

    rows.accounts.put(user.clone(), Account { balance: balance_after, version, updated_at: Some(at) });
    rows.ledger.push(Entry { id, user: user.clone(), version, kind, amount, balance_after, reference, created_at: at });
    rows.events.push(Event {
        id,
        at,
        version,
        happening: Happening::PointsMoved { user: user.clone(), kind, amount, balance_after, reference },
    });
}
