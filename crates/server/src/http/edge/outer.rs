//! The layer around each request, with or without a route: limits by client, the request id, the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::clients::{Asked, ClientLimits, Keys};
use super::cors::Sharing;
use super::drain::drained;
use super::peer::Peer;
use super::pulse::Pulse;
use super::request_id::{REQUEST_ID, RequestIds};
use super::slots::Refused;
use super::{default_headers, guard};
use crate::http::App;
use crate::http::edge::UNMATCHED;
use crate::http::input::coding;
use crate::http::input::staff::StaffCall;
use crate::http::input::user_session::{self, Offered};
use crate::http::reply::problem::Problem;
use crate::http::routes::waiting_room_events::is_event_stream;

/// The paths that a connection in a reserved slot may call.
const RESERVED_PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The service and the layer around it.
pub(super) struct Outer {
    pub(super) app: App,
    router: TowerToHyperService<Router>,
    clients: ClientLimits,
    ids: RequestIds,
}

/// Who sent a request.
pub(super) struct Client<'a> {
    pub(super) peer: SocketAddr,
    pub(super) pulse: &'a Arc<Pulse>,
    /// Why the connection has only a reserved slot, if it has.
    pub(super) refused: Option<Refused>,
}

/// Refuses a connection in a reserved slot, except for a few paths.
fn check_slot(path: &str, client: &Client<'_>) -> Result<(), Problem> {
    match client.refused {
        Some(refused) if !RESERVED_PATHS.contains(&path) => Err(refused.problem()),
        _ => Ok(()),
    }
}

impl Outer {
    pub(super) fn new(app: App, router: Router, clients: ClientLimits) -> Self {
        Self { app, router: TowerToHyperService::new(router), clients, ids: RequestIds::new() }
    }

    /// Counts a request for its client, and stores the result of the check of its bearer in the request's extensions.
    ///
    /// # Errors
    /// `too-many-requests` if a limit of the client is reached.
    fn limit_client(&self, request: &mut Request<Body>, client: &Client<'_>) -> Result<(), Problem> {
        let keys = Keys { bearers: &self.app.bearers, staff: &self.app.staff };
        let checked = self.clients.check(Asked::of(request), client.peer.ip(), keys);
        if let Some(checked) = checked.inspect_err(|too_often| self.app.metrics.count_limited(too_often.limit))? {
            request.extensions_mut().insert(checked);
        }
        if let Some(guesser) = self.clients.guesser(Asked::of(request), client.peer.ip()) {
            request.extensions_mut().insert(guesser);
        }
        Ok(())
    }

    /// The other checks before the router.
    ///
    /// # Errors
    /// The refusal.
    fn check(&self, request: &Request<Body>) -> Result<(), Problem> {
        guard::check(&self.app.web, request)?;
        coding::check_unread(request)
    }

    /// Answers any request, with the common headers and limits.
    pub(super) async fn answer(&self, request: Request<Incoming>, client: &Client<'_>) -> Response {
        let mut request = request.map(drained);
        let pulse = client.pulse;
        if client.refused.is_some() {
            pulse.set_ending();
        }
        let request_id = self.ids.id_of(request.headers());
        // A client that waits for "100 Continue" does not send a body after a refusal without a "100 Continue", so the
        // server cannot tell where the next request begins.
        let expects = request.headers().contains_key(EXPECT);
        let is_safe = request.method().is_safe();
        let path_for_log = tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
        if self.clients.is_staffs(request.method(), request.uri().path()) {
            let is_from_own_page = guard::has_own_origin(&self.app.web, &request);
            request.extensions_mut().insert(StaffCall { request_id: request_id.clone(), is_from_own_page });
        }
        if is_event_stream(request.uri().path()) {
            request.extensions_mut().insert(Peer::new(pulse.clone()));
        }
        let offered = Offered::of(&self.app, &request, || guard::is_from_own_page(&self.app.web, &request));
        if let Some(offered) = &offered {
            request.extensions_mut().insert(offered.clone());
        }
        let sharing = Sharing::of(&self.app.web, &request);
        let checked = match check_slot(request.uri().path(), client) {
            Ok(()) => self.limit_client(&mut request, client).and_then(|()| self.check(&request)),
            refused => refused,
        };
        let mut response = match checked.map(|()| sharing.preflight(&request)) {
            Ok(None) => match self.router.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Ok(Some(preflight)) => self.outside(preflight),
            Err(problem) => self.outside(problem.into_response()),
        };
        let status = response.status();
        if status.is_server_error() {
            tracing::warn!(?request_id, status = status.as_u16(), "a request failed");
        } else if let Some(path) = path_for_log {
            tracing::debug!(?request_id, status = status.as_u16(), path, "a request was answered");
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, request_id);
        default_headers::set(headers);
        if let Some(Offered::Valid(session)) = &offered {
            user_session::renew(&self.app, session, headers);
        }
        sharing.set_headers(headers);
        let is_incomplete = status == StatusCode::REQUEST_TIMEOUT || (expects && (is_safe || !status.is_success()));
        if is_incomplete || self.app.stopping.is_leaving() || pulse.is_ending() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Counts an answer that no route gave.
    fn outside(&self, response: Response) -> Response {
        self.app.metrics.observe(UNMATCHED, response.status().as_u16(), Duration::ZERO);
        self.app.metrics.note_refusal(&response);
        response
    }
}
