//! The place in which the sale is kept: a file, or Postgres, perhaps behind a wire cutter.

use std::path::Path;

use onsale_testing::postgres::{Database, Server, Setup};
use onsale_testing::{Launch, WireCutter};

use super::Stage;

/// The store. Fields are dropped in this order: the database before its server.
pub(crate) struct Store {
    database: Option<Database>,
    wire: Option<WireCutter>,
    standby: Option<Server>,
    server: Option<Server>,
}

impl Store {
    /// Starts what the stage needs, with the schema of this program.
    pub(super) async fn start(program: &Path, stage: &Stage) -> Self {
        if stage.sqlite {
            return Self { database: None, wire: None, standby: None, server: None };
        }
        let mut setup = stage.parameters.iter().fold(Setup::durable(), |setup, (name, value)| setup.set(name, value));
        if stage.small_disk {
            setup = setup.on_a_small_disk();
        }
        if let Some(sessions) = stage.sessions {
            setup = setup.set("max_connections", sessions).set("max_wal_senders", 0).set("wal_level", "minimal");
        }
        if stage.own_clock {
            setup = setup.with_own_clock();
        }
        let server = setup.start().await;
        let database = server.migrated(program).await;
        let standby = if stage.standby { Some(heir(&server).await) } else { None };
        let wire = if stage.wire { Some(WireCutter::start(server.address()).await) } else { None };
        Self { database: Some(database), wire, standby, server: Some(server) }
    }

    /// An instance that uses it.
    pub(super) fn under(&self, launch: Launch) -> Launch {
        match (&self.database, &self.wire) {
            (Some(database), Some(wire)) => launch.on(database.url_at(wire.address())),
            (Some(database), None) => launch.on(database.url()),
            (None, _) => launch,
        }
    }

    /// The server.
    ///
    /// # Panics
    /// If the sale is kept in a file.
    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("the sale is on Postgres")
    }

    /// The database.
    ///
    /// # Panics
    /// If the sale is kept in a file.
    pub(crate) fn database(&self) -> &Database {
        self.database.as_ref().expect("the sale is on Postgres")
    }

    /// The wire between the instances and the server.
    ///
    /// # Panics
    /// If the stage has none.
    pub(crate) fn wire(&self) -> &WireCutter {
        self.wire.as_ref().expect("a wire cutter")
    }

    /// The standby, and its URL.
    ///
    /// # Panics
    /// If the stage has none.
    pub(crate) fn standby(&self) -> (&Server, String) {
        let standby = self.standby.as_ref().expect("a standby");
        (standby, self.database().url_at(standby.address()))
    }

    /// The URL for an operator: past the wire, unless that leads to the server that is in use.
    pub(super) fn url(&self, launch: &Launch) -> String {
        match &self.database {
            Some(database) if self.standby.is_some() => database.url_at(self.wire().address()),
            Some(database) => database.url(),
            None => format!("sqlite://{}/onsale.db", launch.folder().display()),
        }
    }
}

/// A standby that must have each commit before it is answered.
async fn heir(server: &Server) -> Server {
    let standby = server.standby("heir").await;
    server.synchronous("heir").await;
    standby
}
