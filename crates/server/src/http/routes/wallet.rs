//! Points.

use axum::extract::State;
use onsale_domain::ids::{EventId, PaymentId, UserId};
use onsale_domain::staff::{ChargeByStaff, EXTERNAL_ID_MAX};
use onsale_domain::wallet::{AMOUNT_MAX, Account, Changed, Charge, Entry, EntryKind, Use};
use onsale_macros::operation;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::callers::{PathUser, StrictPathUser};
use crate::http::input::charger::Charger;
use crate::http::input::{Body, Paged, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::Problem;
use crate::http::reply::{Decided, Listed, OkJson};
use crate::http::values::{Id, Instant, RuledPoints, Text};

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
    /// Points. Only that of an ADJUSTMENT may be negative.
    amount: i64,
    balance_after: i64,
    /// The payment that made it, or of which seats were refunded.
    reference: Option<Id<PaymentId>>,
    created_at: Instant,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LedgerEntryType")]
#[serde(rename_all = "UPPERCASE")]
enum EntryType {
    Charge,
    Use,
    Refund,
    Adjustment,
}

impl LedgerEntry {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            id: Id(entry.id),
            r#type: match entry.kind {
                EntryKind::Charge => EntryType::Charge,
                EntryKind::Use => EntryType::Use,
                EntryKind::Refund => EntryType::Refund,
                EntryKind::Adjustment => EntryType::Adjustment,
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

/// The id of another system for a charge: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug)]
pub(crate) struct ExternalId(String);

impl Text for ExternalId {
    const WHAT: &'static str = "1 to 255 visible characters";

    fn parse(text: &str) -> Option<Self> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_visible && (1..=EXTERNAL_ID_MAX).contains(&text.len())).then(|| Self(text.to_owned()))
    }
}

impl JsonSchema for ExternalId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ExternalId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": EXTERNAL_ID_MAX, "pattern": "^[!-~]*$"})
    }
}

/// Points for a wallet.
#[derive(Body, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChargeBody {
    amount: RuledPoints<1, AMOUNT_MAX>,
    /// With `ONSALE_CHARGE=staff` only: the id of the charge in another system, such as a payment provider. It counts once
    /// for ever: the same id, user and amount again returns the first result.
    external_id: Option<ExternalId>,
}

impl Sample for ChargeBody {
    fn sample() -> Value {
        json!({"amount": 300})
    }
}

/// Users have no external ids: what one of them sent would be taken for all.
fn without_external_id(body: ChargeBody) -> Result<ChargeBody, Problem> {
    match body.external_id {
        Some(_) => Err(Problem::invalid_field("externalId", "is only for staff (ONSALE_CHARGE=staff)")),
        None => Ok(body),
    }
}

/// The answer to a charge or a use.
fn changed(changed: &Changed) -> OkJson<Wallet> {
    OkJson(Wallet::of(&changed.user, &changed.account))
}

/// Put points into a wallet
///
/// 1 to 10,000,000 points at once; a wallet holds at most 1,000,000,000.
#[operation(tag = Points, returns = "The wallet afterwards", codes(AmountOutOfRange, BalanceLimit, ExternalIdReused))]
pub(crate) async fn charge_points(
    State(app): State<App>,
    charger: Charger,
    payload: Payload<ChargeBody>,
) -> Result<Decided<OkJson<Wallet>>, Problem> {
    match charger {
        Charger::User(caller) => {
            let (user, is_turn_over, body) = caller.first(payload.read().and_then(without_external_id))?;
            let (key, RuledPoints(amount)) = (payload.key(&user), body.amount);
            app.decide_in_turn(Charge { user, amount }, key, is_turn_over, changed).await
        }
        Charger::Staff(staff, path) => {
            let Id(user) = path.parse("id")?;
            let ChargeBody { amount: RuledPoints(amount), external_id } = payload.read()?;
            let external_id = external_id.map(|ExternalId(id)| id.into());
            let charge = ChargeByStaff { user, amount, external_id };
            app.decide_by_staff(&staff, charge, &payload, |charged| changed(&charged.changed)).await
        }
    }
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
    let key = payload.key(&user);
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
/// `reference` is the payment that made the row, or of which seats were refunded; else null. `balanceAfter` forms an unbroken chain.
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
