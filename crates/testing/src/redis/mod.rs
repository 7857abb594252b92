//! Real Redis servers, each in a folder and on a port of its own. None outlives the test that started it.

mod cluster;
mod sentinel;
mod server;

use tokio::sync::OnceCell;

pub use cluster::Cluster;
pub use redis as driver;
pub use sentinel::Sentinel;
pub use server::{Keeps, Redis};

/// Names where tests of the whole program have their waiting rooms: `redis`, or nothing for the database.
const TESTED: &str = "ONSALE_TEST_ROOM";

/// The server that the tests of a process share, unless they stop or change it. Each test uses rooms with unique names.
///
/// # Panics
/// If it does not start.
pub async fn shared() -> &'static Redis {
    static SHARED: OnceCell<Redis> = OnceCell::const_new();
    SHARED.get_or_init(|| Redis::start(Keeps::Nothing)).await
}

/// The URL of the shared server, where the tests are to run on it.
pub(crate) async fn tested() -> Option<String> {
    match std::env::var(TESTED).as_deref() {
        Ok("redis") => Some(shared().await.url()),
        _ => None,
    }
}
