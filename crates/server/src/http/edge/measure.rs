//! The layer around each handler: it measures the duration and the status, and answers 500 if the handler panics.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use onsale_app::live::{Answers, RouteTimes};
use onsale_app::trace::{self, Span};

use crate::http::App;
use crate::http::edge::Limit;
use crate::http::reply::problem::{Code, Problem};

/// Bounds in seconds, as OpenTelemetry's conventions advise for HTTP, and finer ones below.
const BUCKETS: [f64; 17] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];

/// A route and its method; there are as many as operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
}

impl Route {
    /// The span of the request, if it is traced.
    fn begin_span(self, request: &Request) -> Option<Span> {
        let traceparent = || request.headers().get(trace::TRACEPARENT)?.to_str().ok();
        let span = trace::begin(|| format!("{} {}", self.method, self.path), traceparent)?;
        Some(span.with("http.request.method", self.method).with("http.route", self.path))
    }
}

/// The route of requests that match no route.
pub(crate) const UNMATCHED: Route = Route { method: "_OTHER", path: "" };

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The metrics of HTTP requests and connections.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    /// Requests that a limit refused.
    limited: Family<Reason, Counter>,
    /// Requests that got a problem.
    refusals: Family<Refused, Counter>,
    durations: Family<Labels, Histogram, fn() -> Histogram>,
    connections: Gauge,
    /// What was answered in the last minute, for live figures.
    answers: Arc<Answers>,
}

/// Counts as an open connection while it lives.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl HttpMetrics {
    pub(crate) fn register(registry: &mut Registry, answers: Arc<Answers>) -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let (limited, refusals) = (Family::default(), Family::default());
        let metrics = Self { limited, refusals, durations, connections: Gauge::default(), answers };
        registry.register_with_unit(
            "http_server_request_duration",
            "Duration of HTTP requests",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        let help = "Requests refused with 429, by the limit that was reached";
        registry.register("http_server_requests_limited", help, metrics.limited.clone());
        // Each limit is exported as 0 from the start: a query sees the first increase only after a sample before it.
        for limit in Limit::ALL {
            drop(metrics.limited.get_or_create(&Reason { reason: limit.as_str() }));
        }
        let help = "Requests answered with a problem, by its code";
        registry.register("http_server_refusals", help, metrics.refusals.clone());
        for code in Code::ALL {
            drop(metrics.refusals.get_or_create(&Refused { code: code.as_str() }));
        }
        registry.register("http_server_open_connections", "Open HTTP connections", metrics.connections.clone());
        metrics
    }

    pub(crate) fn open_connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    pub(crate) fn count_limited(&self, limit: Limit) {
        self.limited.get_or_create(&Reason { reason: limit.as_str() }).inc();
    }

    /// Counts the code of an answer that no route gave, for live figures.
    pub(crate) fn note_refusal(&self, response: &Response) {
        if let Some(code) = response.extensions().get::<Code>() {
            self.answers.refused(code.as_str());
        }
    }

    pub(crate) fn observe(&self, route: Route, status: u16, took: Duration) {
        self.of(route, status).observe(took.as_secs_f64());
    }

    fn of(&self, route: Route, status: u16) -> Histogram {
        let labels =
            Labels { http_request_method: route.method, http_route: route.path, http_response_status_code: status };
        self.durations.get_or_create(&labels).clone()
    }
}

/// The longest time for a whole request; beyond it the answer is `unavailable`. A handler may wait for several parts,
/// one after another, each at most 9.5 s.
const ANSWER_WITHIN: Duration = Duration::from_millis(9_700);

/// A handler and its metrics.
#[derive(Clone)]
pub(crate) struct Measured<H> {
    route: Route,
    handler: H,
    /// The first status that this handler answered, and its histogram. Nearly all answers have the same status, so their
    /// histogram is found without hashing its labels.
    usual: Arc<OnceLock<(u16, Histogram)>>,
    /// The durations of this route in the last minute. Found once, because finding them takes a lock.
    times: Arc<OnceLock<Arc<RouteTimes>>>,
}

impl<H> Measured<H> {
    pub(crate) fn new(route: Route, handler: H) -> Self {
        Self { route, handler, usual: Arc::default(), times: Arc::default() }
    }
}

impl<T, H> Handler<T, App> for Measured<H>
where
    H: Handler<T, App>,
    T: 'static,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, app: App) -> Self::Future {
        let began = Instant::now();
        let span = self.route.begin_span(&request);
        let handled = AssertUnwindSafe(self.handler.call(request, app.clone())).catch_unwind();
        Box::pin(async move {
            let within = trace::within(span.as_ref().map(|span| span.context), handled);
            let response = match tokio::time::timeout(ANSWER_WITHIN, within).await {
                Ok(Ok(response)) => response,
                Ok(Err(_)) => {
                    tracing::error!(route = self.route.path, "a handler panicked; the client gets 500");
                    Problem::new(Code::Internal).into_response()
                }
                Err(_) => Problem::new(Code::Unavailable).into_response(),
            };
            let (status, took) = (response.status().as_u16(), began.elapsed());
            if self.route != UNMATCHED {
                self.times.get_or_init(|| app.metrics.answers.of(self.route.method, self.route.path)).add(took);
            }
            match self.usual.get_or_init(|| (status, app.metrics.of(self.route, status))) {
                (usual, times) if *usual == status => times.observe(took.as_secs_f64()),
                _ => app.metrics.observe(self.route, status, took),
            }
            // Nearly all answers are successes, which have no code.
            if status >= 400
                && let Some(code) = response.extensions().get::<Code>()
            {
                app.metrics.refusals.get_or_create(&Refused { code: code.as_str() }).inc();
                app.metrics.answers.refused(code.as_str());
            }
            if let Some(span) = span {
                let failed = response.status().is_server_error().then(|| response.status().to_string());
                span.with("http.response.status_code", i64::from(status)).end(failed);
            }
            response
        })
    }
}
