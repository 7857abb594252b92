//! Real PostgreSQL servers, each in a folder and on a port of its own. None outlives the test that started it.

mod database;
mod home;
mod programs;
mod server;
mod setup;
mod standby;

use std::net::SocketAddr;

pub use database::{Database, shared};
pub use server::Server;
pub use setup::Setup;
pub use tokio_postgres as driver;

pub(crate) use home::WATCHDOG;

use crate::instance::PATIENCE;

/// Who owns everything in these servers; needs no password.
const USER: &str = "postgres";

/// The URL of a database of the server that answers at this address: a server's own, or that of a wire cutter before
/// it.
pub fn url(address: SocketAddr, database: &str) -> String {
    format!("postgres://{USER}@{address}/{database}")
}

/// Connects to a database. The connection is driven by a task of this runtime, and ends with the client.
///
/// # Panics
/// If it cannot be had.
pub async fn sql(url: &str) -> driver::Client {
    let connecting = driver::connect(url, driver::NoTls);
    let connected = tokio::time::timeout(PATIENCE, connecting).await.expect("a connection in time");
    let (client, connection) = connected.unwrap_or_else(|error| panic!("{url}: {error:?}"));
    // How it ended is told by the client's calls.
    tokio::spawn(async move { drop(connection.await) });
    client
}
