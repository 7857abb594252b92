//! The folder of a launch, and its database.

use std::path::Path;

use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::postgres::{Database, shared};

/// Selects the database for tests of the whole program: `postgres`, or nothing for one SQLite file each.
const TESTED: &str = "ONSALE_TEST_DATABASE";

/// Whether the tests use a database that several processes can share.
pub fn is_shared() -> bool {
    std::env::var(TESTED).as_deref() == Ok("postgres")
}

/// A temporary folder. Programs that run in it find the database in its `onsale.toml`, or create a file.
pub(crate) struct Folder {
    folder: TempDir,
    database: OnceCell<Database>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-test-").tempdir().expect("a temporary folder");
        Self { folder, database: OnceCell::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a database if the tests use a server, and the folder has none yet.
    pub(crate) async fn prepare(&self, program: &Path) {
        let settings = self.path().join("onsale.toml");
        if !is_shared() || (settings.exists() && !self.database.initialized()) {
            return;
        }
        let make = || async {
            let database = shared().await.migrated(program).await;
            let text = format!("database_url = \"{}\"\n", database.url());
            std::fs::write(&settings, text).expect("settings can be written");
            database
        };
        self.database.get_or_init(make).await;
    }
}
