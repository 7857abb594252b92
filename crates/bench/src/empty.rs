//! The reference: an axum handler that does nothing, in its own process, with the allocator and the runtime of
//! the real program.

use std::io::{Write, stdout};

use axum::Router;
use axum::routing::get;
use onsale_load_generator::Outcome;

/// The argument that makes this program serve the empty handler.
pub(crate) const ARGUMENT: &str = "empty-handler";

/// Serves until killed.
pub(crate) fn serve() -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        writeln!(stdout(), "empty handler listening on http://{}", listener.local_addr()?)?;
        stdout().flush()?;
        Ok(axum::serve(listener, Router::new().route("/", get(async || {}))).await?)
    })
}
