//! Settings of a server to create.

use std::fmt::{Display, Write};

use super::home::Home;
use super::programs::Programs;
use super::server::Server;
use crate::clock::WallClock;
use crate::disk::Disk;

/// The settings of a server that does not exist yet.
pub struct Setup {
    parameters: Vec<(String, String)>,
    has_small_disk: bool,
    has_own_clock: bool,
}

impl Setup {
    /// As in production: each commit is synced to the disk before it is answered.
    #[must_use]
    pub fn durable() -> Self {
        let setup = Self { parameters: Vec::new(), has_small_disk: false, has_own_clock: false };
        // The log shows locks and deadlocks with the name of the database. Shared memory is in the server's
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

    /// Without syncs, for tests that measure nothing. Committed data survives the end of every process, also by
    /// SIGKILL, but not a crash of the machine.
    #[must_use]
    pub fn unsynced() -> Self {
        Self::durable().set("fsync", "off").set("full_page_writes", "off")
    }

    /// Sets a parameter of the server, such as `max_connections`. A later value wins.
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

    /// With a clock that [`Server::set_clock_ahead`] sets. Needs libfaketime.
    #[must_use]
    pub fn with_own_clock(mut self) -> Self {
        self.has_own_clock = true;
        self
    }

    /// Creates the server and starts it. Takes a second or two.
    ///
    /// # Panics
    /// If PostgreSQL is missing or does not start. The message has its log.
    pub async fn start(self) -> Server {
        let mut home = Home::new(Programs::find());
        let data = home.data_argument();
        let how = ["--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C", "-U", super::USER, "-D", &data];
        home.programs.run("initdb", &how).await;
        configure(&home, &self.parameters);
        if self.has_small_disk {
            home.disk = Some(Disk::within(&home.folder));
        }
        if self.has_own_clock {
            home.clock = Some(WallClock::within(&home.folder));
        }
        let server = Server::of(home);
        server.restart().await;
        server
    }
}

/// Adds parameters, with its address, to a server that is not running.
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
