//! The folder of a launch, and the database that goes with it.

use std::path::Path;

use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::postgres::{Database, shared};

/// Names the kind of database on which the tests of the whole program run: `postgres`, or nothing for a file each.
const TESTED: &str = "ONSALE_TEST_DATABASE";

/// Whether the tests run on a database that several processes may share.
pub fn is_shared() -> bool {
    std::env::var(TESTED).as_deref() == Ok("postgres")
}

/// Temporary. Programs that run in it find the database in its `onsale.toml`, or make a file of their own.
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

    /// Brings a database here where the tests are to run on one, and none is here yet.
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
