//! Points.

use axum::extract::State;
use onsale_domain::ids::{EventId, PaymentId, UserId};
use onsale_domain::wallet::{AMOUNT_MAX, Account, Changed, Charge, Entry, EntryKind, Use};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::callers::{PathUser, StrictPathUser};
use crate::http::input::{Body, Paged, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::Problem;
use crate::http::reply::{Decided, Listed, OkJson};
use crate::http::values::{Id, Instant, RuledPoints};

/// A wallet of a user, with its balance.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wallet {
    user_id: Id<UserId>,
    /// Points.
    balance: i64,
    /// When it last changed; null if it never did.
    updated_at: Option<Instant>,
}

impl Wallet {
    pub(crate) fn of(user: &UserId, account: &Account) -> Self {
        let Account { balance, updated_at, .. } = account;
        Self { user_id: Id(user.clone()), balance: *balance, updated_at: updated_at.map(Instant) }
    }
}

impl Sample for Wallet {
    fn sample() -> Value {
        json!({"userId": "42", "balance": 700, "updatedAt": "2026-11-22T11:12:13.456Z"})
    }
}

/// One line of a wallet's history.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LedgerEntry {
    id: Id<EventId>,
    r#type: EntryType,
    amount: i64,
    balance_after: i64,
    /// The payment that made it, if one did.
    reference: Option<Id<PaymentId>>,
    created_at: Instant,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LedgerEntryType")]
#[serde(rename_all = "UPPERCASE")]
enum EntryType {
    Charge,
    Use,
}

impl LedgerEntry {
    fn of(entry: &Entry) -> Self {
        Self {
            id: Id(entry.id),
            r#type: match entry.kind {
                EntryKind::Charge => EntryType::Charge,
                EntryKind::Use => EntryType::Use,
            },
            amount: entry.amount,
            balance_after: entry.balance_after,
            reference: entry.reference.map(Id),
            created_at: Instant(entry.created_at),
        }
    }
}

impl Sample for LedgerEntry {
    fn sample() -> Value {
        json!({
            "id": sample::ENTRY, "type": "USE", "amount": 300, "balanceAfter": 700, "reference": sample::PAYMENT,
            "createdAt": "2026-11-22T11:12:13.456Z"
        })
    }
}

/// A number of points.
#[derive(Body, JsonSchema)]
pub(crate) struct AmountBody {
    amount: RuledPoints<1, AMOUNT_MAX>,
}

impl Sample for AmountBody {
    fn sample() -> Value {
        json!({"amount": 300})
    }
}

/// The answer to a charge or a use.
fn changed(changed: &Changed) -> OkJson<Wallet> {
    OkJson(Wallet::of(&changed.user, &changed.account))
}

/// Put points into a wallet
///
/// 1 to 10,000,000 points at once; a wallet holds at most 1,000,000,000.
#[operation(tag = Points, returns = "The wallet afterwards", codes(AmountOutOfRange, BalanceLimit))]
pub(crate) async fn charge_points(
    State(app): State<App>,
    caller: StrictPathUser,
    payload: Payload<AmountBody>,
) -> Result<Decided<OkJson<Wallet>>, Problem> {
    let (user, is_turn_over, AmountBody { amount: RuledPoints(amount) }) = caller.first(payload.read())?;
    let key = payload.key(Some(&user));
    app.decide_in_turn(Charge { user, amount }, key, is_turn_over, changed).await
}

/// Take points out of a wallet
///
/// 1 to 10,000,000 points at once; never below zero.
#[operation(tag = Points, returns = "The wallet afterwards", codes(AmountOutOfRange, InsufficientBalance))]
pub(crate) async fn use_points(
    State(app): State<App>,
    PathUser(user): PathUser,
    payload: Payload<AmountBody>,
) -> Result<Decided<OkJson<Wallet>>, Problem> {
    let AmountBody { amount: RuledPoints(amount) } = payload.read()?;
    let key = payload.key(Some(&user));
    app.decide(Use { user, amount }, key, changed).await
}

/// Get the balance of a wallet
///
/// A user without any change so far has 0 points and `updatedAt: null`.
#[operation(tag = Points, returns = "The wallet")]
pub(crate) async fn get_points(
    State(app): State<App>,
    caller: StrictPathUser,
    mut query: Query,
) -> Result<OkJson<Wallet>, Problem> {
    let user = caller.now()?;
    query.read()?;
    let account = app.read(app.reader.account(&user)).await?;
    Ok(OkJson(Wallet::of(&user, &account)))
}

/// List the changes of a wallet, newest first
///
/// `reference` is the payment that made the row, else null. `balanceAfter` forms an unbroken chain.
#[operation(tag = Points, returns = "The history")]
pub(crate) async fn list_point_histories(
    State(app): State<App>,
    caller: StrictPathUser,
    mut query: Query<Paged<u64>>,
) -> Result<Listed<LedgerEntry>, Problem> {
    let user = caller.now()?;
    let Paged { rows, .. } = query.read()?;
    let entries = app.read(app.reader.ledger(&user, rows)).await?;
    Ok(Listed::page(&query, entries, |entry| entry.version.to_string(), LedgerEntry::of))
}
