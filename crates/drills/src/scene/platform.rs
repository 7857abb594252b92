//! A data platform whose answers a drill chooses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::http::StatusCode;

/// What the platform answers to every post.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// 204: delivered.
    Accept,
    /// 400: refused for good.
    Refuse,
    /// 500: to be retried.
    Fail,
}

impl Answer {
    fn status(self) -> StatusCode {
        match self {
            Self::Accept => StatusCode::NO_CONTENT,
            Self::Refuse => StatusCode::BAD_REQUEST,
            Self::Fail => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The platform. It ends with the runtime.
pub(crate) struct Platform {
    address: SocketAddr,
    status: Arc<AtomicU16>,
}

impl Platform {
    /// Starts a platform that accepts everything.
    ///
    /// # Panics
    /// If the machine has no free port.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let status = Arc::new(AtomicU16::new(Answer::Accept.status().as_u16()));
        let known = status.clone();
        let answer = move || async move { StatusCode::from_u16(known.load(Ordering::Relaxed)).unwrap_or_default() };
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, status }
    }

    /// Where events are posted to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Gives this answer to every post from now on.
    pub(crate) fn answers(&self, answer: Answer) {
        self.status.store(answer.status().as_u16(), Ordering::Relaxed);
    }
}
