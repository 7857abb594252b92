//! Points: each user's wallet, and the ledger that explains its balance.

use crate::event::{Event, Happening};
use crate::ids::{EventId, PaymentId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Context, Done, Refusal};

/// The most that one charge or one use may move, in points; the least is 1.
pub const AMOUNT_MAX: i64 = 10_000_000;

/// The most that a wallet may hold, in points.
pub const BALANCE_MAX: i64 = 1_000_000_000;

/// A user's wallet. One that was never used is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Points, 0 to [`BALANCE_MAX`].
    pub balance: i64,
    /// How many ledger entries there are; the last one carries this number.
    pub version: u64,
    /// When the last entry was made.
    pub updated_at: Option<Timestamp>,
}

/// Which way points moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Into the wallet.
    Charge,
    /// Out of the wallet.
    Use,
}

/// One line of a wallet's history. Never rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Also the id of the event that tells of it.
    pub id: EventId,
    /// Whose wallet.
    pub user: UserId,
    /// 1 for the wallet's first entry, then one more each.
    pub version: u64,
    /// Which way.
    pub kind: EntryKind,
    /// Points moved, never negative.
    pub amount: i64,
    /// What the wallet held afterwards.
    pub balance_after: i64,
    /// The payment that made this entry, if one did.
    pub reference: Option<PaymentId>,
    /// When.
    pub created_at: Timestamp,
}

/// What a caller may ask of a wallet.
#[derive(Clone, Debug)]
pub enum Command {
    /// Put points in.
    Charge {
        /// Whose wallet.
        user: UserId,
        /// Points, 1 to [`AMOUNT_MAX`].
        amount: i64,
    },
    /// Take points out.
    Use {
        /// Whose wallet.
        user: UserId,
        /// Points, 1 to [`AMOUNT_MAX`].
        amount: i64,
    },
}

impl Command {
    /// The wallet alone.
    pub(crate) fn needs(&self, keys: &mut Keys) {
        keys.accounts.insert(self.user().clone());
    }

    /// Whose wallet.
    pub fn user(&self) -> &UserId {
        match self {
            Self::Charge { user, .. } | Self::Use { user, .. } => user,
        }
    }

    pub(crate) fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Done, Refusal> {
        let (Self::Charge { user, amount } | Self::Use { user, amount }) = self;
        if !(1..=AMOUNT_MAX).contains(amount) {
            return Err(Refusal::AmountOutOfRange);
        }
        match self {
            Self::Charge { .. } => credit(rows, cx, user, *amount)?,
            Self::Use { .. } => debit(rows, cx, user, *amount, None)?,
        }
        Ok(Done::Wallet { user: user.clone(), account: balance(rows, user) })
    }
}

/// The wallet as it stands, empty where it was never used.
pub(crate) fn balance(rows: &Rows, user: &UserId) -> Account {
    rows.accounts.get(user).cloned().unwrap_or_default()
}

fn credit(rows: &mut Rows, cx: &mut Context<'_>, user: &UserId, amount: i64) -> Result<(), Refusal> {
    let account = balance(rows, user);
    if account.balance + amount > BALANCE_MAX {
        return Err(Refusal::BalanceLimit);
    }
    enter(rows, cx, user, Movement { kind: EntryKind::Charge, amount, reference: None });
    Ok(())
}

/// Takes points out, for a use or for a payment. A payment may exceed [`AMOUNT_MAX`].
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

/// Writes one ledger entry with its event, and brings the wallet to it.
fn enter(rows: &mut Rows, cx: &mut Context<'_>, user: &UserId, movement: Movement) {
    let Movement { kind, amount, reference } = movement;
    let account = balance(rows, user);
    let at = account.updated_at.map_or(cx.at, |last| last.max(cx.at));
    let balance_after = match kind {
        EntryKind::Charge => account.balance + amount,
        EntryKind::Use => account.balance - amount,
    };
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
