//! The reference for an entry: an axum handler that awaits one `INCR`, in its own process, over one pipelined
//! connection, with the allocator and the runtime of the real program.

use std::io::{Write, stdout};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use onsale_load_generator::Outcome;
use onsale_testing::redis::driver::{Client, aio::MultiplexedConnection, cmd};

/// The argument that makes this program serve it, followed by the URL of the Redis.
pub(crate) const ARGUMENT: &str = "incr-handler";

async fn incr(State(mut redis): State<MultiplexedConnection>) -> Result<String, StatusCode> {
    let number: u64 = cmd("INCR")
        .arg("onsale-bench-counter")
        .query_async(&mut redis)
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(number.to_string())
}

/// Serves until killed.
pub(crate) fn serve(url: &str) -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let redis = Client::open(url)?.get_multiplexed_async_connection().await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        writeln!(stdout(), "INCR handler listening on http://{}", listener.local_addr()?)?;
        stdout().flush()?;
        Ok(axum::serve(listener, Router::new().route("/", get(incr)).with_state(redis)).await?)
    })
}
