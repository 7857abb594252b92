//! Flags for settings at all levels: before a command, after it, and after its subcommand.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;
use onsale_adapters::sqlite;

use super::Failed;
use crate::settings::{self, DatabaseUrl, Settings, Sources};

/// The flags for settings that the command line has, each once.
#[derive(Debug, Default)]
pub(super) struct Flags {
    config: Option<PathBuf>,
    values: BTreeMap<&'static str, String>,
}

impl Flags {
    /// Collects the flags of a command and of its subcommands.
    ///
    /// # Errors
    /// `Failed::Usage` if a flag occurs twice: with two databases, the command might work on the wrong one.
    pub(super) fn read(matches: &ArgMatches) -> Result<Self, Failed> {
        let mut flags = Self::default();
        let mut level = Some(matches);
        while let Some(given) = level {
            flags.add(given)?;
            level = given.subcommand().map(|(_, given)| given);
        }
        Ok(flags)
    }

    fn add(&mut self, given: &ArgMatches) -> Result<(), Failed> {
        // `openapi` and `completions` have no such argument, and clap returns an error for it.
        let is_given = |name| {
            given.try_contains_id(name).unwrap_or(false) && given.value_source(name) == Some(ValueSource::CommandLine)
        };
        let twice = |name| Err(Failed::Usage(format!("--{name} occurs twice; remove one")));
        if is_given("config") && self.config.replace(given.get_one("config").cloned().unwrap_or_default()).is_some() {
            return twice("config");
        }
        for setting in settings::all().filter(|setting| is_given(setting.name)) {
            let value = given.get_one::<String>(setting.name).cloned().unwrap_or_default();
            if self.values.insert(setting.name, value).is_some() {
                return twice(setting.name);
            }
        }
        Ok(())
    }

    /// Refuses flags for settings, as this command reads none.
    ///
    /// # Errors
    /// `Failed::Usage`, which names the first flag.
    pub(super) fn refuse(&self, command: &str) -> Result<(), Failed> {
        let name = self.config.as_ref().map(|_| "config").or_else(|| self.values.keys().next().copied());
        name.map_or(Ok(()), |name| {
            Err(Failed::Usage(format!("--{name} has no effect: onsale {command} reads no settings")))
        })
    }

    /// Reads the address that the server listens on, and no other setting.
    ///
    /// # Errors
    /// `Failed::Usage` if a source cannot be read, or if the value is not an address.
    pub(super) fn listen(&self) -> Result<SocketAddr, Failed> {
        Settings::listen(&self.sources()?).map_err(|bad| Failed::Usage(bad.to_string()))
    }

    fn sources(&self) -> Result<Sources, Failed> {
        let flag = |name: &str| self.values.get(name).cloned();
        Sources::gather(flag, self.config.as_deref()).map_err(|bad| Failed::Usage(bad.to_string()))
    }

    /// Reads all settings; flags override other sources. Commands that end by themselves report settings without effect on
    /// standard error here; the others report them in their log.
    ///
    /// # Errors
    /// `Failed::Usage`, which names the first setting that cannot be used.
    pub(super) fn settings(&self, command: &str) -> Result<Settings, Failed> {
        let sources = self.sources()?;
        let mut settings = Settings::read(&sources).map_err(|bad| Failed::Usage(bad.to_string()))?;
        check_database(&settings, &sources.name_of("database-url"))?;
        settings.unused = sources.unused(&settings, command);
        if !matches!(command, "serve" | "relay" | "consume") {
            for unused in &settings.unused {
                // A closed standard error is no reason not to do the work.
                let _ = writeln!(io::stderr(), "onsale: {} has no effect: {}", unused.name, unused.reason);
            }
        }
        Ok(settings)
    }
}

/// Refuses a path that cannot be a database file, before anything is opened and before a port is bound.
fn check_database(settings: &Settings, name: &str) -> Result<(), Failed> {
    let DatabaseUrl::Sqlite(path) = &settings.database else { return Ok(()) };
    let unusable = |error| Failed::Usage(format!("{name} names {}, which cannot be used: {error}", path.display()));
    sqlite::check_path(path).map_err(unusable)
}
