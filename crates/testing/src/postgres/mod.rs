//! Real PostgreSQL servers, each in its own folder and on its own port. None outlives the test that started it.

mod backup;
mod database;
mod home;
mod programs;
mod server;
mod setup;
mod standby;

use std::net::SocketAddr;

pub use backup::{Script, folder};
pub use database::{Database, shared};
pub use server::Server;
pub use setup::Setup;
pub use tokio_postgres as driver;

use crate::patience::PATIENCE;

/// The owner of everything in these servers; needs no password.
const USER: &str = "postgres";

/// The URL of a database of the server at this address: the server's own, or that of a wire cutter in front of
/// it.
pub fn url(address: SocketAddr, database: &str) -> String {
    format!("postgres://{USER}@{address}/{database}")
}

/// Connects to a database. A task of this runtime drives the connection, and ends with the client.
///
/// # Panics
/// If the connection fails.
pub async fn sql(url: &str) -> driver::Client {
    let connecting = driver::connect(url, driver::NoTls);
    let connected = tokio::time::timeout(PATIENCE, connecting).await.expect("a connection in time");
    let (client, connection) = connected.unwrap_or_else(|error| panic!("{url}: {error:?}"));
    // The client's calls return the error with which it ended.
    tokio::spawn(async move { drop(connection.await) });
    client
}
