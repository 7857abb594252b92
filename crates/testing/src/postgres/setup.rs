//! How a server is to be made.

use std::fmt::{Display, Write};

use super::home::Home;
use super::programs::Programs;
use super::server::Server;
use crate::disk::Disk;

/// The settings of a server that is not there yet.
pub struct Setup {
    parameters: Vec<(String, String)>,
    has_small_disk: bool,
}

impl Setup {
    /// As in earnest: each commit is synced to the disk before it is answered.
    #[must_use]
    pub fn durable() -> Self {
        let setup = Self { parameters: Vec::new(), has_small_disk: false };
        // Locks and deadlocks stand in the log, with the name of the database. Shared memory is kept in the server's
        // own folder, so that nothing is left of it after a crash. WAL is kept for a standby that was away.
        setup
            .set("fsync", "on")
            .set("synchronous_commit", "on")
            .set("log_lock_waits", "on")
            .set("log_line_prefix", "%m [%p] database=%d ")
            .set("dynamic_shared_memory_type", "mmap")
            .set("wal_keep_size", "512MB")
            .set("timezone", "UTC")
    }

    /// Without syncs, for tests that measure nothing. What was committed survives the end of every process, also by
    /// SIGKILL, but not that of the machine.
    #[must_use]
    pub fn unsynced() -> Self {
        Self::durable().set("fsync", "off").set("full_page_writes", "off")
    }

    /// Sets a parameter of the server, such as `max_connections`. A later one wins over an earlier one.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Display) -> Self {
        self.parameters.push((name.to_owned(), value.to_string()));
        self
    }

    /// On a disk that [`Server::fill_disk`] fills. Needs a C compiler.
    #[must_use]
    pub fn on_a_small_disk(mut self) -> Self {
        self.has_small_disk = true;
        self
    }

    /// Makes the server and starts it. Takes a second or two.
    ///
    /// # Panics
    /// If PostgreSQL is missing or does not start; with its log.
    pub async fn start(self) -> Server {
        let mut home = Home::new(Programs::find());
        let data = home.data_argument();
        let how = ["--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C", "-U", super::USER, "-D", &data];
        home.programs.run("initdb", &how).await;
        configure(&home, &self.parameters);
        if self.has_small_disk {
            home.disk = Some(Disk::within(&home.folder));
        }
        let server = Server::of(home);
        server.restart().await;
        server
    }
}

/// Adds parameters to a server that does not run, and where it is to be found.
pub(super) fn configure(home: &Home, parameters: &[(String, String)]) {
    let path = home.data().join("postgresql.conf");
    let mut text = std::fs::read_to_string(&path).expect("a configuration");
    let place = [
        ("listen_addresses", home.port.address().ip().to_string()),
        ("port", home.port.address().port().to_string()),
        ("unix_socket_directories", home.folder.display().to_string()),
    ];
    let place = place.iter().map(|(name, value)| (*name, value));
    for (name, value) in parameters.iter().map(|(name, value)| (name.as_str(), value)).chain(place) {
        writeln!(text, "{name} = '{}'", value.replace('\'', "''")).expect("a string takes text");
    }
    std::fs::write(path, text).expect("the configuration can be written");
}
