//! One user with everything that belongs to the user, as staff see it.

use axum::extract::State;
use onsale_app::store::Page;
use onsale_app::waiting_room::Look;
use onsale_domain::concert::Status;
use onsale_domain::ids::{ConcertId, PaymentId, TokenId, UserId};
use onsale_domain::waiting_room::Token;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::refund::AdminRefund;
use crate::http::App;
use crate::http::input::staff::{ReadUsers, Staff};
use crate::http::input::{Path, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::OkJson;
use crate::http::reply::problem::Problem;
use crate::http::routes::lecture::Application;
use crate::http::routes::payment::PaymentShown;
use crate::http::routes::places::known_places;
use crate::http::routes::reservation::ReservationShown;
use crate::http::routes::waiting_room::TokenStatus;
use crate::http::routes::wallet::{LedgerEntry, Wallet};
use crate::http::values::Id;
use crate::settings::PublicUrl;

/// How many of each are shown. The lists have all of them.
const SHOWN: usize = 50;

/// How many of the newest reservations are searched for holds. A user who holds more at once does not exist: holds last minutes.
const SEARCHED: usize = 200;

/// A place in line of a concert that is not over.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserPlace {
    token_id: Id<TokenId>,
    concert_id: Id<ConcertId>,
    status: TokenStatus,
    /// 1 is the next to be admitted; null unless waiting.
    position: Option<u64>,
}

/// Paths of the whole lists.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserLinks {
    wallet: String,
    wallet_entries: String,
    reservations: String,
    payments: String,
    applications: String,
}

impl UserLinks {
    fn of(base: &str, user: &UserId) -> Self {
        Self {
            wallet: format!("{base}/point/{user}"),
            wallet_entries: format!("{base}/point/{user}/histories"),
            reservations: format!("{base}/users/{user}/reservations"),
            payments: format!("{base}/users/{user}/payments"),
            applications: format!("{base}/lectures/application/{user}"),
        }
    }
}

/// What belongs to a user. Of each list the newest 50, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdminUser")]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserShown {
    user_id: Id<UserId>,
    wallet: Wallet,
    wallet_entries: Vec<LedgerEntry>,
    /// Reservations that can still be paid.
    holds: Vec<ReservationShown>,
    reservations: Vec<ReservationShown>,
    payments: Vec<PaymentShown>,
    refunds: Vec<AdminRefund>,
    /// Lectures in which the user has a place or waits for one.
    applications: Vec<Application>,
    /// Places in line of concerts that are not over.
    places: Vec<UserPlace>,
    links: UserLinks,
}

impl Sample for UserShown {
    fn sample() -> Value {
        let place = json!({"tokenId": sample::TOKEN, "concertId": sample::CONCERT, "status": "WAITING", "position": 3});
        json!({
            "userId": "42", "wallet": Wallet::sample(), "walletEntries": [LedgerEntry::sample()],
            "holds": [ReservationShown::sample()], "reservations": [ReservationShown::sample()],
            "payments": [PaymentShown::sample()], "refunds": [AdminRefund::sample()], "applications": [],
            "places": [place],
            "links": {
                "wallet": "/point/42", "walletEntries": "/point/42/histories",
                "reservations": "/users/42/reservations", "payments": "/users/42/payments",
                "applications": "/lectures/application/42"
            }
        })
    }
}

/// Get a user with the newest of everything
///
/// Of each list at most 50, newest first; `links` lead to the whole lists. A user who was never seen has empty lists. This is
/// no sign of life for the places in line, and their tokens are not shown.
#[operation(tag = Administration, returns = "The user")]
pub(crate) async fn get_user(
    State(app): State<App>,
    _: Staff<ReadUsers>,
    path: Path<UserId>,
    mut query: Query,
) -> Result<OkJson<UserShown>, Problem> {
    query.read()?;
    let user = path.id()?;
    let reader = &app.reader;
    let read = async {
        let account = reader.account(&user).await?;
        let entries = reader.ledger(&user, Page { after: None, limit: SHOWN }).await?;
        let reservations = reader.reservations_of(&user, Page { after: None, limit: SEARCHED }).await?;
        let payments = reader.payments_of(&user, Page { after: None, limit: SHOWN }).await?;
        let ids: Vec<PaymentId> = payments.iter().map(|payment| payment.id).collect();
        let given = reader.given_back(&ids).await?;
        let refunds = reader.refunds_of(&user, SHOWN).await?;
        let mut applications = reader.applications(&user, None).await?;
        applications.sort_by_key(|applied| std::cmp::Reverse(applied.applied_at));
        applications.truncate(SHOWN);
        let performances: Vec<_> = reservations.iter().map(|reservation| reservation.performance).collect();
        app.catalogue.know(&[], &performances).await?;
        Ok((account, entries, reservations, (payments, given), refunds, applications))
    };
    let (account, entries, reservations, (payments, given), refunds, applications) = app.read(read).await?;
    let now = reader.now();
    let held = reservations.iter().filter(|reservation| reservation.status_at(now) == Status::Held);
    let base = app.web.public_url.as_ref().map_or("", PublicUrl::as_str);
    Ok(OkJson(UserShown {
        wallet: Wallet::of(&user, &account),
        wallet_entries: entries.iter().map(LedgerEntry::of).collect(),
        holds: held.take(SHOWN).map(|reservation| ReservationShown::now(reservation, &app)).collect(),
        reservations: reservations.iter().take(SHOWN).map(|it| ReservationShown::now(it, &app)).collect(),
        payments: payments.iter().map(|payment| PaymentShown::of(payment, given.get(&payment.id))).collect(),
        refunds: refunds.iter().map(AdminRefund::of).collect(),
        applications: applications.iter().map(Application::of).collect(),
        places: places(&app, &user).await?,
        links: UserLinks::of(base, &user),
        user_id: Id(user),
    }))
}

/// The places of a user in concerts that are not over. Redis may know a newer one than the database.
///
/// # Errors
/// `unavailable` if the database or Redis does not answer.
async fn places(app: &App, user: &UserId) -> Result<Vec<UserPlace>, Problem> {
    let mut tokens: Vec<Token> = known_places(app, user).await?;
    tokens.sort_by_key(|token| std::cmp::Reverse(token.issued_at));
    let shown = tokens.iter().take(SHOWN).filter_map(|token| {
        let (status, position) = match app.rooms.look(token)? {
            Look::Early(position) => (TokenStatus::Early, position),
            Look::Waiting(position) => (TokenStatus::Waiting, Some(position)),
            Look::Active => (TokenStatus::Active, None),
            Look::Expired => (TokenStatus::Expired, None),
        };
        Some(UserPlace { token_id: Id(token.id), concert_id: Id(token.concert), status, position })
    });
    Ok(shown.collect())
}
