//! Points.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use onsale_domain::ids::{EventId, PaymentId, UserId};
use onsale_domain::wallet::{Account, Changed, Charge, Entry, EntryKind, Use};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::App;
use crate::http::input::callers::{PathUser, StrictPathUser};
use crate::http::input::fields::saturated;
use crate::http::input::{Payload, Query};
use crate::http::reply::answer::Rendered;
use crate::http::reply::problem::Problem;
use crate::http::reply::wire::{Id, Instant, json, page};

/// A wallet.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wallet {
    user_id: Id<UserId>,
    /// Points.
    balance: i64,
    /// When it last changed; null where it never did.
    updated_at: Option<Instant>,
}

impl Wallet {
    pub(crate) fn of(user: &UserId, account: &Account) -> Self {
        let Account { balance, updated_at, .. } = account;
        Self { user_id: Id(user.clone()), balance: *balance, updated_at: updated_at.map(Instant) }
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

/// How many points.
#[derive(JsonSchema)]
#[schemars(rename = "AmountBody")]
pub(crate) struct Amount {
    #[schemars(range(min = 1, max = 10_000_000))]
    #[expect(dead_code, reason = "documents the body; read field by field")]
    amount: i64,
}

fn amount(payload: &Payload) -> Result<i64, Problem> {
    let mut fields = payload.fields()?;
    let amount = fields.required("amount", saturated);
    fields.done(|| amount)
}

/// The answer to a charge or a use.
fn changed(changed: &Changed) -> Rendered {
    Rendered::json(StatusCode::OK, &Wallet::of(&changed.user, &changed.account))
}

pub(crate) async fn charge_points(
    State(app): State<App>,
    caller: StrictPathUser,
    payload: Payload,
) -> Result<Response, Problem> {
    let (user, turn_over, amount) = caller.first(amount(&payload))?;
    let key = payload.key(Some(&user));
    Ok(app.decide_in_turn(Charge { user, amount }, key, turn_over, changed).await)
}

pub(crate) async fn use_points(
    State(app): State<App>,
    PathUser(user): PathUser,
    payload: Payload,
) -> Result<Response, Problem> {
    let amount = amount(&payload)?;
    let key = payload.key(Some(&user));
    Ok(app.decide(Use { user, amount }, key, changed).await)
}

pub(crate) async fn get_points(
    State(app): State<App>,
    caller: StrictPathUser,
    mut query: Query,
) -> Result<Response, Problem> {
    let user = caller.now()?;
    query.done(|| Some(()))?;
    let account = app.read(app.reader.account(&user)).await?;
    Ok(json(StatusCode::OK, &Wallet::of(&user, &account)))
}

pub(crate) async fn list_point_histories(
    State(app): State<App>,
    caller: StrictPathUser,
    mut query: Query,
) -> Result<Response, Problem> {
    let user = caller.now()?;
    let wanted = query.page(|cursor| cursor.parse().ok());
    query.done(|| Some(()))?;
    let limit = wanted.limit;
    let more = onsale_app::store::Page { limit: limit + 1, ..wanted };
    let rows = app.read(app.reader.ledger(&user, more)).await?;
    Ok(page(&query, limit, rows, |entry| entry.version.to_string(), LedgerEntry::of))
}
