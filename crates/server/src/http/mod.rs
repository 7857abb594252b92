//! HTTP: the only place that knows statuses, headers and paths.
//!
//! - `router.rs` is the index of calls, `code.rs` the index of refusals.
//! - `routes` has the handlers, one file for each resource; each states its whole contract.
//! - `input` reads requests and checks callers, `reply` writes answers, `values.rs` has the types of both.
//! - `edge` accepts connections and limits them, `cache` keeps answers that many clients share.
//! - `export` makes whole lists as CSV.
//! - `openapi` collects the descriptions of the handlers.

mod cache;
pub(crate) mod code;
mod edge;
mod export;
mod input;
pub(crate) mod openapi;
mod reply;
mod router;
mod routes;
mod values;

use std::sync::Arc;
use std::time::Duration;

use onsale_app::calendar::Calendar;
use onsale_app::catalogue::Catalogue;
use onsale_app::conditions::Conditions;
use onsale_app::desk::{Desk, DeskCommand, KeyedAnswer, KeyedRequest};
use onsale_app::emptier::EmptierWaker;
use onsale_app::idempotency::Keyed;
use onsale_app::live::Live;
use onsale_app::store::{LeaveBoard, Reader, StoreError};
use onsale_app::timetable::Timetable;
use onsale_app::waiting_room::Rooms;
use onsale_app::waiting_room::home::Home;
use onsale_app::watch::DatabaseWatch;
use onsale_domain::staff::{ByStaff, Logged};
use onsale_domain::{Command, Refusal, waiting_room as rules};
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use crate::auth::{Bearers, SignIns, Staff};
use crate::pages::Pages;
use crate::settings::{ChargedBy, WebSettings};
use crate::ticket::TicketCodec;
use crate::token::TokenCodec;
use reply::problem::{Code, Problem};
use reply::{Decided, Success};

pub(crate) use cache::{AnswerCaches, Kept, SeatTexts, Written, respond};
pub(crate) use edge::{
    ClientLimits, ConnectionLimits, HttpMetrics, Limiter, Reached, Server, ServerLimits, Stopping, Streams, WrongCodes,
    bind, connections_that_fit, listen, set_default_headers,
};
pub(crate) use export::CsvExports;
pub(crate) use input::PathArgs;
pub(crate) use openapi::document;
pub(crate) use reply::exposition::show_metrics;
pub(crate) use router::{into_service, not_found};
pub(crate) use routes::admin::live::LIVE_STREAMS_MAX;
pub(crate) use routes::session::CALLBACK_PATH;

/// The longest wait for one part, such as the database; beyond it the answer is `unavailable`.
const PATIENCE: Duration = Duration::from_millis(9_500);

/// The seat maps, each view with its JSON.
pub(crate) type SeatMaps = onsale_app::seat_map::SeatMaps<SeatTexts>;

/// The changes of seat maps for listeners.
pub(crate) type SeatFeeds = onsale_app::seat_map::SeatFeeds<SeatTexts>;

/// The state that each handler may use.
pub(crate) struct AppState {
    pub(crate) desk: Arc<Desk>,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) rooms: Arc<Rooms>,
    /// Hands out places in waiting rooms.
    pub(crate) home: Arc<dyn Home>,
    /// Shares with other instances which clients left; `None` if this database has one process.
    pub(crate) leave_board: Option<Arc<dyn LeaveBoard>>,
    /// Whether the database answers and takes writes.
    pub(crate) database: Arc<DatabaseWatch>,
    /// Which parts are degraded.
    pub(crate) conditions: Arc<Conditions>,
    pub(crate) seat_maps: Arc<SeatMaps>,
    /// The halls that clients listen to.
    pub(crate) seat_feeds: Arc<SeatFeeds>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) timetable: Arc<Timetable>,
    /// Wakes the task that cancels applications of cancelled lectures.
    pub(crate) emptier: EmptierWaker,
    /// The rate at which one verified user may enter waiting rooms.
    pub(crate) user_entries: Limiter,
    /// Wrong presale codes of each user and address.
    pub(crate) wrong_codes: WrongCodes,
    /// Answers that many clients share.
    pub(crate) answers: AnswerCaches,
    pub(crate) tokens: TokenCodec,
    pub(crate) tickets: TicketCodec,
    pub(crate) bearers: Bearers,
    /// Sign-ins of users at a provider, if the pages sign in.
    pub(crate) sign_ins: Option<SignIns>,
    pub(crate) staff: Staff,
    pub(crate) calendar: Calendar,
    pub(crate) pages: Pages,
    pub(crate) queue_strict: bool,
    /// Who may charge wallets.
    pub(crate) charged_by: ChargedBy,
    /// The public URL of this server, and the sites that may call it.
    pub(crate) web: WebSettings,
    /// The settings of new waiting rooms.
    pub(crate) room: rules::Settings,
    pub(crate) metrics: HttpMetrics,
    pub(crate) registry: Registry,
    /// How far the server has come with stopping: whether it is ready, when event streams end.
    pub(crate) stopping: Stopping,
    /// Live figures of the sale.
    pub(crate) live: Arc<Live>,
    /// The streams of live figures that may be opened.
    pub(crate) live_streams: Arc<Semaphore>,
    /// Whole lists as CSV, a bounded number at a time.
    pub(crate) exports: CsvExports,
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

    /// Decides a command. `show` makes the successful answer of what was decided.
    ///
    /// # Errors
    /// The refusal; `idempotency-key-reused`; `too-many-requests` if the user keeps as many keys as one may;
    /// `overloaded`; `unavailable` if the database does not answer within 9.5 s; `internal`.
    async fn decide<C: DeskCommand, R: Success>(
        &self,
        command: C,
        key: Option<Keyed>,
        show: impl Fn(&C::Output) -> R + Send + 'static,
    ) -> Result<Decided<R>, Problem> {
        self.decide_in_turn(command, key, false, show).await
    }

    /// As [`App::decide`], for a command of a member of the staff: the admin log gets an entry if it changes something.
    ///
    /// # Errors
    /// As [`App::decide`], and `admin-key-invalid` if the key of the member was deleted.
    async fn decide_by_staff<C: Logged, R: Success, N, B, const MAX: usize>(
        &self,
        staff: &input::staff::Staff<N>,
        command: C,
        payload: &input::Payload<B, MAX>,
        show: impl Fn(&C::Output) -> R + Send + 'static,
    ) -> Result<Decided<R>, Problem>
    where
        ByStaff<C>: DeskCommand + Command<Output = C::Output>,
    {
        let key = payload.key_of(|| staff.owner());
        self.decide(ByStaff { call: staff.call(), command }, key, show).await
    }

    /// As [`App::decide`], for a caller whose turn may be over. If it is, only an answer that the key keeps is given.
    ///
    /// # Errors
    /// As [`App::decide`], and `queue-token-expired` if the turn is over.
    async fn decide_in_turn<C: DeskCommand, R: Success>(
        &self,
        command: C,
        key: Option<Keyed>,
        is_turn_over: bool,
        show: impl Fn(&C::Output) -> R + Send + 'static,
    ) -> Result<Decided<R>, Problem> {
        let late = |_| Problem::new(Code::Unavailable);
        let Some(key) = key else {
            if is_turn_over {
                return Err(Problem::from(&Refusal::TokenExpired));
            }
            let outcome = tokio::time::timeout(PATIENCE, self.desk.submit(command)).await.map_err(late)??;
            return outcome.map(|done| Decided::now(show(&done))).map_err(|refusal| Problem::from(&refusal));
        };
        let request = KeyedRequest { command, key, is_turn_over };
        let submitted = self.desk.submit_keyed(request, move |outcome| reply::encode(outcome, &show));
        match tokio::time::timeout(PATIENCE, submitted).await.map_err(late)?? {
            KeyedAnswer::Kept { answer, refusal, replayed } => {
                Decided::kept(&answer, refusal.as_ref().map(Code::from), replayed)
            }
            KeyedAnswer::NotKept(refusal) => Err(Problem::from(&refusal)),
            KeyedAnswer::KeyReused => Err(Problem::new(Code::IdempotencyKeyReused)),
            KeyedAnswer::KeysUsedUp { retry_after_seconds } => {
                self.metrics.count_limited(edge::Limit::UserKeys);
                Err(Problem::from(edge::Limit::UserKeys.refuses()(retry_after_seconds)))
            }
        }
    }

    /// Lets the rooms of this process catch up with what it has just changed, because the client may read it at once.
    async fn see_own_changes(&self) {
        // If the database does not answer, the rooms catch up when it does.
        let _ = tokio::time::timeout(PATIENCE, self.rooms.refresh()).await;
    }

    /// Waits for a read, at most 9.5 s.
    ///
    /// # Errors
    /// `unavailable` if the database fails or does not answer in time.
    async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(found) => found.map_err(Problem::from),
            Err(_) => Err(Problem::new(Code::Unavailable)),
        }
    }
}
