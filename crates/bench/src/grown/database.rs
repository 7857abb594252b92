//! A database that is filled: a file of SQLite, or a database of the run's Postgres.

use std::path::PathBuf;
use std::time::Duration;

use onsale_load_generator::{Outcome, Program};
use tempfile::TempDir;

use super::fill::{self, Dialect};
use super::size::Size;
use crate::machine::{Machine, Postgres, Server};

/// A place for the rows.
enum Place<'m> {
    /// In a file in a folder of its own.
    File(TempDir),
    /// In a database with this name.
    Postgres(&'m Postgres, String),
}

/// A database and what it is filled with.
pub(super) struct Database<'m> {
    place: Place<'m>,
    pub(super) size: Size,
}

impl<'m> Database<'m> {
    /// Creates a database with the program's schema, and fills it.
    pub(super) fn filled(machine: &'m Machine, dialect: Dialect, size: Size) -> Outcome<Self> {
        let place = match dialect {
            Dialect::Sqlite => Place::File(tempfile::Builder::new().prefix("onsale-grown-").tempdir()?),
            Dialect::Postgres => {
                let postgres = machine.postgres()?;
                Place::Postgres(postgres, postgres.database()?)
            }
        };
        let database = Self { place, size };
        match &database.place {
            Place::File(_) => database.fill_file(machine)?,
            Place::Postgres(postgres, name) => {
                for statement in fill::statements(dialect, size) {
                    postgres.execute(name, &statement)?;
                }
                postgres.settle(name)?;
            }
        }
        Ok(database)
    }

    /// Fills the file without syncs. The file is read by a program that syncs each commit again.
    fn fill_file(&self, machine: &Machine) -> Outcome<()> {
        let migrated = std::process::Command::new(machine.program())
            .arg("migrate")
            .env("ONSALE_DATABASE_URL", self.url())
            .stdin(std::process::Stdio::null())
            .output()?;
        if !migrated.status.success() {
            return Err(format!("onsale migrate failed: {}", String::from_utf8_lossy(&migrated.stderr)).into());
        }
        let Some(file) = self.file() else { return Ok(()) };
        let db = rusqlite::Connection::open(file)?;
        db.execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA wal_autocheckpoint = 100000;")?;
        for statement in fill::statements(Dialect::Sqlite, self.size) {
            db.execute_batch(&statement).map_err(|error| format!("{statement}: {error}"))?;
        }
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(())
    }

    fn file(&self) -> Option<PathBuf> {
        let Place::File(folder) = &self.place else { return None };
        Some(folder.path().join("onsale.db"))
    }

    /// Its URL, as the setting `ONSALE_DATABASE_URL` takes it.
    pub(super) fn url(&self) -> String {
        match &self.place {
            Place::File(folder) => format!("sqlite://{}", folder.path().join("onsale.db").display()),
            Place::Postgres(postgres, name) => postgres.url(name),
        }
    }

    /// Starts the program on it.
    pub(super) fn serve(&self, machine: &Machine) -> Outcome<Server> {
        machine.server(&["--hold-seconds", "3600"], &[("ONSALE_DATABASE_URL", &self.url())])
    }

    /// Processor time of the database so far: of all processes of Postgres. A file has none of its own.
    pub(super) fn process_time(&self) -> Option<Duration> {
        match &self.place {
            Place::File(_) => None,
            Place::Postgres(postgres, _) => Some(postgres.process_time()),
        }
    }

    /// Bytes that were written so far: the length of SQLite's log, or WAL of all of Postgres.
    pub(super) fn written(&self) -> Outcome<u64> {
        match &self.place {
            Place::File(folder) => {
                let log = folder.path().join("onsale.db-wal");
                Ok(std::fs::metadata(log).map_or(0, |log| log.len()))
            }
            Place::Postgres(postgres, _) => postgres.wal_bytes(),
        }
    }

    /// The size of the stored data in bytes.
    pub(super) fn bytes(&self) -> Outcome<u64> {
        match &self.place {
            Place::File(folder) => Ok(std::fs::metadata(folder.path().join("onsale.db"))?.len()),
            Place::Postgres(postgres, name) => {
                Ok(postgres.query(name, "SELECT pg_database_size(current_database())::text")?.parse()?)
            }
        }
    }
}

/// Memory of a program in bytes.
pub(super) fn memory(program: &Program) -> Outcome<f64> {
    Ok(program.kilobytes("VmRSS")? as f64 * 1_024.0)
}
