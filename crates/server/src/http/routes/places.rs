//! The places in line of a user, over all waiting rooms.

use std::cmp::Reverse;

use axum::extract::State;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use onsale_app::waiting_room::Purpose;
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::waiting_room::Token;
use onsale_macros::operation;

use super::waiting_room::{QueuePlace, TokenStatus};
use crate::http::App;
use crate::http::input::Query;
use crate::http::input::callers::TokenUser;
use crate::http::reply::OkJson;
use crate::http::reply::problem::Problem;

/// The most places that are listed. Beyond it the oldest ones are left out.
const LISTED_MAX: usize = 200;

/// Rooms whose place memory is read at the same time.
const READ_TOGETHER: usize = 32;

/// List the places in line of a user
///
/// Those that are in line and those whose turn runs, newest first, at most 200, each with its token: on another device a client goes on
/// with it. As a poll it is a sign of life for each of them. Keys of staff cannot read it, because a token is the key to its place.
#[operation(tag = WaitingRoom, returns = "The places")]
pub(crate) async fn list_user_queue_tokens(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    mut query: Query,
) -> Result<OkJson<Vec<QueuePlace>>, Problem> {
    query.read()?;
    let mut standing: Vec<Token> = Vec::new();
    for token in known_places(&app, &user).await? {
        let token = app.read(app.rooms.standing_token(token)).await?;
        // The database and Redis may name the same place.
        let token = token.filter(|token| !standing.iter().any(|known| known.id == token.id));
        standing.extend(token);
    }
    standing.sort_by_key(|token| Reverse((token.issued_at, token.id)));
    let mut places = Vec::new();
    for token in standing.into_iter().take(LISTED_MAX) {
        let Some(room) = app.rooms.get(token.concert) else { continue };
        let text = app.tokens.encode(&token);
        let place = QueuePlace::of(&app, &room, &room.resolved(token), Purpose::Poll, text).await?;
        // It may have ended since it was found.
        places.extend((place.status != TokenStatus::Expired).then_some(place));
    }
    Ok(OkJson(places))
}

/// The places of a user in concerts that are not over, in line or over, at most one of each concert: Redis may know a newer one than
/// the database.
///
/// # Errors
/// `unavailable` if the database or Redis does not answer.
pub(crate) async fn known_places(app: &App, user: &UserId) -> Result<Vec<Token>, Problem> {
    app.see_own_changes().await;
    let now = app.reader.now();
    let is_over = |concert| app.catalogue.programme(concert).is_some_and(|programme| programme.is_over(now));
    let rooms = app.rooms.concerts().into_iter().map(|(concert, _)| concert);
    let concerts: Vec<ConcertId> = rooms.filter(|concert| !is_over(*concert)).collect();
    let mut tokens: Vec<Token> = app.read(app.reader.places_of(user, &concerts)).await?;
    let asked: Vec<_> = concerts.iter().map(|concert| app.home.find(*concert, user)).collect();
    let held: Vec<Option<Token>> = stream::iter(asked).buffer_unordered(READ_TOGETHER).try_collect().await?;
    for token in held.into_iter().flatten() {
        tokens.retain(|known| known.concert != token.concert);
        tokens.push(token);
    }
    Ok(tokens)
}
