//! Connections: taken in, bounded, cut off where they stall, and let go of gently.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cut_off::CutOff;
use super::listen::{self, Accepted};
use super::pulse::Pulse;
use crate::http::measure::UNMATCHED;
use crate::http::problem::{Code, Problem};
use crate::http::{App, Limiter};

/// The largest head of a request, in bytes.
const HEAD_MAX: usize = 32 * 1024;

/// How long what is under way may take to finish once the server stops.
const FINISH_TIMEOUT: Duration = Duration::from_secs(15);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bounds on connections and clients.
pub(crate) struct ServerLimits {
    pub(crate) connections_max: usize,
    pub(crate) limiter: Limiter,
    /// For places in line, on top of that.
    pub(crate) entries: Limiter,
}

/// Serves requests until stopped.
pub(crate) struct Server {
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) limits: ServerLimits,
}

/// What surrounds every request, matched or not.
struct Outer {
    app: App,
    router: TowerToHyperService<Router>,
    limiter: Limiter,
    entries: Limiter,
    /// Ids of requests that bring none: a random start, then counted on.
    next_request: AtomicU64,
}

impl Server {
    /// Accepts connections until `stop`, then lets those under way finish.
    pub(crate) async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let Self { app, router, limits } = self;
        let connections = TaskTracker::new();
        let permits = Arc::new(Semaphore::new(limits.connections_max));
        let outer = Arc::new(Outer {
            app,
            router: TowerToHyperService::new(router),
            limiter: limits.limiter,
            entries: limits.entries,
            next_request: AtomicU64::new(rand::random()),
        });
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listen::accept(&listener, &permits) => accepted,
            };
            if let Some(accepted) = accepted {
                connections.spawn(serve_connection(accepted, outer.clone(), stop.clone()));
            }
        }
        for accepted in listen::close(listener, &permits).await {
            connections.spawn(serve_connection(accepted, outer.clone(), stop.clone()));
        }
        connections.close();
        if tokio::time::timeout(FINISH_TIMEOUT, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections did not finish in time");
        }
    }
}

async fn serve_connection(accepted: Accepted, outer: Arc<Outer>, stop: CancellationToken) {
    let Accepted { stream, peer, permit: _permit } = accepted;
    let _open = outer.app.metrics.open_connection();
    let pulse = Arc::new(Pulse::default());
    let beating = pulse.clone();
    let service = service_fn(move |request| {
        let (outer, pulse) = (outer.clone(), beating.clone());
        async move {
            let _busy = pulse.busy();
            Ok::<_, std::convert::Infallible>(outer.answer(request, peer).await)
        }
    });
    // Head and body go out as one piece: most answers are small, and the system takes one piece more readily than two.
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .writev(false)
        .serve_connection(TokioIo::new(CutOff::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        // What has come is read before the end is looked at.
        biased;
        ended = connection.as_mut() => ended,
        () = pulse.idle() => return,
        () = async { stop.cancelled().await; pulse.begun().await } => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = pulse.idle() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke off");
    }
}

impl Outer {
    /// Whether the client may ask this now; else after how many seconds.
    fn check(&self, request: &Request<Incoming>, peer: SocketAddr) -> Result<(), u32> {
        self.limiter.check(peer.ip(), request.headers())?;
        let enters = request.method() == Method::POST && request.uri().path() == "/queue/tokens";
        if enters { self.entries.check(peer.ip(), request.headers()) } else { Ok(()) }
    }

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let request_id = self.request_id(&request);
        let path_for_log = tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
        let mut response = match self.check(&request, peer) {
            Ok(()) => match self.router.call(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Err(seconds) => {
                self.app.metrics.observe(UNMATCHED, 429, Duration::ZERO);
                Problem::new(Code::TooManyRequests).retry_after(seconds).into_response()
            }
        };
        let status = response.status();
        if status.is_server_error() {
            tracing::warn!(?request_id, status = status.as_u16(), "a request failed");
        } else if let Some(path) = path_for_log {
            tracing::debug!(?request_id, status = status.as_u16(), path, "a request was answered");
        }
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }

    /// The caller's own id, where it is a sound one, else the next of ours.
    fn request_id(&self, request: &Request<Incoming>) -> HeaderValue {
        let sound = |value: &&HeaderValue| {
            (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let own = || {
            let number = self.next_request.fetch_add(1, Ordering::Relaxed);
            HeaderValue::try_from(format!("{number:016x}")).unwrap_or(HeaderValue::from_static("-"))
        };
        request.headers().get(REQUEST_ID).filter(sound).cloned().unwrap_or_else(own)
    }
}
