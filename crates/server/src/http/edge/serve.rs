//! Connections: taken in, bounded, cut off where they stall, and let go of gently.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
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
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::listen::{self, Accepted};
use crate::http::measure::UNMATCHED;
use crate::http::problem::{Code, Problem};
use crate::http::{App, Limiter};

/// How long a connection may lie idle, or take for the head of a request.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// How often that is looked at: one timer for a connection now and then, not one for each request.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a client may take nothing of its answer.
const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest head of a request, in bytes.
const HEAD_MAX: usize = 32 * 1024;

/// How long what is under way may take to finish once the server stops.
const FINISH_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a connection without a request may wait for its first one once the server stops.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

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

/// Whether anything goes on in a connection.
#[derive(Default)]
struct Pulse {
    /// Requests begun, twice, plus one while one is under way.
    beats: AtomicU64,
}

struct Busy<'a>(&'a Pulse);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pulse {
    fn busy(&self) -> Busy<'_> {
        self.beats.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// Ends once the first request has begun, or did not come in time.
    async fn begun(&self) {
        let since = Instant::now();
        while self.beats.load(Ordering::Relaxed) == 0 && since.elapsed() < FIRST_REQUEST_TIMEOUT {
            sleep(FIRST_REQUEST_TIMEOUT / 200).await;
        }
    }

    /// Ends once no request has begun, and none was under way, for as long as a connection may lie idle.
    async fn idle(&self) {
        let (mut seen, mut since) = (0, Instant::now());
        while since.elapsed() < IDLE_MAX {
            sleep(IDLE_LOOK_EVERY).await;
            let beats = self.beats.load(Ordering::Relaxed);
            if beats != seen || beats % 2 == 1 {
                (seen, since) = (beats, Instant::now());
            }
        }
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

/// A stream that fails once its client has taken nothing for too long.
struct CutOff {
    stream: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl CutOff {
    fn new(stream: TcpStream) -> Self {
        Self { stream, stalled: None }
    }

    /// Passes on what a write came to; waits no longer than allowed where it came to nothing.
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL_TIMEOUT)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for CutOff {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CutOff {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
