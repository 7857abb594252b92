//! A place in line as server-sent events: told at once when the turn comes, now and then where one stands.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use onsale_domain::waiting_room::Token;
use tokio::sync::watch;
use tokio::time::Instant;

use super::App;
use super::gate::{Caller, QueueToken, token_text};
use super::input::Query;
use super::problem::Problem;
use super::waiting_room::{QueuePlace, TokenStatus};

/// Positions are told no more often than this.
const POSITION_EVERY: Duration = Duration::from_secs(1);

/// An open stream is a sign of life, shown this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// A queue token from the header, or from `?token=`, as a browser's `EventSource` sets no header. A token in the
/// query speaks for its user even where bearers are asked for, since such a client cannot send one either.
pub(crate) struct StreamToken(QueueToken);

impl FromRequestParts<App> for StreamToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let mut query = Query::from_request_parts(parts, app).await?;
        let in_query = query.optional("token", "a queue token", |text| Some(text.to_owned()));
        query.done(|| Some(()))?;
        match (in_query, token_text(&parts.headers)) {
            (Some(text), None) => QueueToken::check(Some(&text), &Caller::anyone(), app).await.map(Self),
            _ => QueueToken::from_request_parts(parts, app).await.map(Self),
        }
    }
}

struct Follower {
    app: App,
    token: Token,
    text: String,
    moved: watch::Receiver<u64>,
    told: Option<(TokenStatus, Option<u64>, bool)>,
    told_at: Instant,
}

pub(crate) async fn follow_queue_place(
    State(app): State<App>,
    StreamToken(QueueToken { token, text }): StreamToken,
) -> Response {
    let moved = app.rooms.follow();
    let follower = Follower { app, token, text, moved, told: None, told_at: Instant::now() };
    let events = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY)).into_response()
}

impl Follower {
    /// The next thing worth telling; `None` after the end of the token, or of the server.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.told.is_some_and(|(status, ..)| status == TokenStatus::Expired) {
                return None;
            }
            self.moved.borrow_and_update();
            let place = QueuePlace::of(&self.app, &self.token, self.text.clone()).await.ok()?;
            if self.is_news(&place) {
                self.told = Some(place.news());
                self.told_at = Instant::now();
                let name = match place.status {
                    TokenStatus::Waiting => "position",
                    TokenStatus::Active => "active",
                    TokenStatus::Expired => "expired",
                };
                return Some(Event::default().event(name).data(serde_json::to_string(&place).ok()?));
            }
            let stop = self.app.stop.clone();
            tokio::select! {
                () = stop.cancelled() => return None,
                _ = self.moved.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// A new status is told at once, a new position when the last one is old enough.
    fn is_news(&self, place: &QueuePlace) -> bool {
        let Some(told) = self.told else { return true };
        let news = place.news();
        told.0 != news.0 || (told != news && self.told_at.elapsed() >= POSITION_EVERY)
    }
}
