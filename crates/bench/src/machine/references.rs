//! Reference servers: axum handlers in a process of their own, with the allocator and the runtime of the real program.

use std::io::{Write, stdout};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use onsale_load_generator::Outcome;
use onsale_testing::redis::driver::{Client, aio::MultiplexedConnection, cmd};

/// The argument that makes this program serve a handler that does nothing.
pub(crate) const EMPTY: &str = "serve-empty";

/// The argument that makes this program serve a handler that awaits one `INCR`, followed by the URL of the Redis.
pub(crate) const INCR: &str = "serve-incr";

/// Serves a handler that does nothing, until the process is killed.
pub(crate) fn serve_empty() -> Outcome<()> {
    runtime()?.block_on(serve(Router::new().route("/", get(async || {}))))
}

/// Serves a handler that awaits one `INCR` over one pipelined connection, until the process is killed.
pub(crate) fn serve_incr(url: &str) -> Outcome<()> {
    runtime()?.block_on(async {
        let redis = Client::open(url)?.get_multiplexed_async_connection().await?;
        serve(Router::new().route("/", get(incr)).with_state(redis)).await
    })
}

fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn serve(router: Router) -> Outcome<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(stdout(), "reference handler listening on http://{}", listener.local_addr()?)?;
    stdout().flush()?;
    Ok(axum::serve(listener, router).await?)
}

async fn incr(State(mut redis): State<MultiplexedConnection>) -> Result<String, StatusCode> {
    let number: Result<u64, _> = cmd("INCR").arg("onsale-bench-counter").query_async(&mut redis).await;
    number.map(|number| number.to_string()).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}
