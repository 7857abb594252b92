//! The server: accepts connections until it stops, then lets those under way finish.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::bounds::{Bounds, ConnectionLimits};
use super::clients::ClientLimits;
use super::outer::Outer;
use super::reached::Reached;
use super::{connection, listen, socket_options};
use crate::http::App;

/// The longest time for requests that run when the server closes. Their connections are closed after it.
const FINISH_TIMEOUT: Duration = Duration::from_secs(15);

/// Bounds on connections and clients.
pub(crate) struct ServerLimits {
    pub(crate) connections: ConnectionLimits,
    /// How long a connection is kept without a request.
    pub(crate) idle: Duration,
    pub(crate) clients: ClientLimits,
}

/// Serves requests until stopped.
pub(crate) struct Server {
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) limits: ServerLimits,
    pub(crate) reached: Arc<Reached>,
}

impl Server {
    /// Accepts connections until the server closes, then lets those under way finish.
    pub(crate) async fn run(self, listener: TcpListener) {
        let Self { app, router, limits, reached } = self;
        socket_options::tune(&listener);
        let stopping = app.stopping.clone();
        let connections = TaskTracker::new();
        let bounds = Bounds::new(limits.connections, reached);
        let outer = Arc::new(Outer::new(app, router, limits.clients));
        loop {
            let accepted = tokio::select! {
                () = stopping.closing() => break,
                accepted = listen::accept(&listener, &bounds) => accepted,
            };
            if let Some(accepted) = accepted {
                connections.spawn(connection::serve(accepted, outer.clone(), limits.idle));
            }
        }
        // They connected before the close, so each of them gets an answer.
        for accepted in listen::close(listener, &bounds).await {
            connections.spawn(connection::serve(accepted, outer.clone(), limits.idle));
        }
        // No task is added from here on, so the wait below can end.
        connections.close();
        if tokio::time::timeout(FINISH_TIMEOUT, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections did not finish in time and are closed");
        }
    }
}
