//! Charges that staff make, such as a till or the webhook of a payment provider.

use std::sync::Arc;

use super::{Action, Fields, Logged, Subject, Value};
use crate::ids::UserId;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::wallet::{self, Account, Changed};
use crate::{Command, Context, Refusal};

/// Maximum length of an external id, in bytes; the minimum is 1.
pub const EXTERNAL_ID_MAX: usize = 255;

/// A charge with the id that another system has for it. Never changed or deleted, so that the id counts once for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalCharge {
    /// The owner of the wallet.
    pub user: UserId,
    /// Number of the ledger entry in the wallet.
    pub version: u64,
    /// Points, 1 to [`wallet::AMOUNT_MAX`].
    pub amount: i64,
    /// Balance after the charge.
    pub balance_after: i64,
    /// Time of the charge.
    pub charged_at: Timestamp,
}

/// Adds points to a wallet, once for each external id.
#[derive(Clone, Debug)]
pub struct ChargeByStaff {
    /// The owner of the wallet.
    pub user: UserId,
    /// Points, 1 to [`wallet::AMOUNT_MAX`].
    pub amount: i64,
    /// The id that another system has for this charge: 1 to [`EXTERNAL_ID_MAX`] visible characters.
    pub external_id: Option<Arc<str>>,
}

/// The wallet after a charge by staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargedByStaff {
    /// The wallet as it was after the charge.
    pub changed: Changed,
    /// Whether an earlier request made the charge, and this one did nothing.
    pub is_repeated: bool,
}

impl Command for ChargeByStaff {
    type Output = ChargedByStaff;

    fn needs(&self, keys: &mut Keys) {
        keys.accounts.insert(self.user.clone());
        keys.external_charges.extend(self.external_id.clone());
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<ChargedByStaff, Refusal> {
        wallet::check_amount(self.amount)?;
        let known = self.external_id.as_ref().and_then(|id| rows.external_charges.get(id));
        if let Some(known) = known {
            return self.repeated(known);
        }
        let changed = wallet::charge(rows, cx, &self.user, self.amount)?;
        if let Some(id) = &self.external_id {
            let Account { balance, version, updated_at } = changed.account;
            let charge = ExternalCharge {
                user: self.user.clone(),
                version,
                amount: self.amount,
                balance_after: balance,
                charged_at: updated_at.unwrap_or(cx.at),
            };
            rows.external_charges.put(id.clone(), charge);
        }
        Ok(ChargedByStaff { changed, is_repeated: false })
    }
}

impl ChargeByStaff {
    /// The first result, if this is the same charge.
    fn repeated(&self, known: &ExternalCharge) -> Result<ChargedByStaff, Refusal> {
        if (&known.user, known.amount) != (&self.user, self.amount) {
            return Err(Refusal::ExternalIdReused);
        }
        let updated_at = Some(known.charged_at);
        let account = Account { balance: known.balance_after, version: known.version, updated_at };
        Ok(ChargedByStaff { changed: Changed { user: self.user.clone(), account }, is_repeated: true })
    }
}

impl Logged for ChargeByStaff {
    const ACTION: Action = Action::PointsCharged;

    fn subject(&self, _: &ChargedByStaff) -> Subject {
        Subject::User(self.user.clone())
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, charged: &ChargedByStaff) -> Fields {
        if charged.is_repeated {
            return Fields::new();
        }
        vec![
            ("amount", Value::Number(self.amount)),
            ("balance", Value::Number(charged.changed.account.balance)),
            ("externalId", self.external_id.as_ref().into()),
        ]
    }
}
