//! What surrounds every request, matched by a route or not: limits by client, its id, the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::bounds::Refused;
use super::cors::Sharing;
use super::drain::drained;
use super::peer::Peer;
use super::pulse::Pulse;
use super::request_id::{REQUEST_ID, RequestIds};
use super::{guard, marks};
use crate::http::measure::UNMATCHED;
use crate::http::problem::{Code, Problem};
use crate::http::stream::EVENTS_PATH;
use crate::http::{App, Limiter, coding};

/// What a connection in a reserved place may ask.
const RESERVED_PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The service with what surrounds it.
pub(super) struct Outer {
    pub(super) app: App,
    router: TowerToHyperService<Router>,
    limiter: Limiter,
    /// For places in line, on top of that.
    entries: Limiter,
    ids: RequestIds,
}

/// Who sent a request.
pub(super) struct Client<'a> {
    pub(super) peer: SocketAddr,
    pub(super) pulse: &'a Arc<Pulse>,
    /// Why the connection has only a reserved place, if it has.
    pub(super) refused: Option<Refused>,
}

impl Outer {
    pub(super) fn new(app: App, router: Router, limiter: Limiter, entries: Limiter) -> Self {
        Self { app, router: TowerToHyperService::new(router), limiter, entries, ids: RequestIds::new() }
    }

    /// Checks what must hold before a route is looked for.
    ///
    /// # Errors
    /// The refusal.
    fn check(&self, request: &Request<Body>, client: &Client<'_>) -> Result<(), Problem> {
        if let Some(refused) = client.refused
            && !RESERVED_PATHS.contains(&request.uri().path())
        {
            return Err(refused.problem());
        }
        let peer = client.peer;
        let too_many = |seconds| Problem::new(Code::TooManyRequests).retry_after(seconds);
        self.limiter.check(peer.ip(), request.headers()).map_err(too_many)?;
        guard::check(&self.app.web, request)?;
        coding::check_unread(request)?;
        let enters = request.method() == Method::POST && request.uri().path() == "/queue/tokens";
        if enters { self.entries.check(peer.ip(), request.headers()).map_err(too_many) } else { Ok(()) }
    }

    /// Answers a request, whatever it is.
    pub(super) async fn answer(&self, request: Request<Incoming>, client: &Client<'_>) -> Response {
        let mut request = request.map(drained);
        let pulse = client.pulse;
        if client.refused.is_some() {
            pulse.set_ending();
        }
        let request_id = self.ids.id_of(request.headers());
        // A client that waits for "100 Continue" does not send a body that was refused before it was asked for, so the
        // server cannot tell where the next request begins.
        let expects = request.headers().contains_key(EXPECT);
        let path_for_log = tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
        if request.uri().path() == EVENTS_PATH {
            request.extensions_mut().insert(Peer::new(pulse.clone()));
        }
        let sharing = Sharing::of(&self.app.web, &request);
        let mut response = match self.check(&request, client).map(|()| sharing.preflight(&request)) {
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
        marks::mark(headers);
        sharing.mark(headers);
        let is_incomplete = status == StatusCode::REQUEST_TIMEOUT || (expects && !status.is_success());
        if is_incomplete || self.app.stopping.is_leaving() || pulse.is_ending() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Counts an answer that no route gave.
    fn outside(&self, response: Response) -> Response {
        self.app.metrics.observe(UNMATCHED, response.status().as_u16(), Duration::ZERO);
        response
    }
}
