//! HTTP: the only place that knows statuses, headers and paths.
//!
//! A request passes three of our functions: its handler here, a lane of the desk, and the store.

mod cache;
mod code;
mod edge;
mod input;
mod openapi;
mod reply;
mod router;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use onsale_app::calendar::Calendar;
use onsale_app::catalogue::Catalogue;
use onsale_app::conditions::Conditions;
use onsale_app::desk::{Desk, DeskCommand, KeyedAnswer, KeyedRequest};
use onsale_app::idempotency::Keyed;
use onsale_app::store::{Reader, StoreError};
use onsale_app::timetable::Timetable;
use onsale_app::waiting_room::Rooms;
use onsale_app::waiting_room::door::Door;
use onsale_app::watch::DatabaseWatch;
use onsale_domain::{Refusal, waiting_room as rules};
use prometheus_client::registry::Registry;

use crate::auth::{AdminKey, Bearers};
use crate::pages::Pages;
use crate::settings::WebSettings;
use crate::token::TokenCodec;
use reply::answer::{self, Rendered};
use reply::problem::{Code, Problem};

pub(crate) use cache::{Kept, SeatTexts, Shelves, Written, respond};
pub(crate) use edge::{
    ClientLimits, ConnectionLimits, HttpMetrics, Limiter, Reached, Server, ServerLimits, Stopping, Streams, bind,
    connections_that_fit, listen, mark_answer,
};
pub(crate) use input::PathArgs;
pub(crate) use openapi::document;
pub(crate) use reply::exposition::show_metrics;
pub(crate) use router::{into_service, not_found};

/// No request waits longer than this for any one thing.
const PATIENCE: Duration = Duration::from_millis(9_500);

/// The seat maps, each view with its JSON.
pub(crate) type SeatMaps = onsale_app::seat_map::SeatMaps<SeatTexts>;

/// What every handler may use.
pub(crate) struct AppState {
    pub(crate) desk: Arc<Desk>,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) door: Arc<Door>,
    /// Whether the database answers and takes writes.
    pub(crate) database: Arc<DatabaseWatch>,
    /// Which parts are degraded.
    pub(crate) conditions: Arc<Conditions>,
    pub(crate) seat_maps: Arc<SeatMaps>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) timetable: Arc<Timetable>,
    /// How often one verified user may enter a waiting room.
    pub(crate) user_entries: Limiter,
    /// Answers that many are given.
    pub(crate) shelves: Shelves,
    pub(crate) tokens: TokenCodec,
    pub(crate) bearers: Bearers,
    pub(crate) admin_key: Option<AdminKey>,
    pub(crate) calendar: Calendar,
    pub(crate) pages: Pages,
    pub(crate) queue_strict: bool,
    /// Where clients see this server, and which sites may call it.
    pub(crate) web: WebSettings,
    /// How new rooms admit unless they say otherwise.
    pub(crate) room: rules::Settings,
    pub(crate) metrics: HttpMetrics,
    pub(crate) registry: Registry,
    /// How far the server has come with stopping: whether it is ready, when event streams end.
    pub(crate) stopping: Stopping,
    /// How many event streams each token has open.
    pub(crate) streams: Arc<Streams>,
}

/// A handle on [`AppState`], cheap to copy.
#[derive(Clone)]
pub(crate) struct App(Arc<AppState>);

impl std::ops::Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl App {
    pub(crate) fn new(state: AppState) -> Self {
        Self(Arc::new(state))
    }

    /// Decides a command. If it is done, `show` writes the answer; if it is refused, the refusal's problem is the answer.
    async fn decide<C: DeskCommand>(
        &self,
        command: C,
        key: Option<Keyed>,
        show: impl Fn(&C::Output) -> Rendered + Send + 'static,
    ) -> Response {
        self.decide_in_turn(command, key, false, show).await
    }

    /// As [`Self::decide`], for a caller whose turn may be over: then only an answer that the key keeps is given.
    async fn decide_in_turn<C: DeskCommand>(
        &self,
        command: C,
        key: Option<Keyed>,
        is_turn_over: bool,
        show: impl Fn(&C::Output) -> Rendered + Send + 'static,
    ) -> Response {
        let Some(key) = key else {
            if is_turn_over {
                return Problem::from(&Refusal::TokenExpired).into_response();
            }
            return match tokio::time::timeout(PATIENCE, self.desk.submit(command)).await {
                Ok(Ok(outcome)) => Rendered::of(&outcome, show).into_response(),
                Ok(Err(failure)) => Problem::from(failure).into_response(),
                Err(_) => Problem::new(Code::Unavailable).into_response(),
            };
        };
        let request = KeyedRequest { command, key, is_turn_over };
        let submitted = self.desk.submit_keyed(request, move |outcome| Rendered::of(outcome, &show).to_bytes());
        match tokio::time::timeout(PATIENCE, submitted).await {
            Ok(Ok(KeyedAnswer::Kept { answer, replayed })) => answer::kept_response(&answer, replayed),
            Ok(Ok(KeyedAnswer::NotKept(refusal))) => Problem::from(&refusal).into_response(),
            Ok(Ok(KeyedAnswer::KeyReused)) => Problem::new(Code::IdempotencyKeyReused).into_response(),
            Ok(Ok(KeyedAnswer::KeysUsedUp { retry_after_seconds })) => {
                self.metrics.count_limited(edge::Limit::UserKeys);
                Problem::from(edge::Limit::UserKeys.refuses()(retry_after_seconds)).into_response()
            }
            Ok(Err(failure)) => Problem::from(failure).into_response(),
            Err(_) => Problem::new(Code::Unavailable).into_response(),
        }
    }

    /// Lets the rooms of this process catch up with what it has just changed: the caller may look at once.
    async fn see_own_changes(&self) {
        // Where the database is away by now, the rooms catch up once it is back.
        let _ = tokio::time::timeout(PATIENCE, self.rooms.refresh()).await;
    }

    /// Waits for a read, within bounds.
    async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(found) => found.map_err(Problem::from),
            Err(_) => Err(Problem::new(Code::Unavailable)),
        }
    }
}
