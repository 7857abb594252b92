//! What a row measures with: the program as released, the references, a Postgres, a profiler.

mod batching;
mod describe;
mod metrics;
mod postgres;
mod profile;
pub(crate) mod references;
mod server;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use onsale_load_generator::{Outcome, Program};

use crate::scale::Scale;

pub(crate) use batching::Batching;
pub(crate) use describe::describe;
pub(crate) use metrics::Metrics;
pub(crate) use postgres::{Postgres, pgbench};
pub(crate) use profile::Recording;
pub(crate) use server::Server;

/// What a row measures with.
pub(crate) struct Machine {
    pub(crate) scale: Scale,
    program: PathBuf,
    empty: Program,
    /// Folder for profiles of the server, if they are recorded.
    profiles: Option<PathBuf>,
    /// Started for the first row that needs it.
    postgres: OnceCell<Postgres>,
}

impl Machine {
    /// Starts the empty handler.
    ///
    /// # Errors
    /// If the program is missing, or the handler cannot be started.
    pub(crate) fn open(scale: Scale, program: PathBuf, is_profiled: bool) -> Outcome<Self> {
        if !program.exists() {
            return Err(format!("{} is missing; run ./bench, which builds it", program.display()).into());
        }
        let own = std::env::current_exe()?;
        let empty = Program::start(&own, &[references::EMPTY])?;
        let profiles = is_profiled.then(|| own.with_file_name("profiles"));
        if let Some(folder) = &profiles {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self { scale, program, empty, profiles, postgres: OnceCell::new() })
    }

    /// The program that is measured.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The reference of most rows: a server whose only handler does nothing.
    pub(crate) fn empty(&self) -> &Program {
        &self.empty
    }

    /// The Postgres of this run.
    pub(crate) fn postgres(&self) -> Outcome<&Postgres> {
        if let Some(postgres) = self.postgres.get() {
            return Ok(postgres);
        }
        let started = Postgres::start(&self.program, self.scale, self.profiles.is_some())?;
        Ok(self.postgres.get_or_init(|| started))
    }

    /// Starts the program in a folder of its own, with these flags and environment variables.
    pub(crate) fn server(&self, flags: &[&str], environment: &[(&str, &str)]) -> Outcome<Server> {
        Server::start(&self.program, flags, environment)
    }

    /// [`Machine::server`] by a command line that begins with these words.
    pub(crate) fn server_under(&self, prefix: &[String], environment: &[(&str, &str)]) -> Outcome<Server> {
        Server::start_under(prefix, &self.program, &[], environment)
    }

    /// A machine whose Postgres has these shared buffers, such as `64MB`. It starts at once.
    pub(crate) fn with_postgres(self, shared_buffers: &str) -> Outcome<Self> {
        let started = Postgres::start_with(&self.program, self.scale, self.profiles.is_some(), shared_buffers)?;
        Ok(Self { postgres: OnceCell::from(started), ..self })
    }

    /// Starts to record a profile for the duration of one slice, if profiles are recorded.
    pub(crate) fn record(&self, server: &Server, name: &str) -> Outcome<Option<Recording>> {
        let Some(folder) = &self.profiles else { return Ok(None) };
        // With a database server, part of the work is done there, so all processes are recorded.
        let process = Some(server.program.id()).filter(|_| self.postgres.get().is_none());
        Recording::start(folder, &name.replace([' ', ','], "-"), process, self.scale.slice).map(Some)
    }
}
