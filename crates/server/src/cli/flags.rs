//! Flags for settings, wherever they stand: before a command, after it, or after its subcommand.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;
use onsale_adapters::sqlite;

use super::Failed;
use crate::settings::{DatabaseUrl, Settings, Sources, TABLE};

/// What was given as flags, each once.
#[derive(Debug, Default)]
pub(super) struct Flags {
    config: Option<PathBuf>,
    values: BTreeMap<&'static str, String>,
}

impl Flags {
    /// Gathers the flags of a command and of all commands above it.
    ///
    /// # Errors
    /// `Failed::Usage` if one is given twice: of two databases, one would be the wrong one.
    pub(super) fn read(matches: &ArgMatches) -> Result<Self, Failed> {
        let mut flags = Self::default();
        let mut level = Some(matches);
        while let Some(given) = level {
            flags.take_in(given)?;
            level = given.subcommand().map(|(_, given)| given);
        }
        Ok(flags)
    }

    fn take_in(&mut self, given: &ArgMatches) -> Result<(), Failed> {
        // A command without settings has no such argument.
        let is_given = |name| {
            given.try_contains_id(name).unwrap_or(false) && given.value_source(name) == Some(ValueSource::CommandLine)
        };
        let twice = |name| Err(Failed::Usage(format!("--{name} is given twice: one is enough")));
        if is_given("config") && self.config.replace(given.get_one("config").cloned().unwrap_or_default()).is_some() {
            return twice("config");
        }
        for setting in TABLE.iter().filter(|setting| is_given(setting.name)) {
            let value = given.get_one::<String>(setting.name).cloned().unwrap_or_default();
            if self.values.insert(setting.name, value).is_some() {
                return twice(setting.name);
            }
        }
        Ok(())
    }

    /// Refuses flags if there are any: this command reads no settings.
    ///
    /// # Errors
    /// `Failed::Usage`, which names one.
    pub(super) fn refuse(&self, command: &str) -> Result<(), Failed> {
        let name = self.config.as_ref().map(|_| "config").or_else(|| self.values.keys().next().copied());
        name.map_or(Ok(()), |name| {
            Err(Failed::Usage(format!("--{name} has no effect: `onsale {command}` reads no settings")))
        })
    }

    /// Reads where the server listens, whatever the other settings are.
    ///
    /// # Errors
    /// `Failed::Usage` if a source cannot be read, or if it names no address.
    pub(super) fn listen(&self) -> Result<SocketAddr, Failed> {
        Settings::listen(&self.sources()?).map_err(|bad| Failed::Usage(bad.to_string()))
    }

    fn sources(&self) -> Result<Sources, Failed> {
        let flag = |name: &str| self.values.get(name).cloned();
        Sources::gather(flag, self.config.as_deref()).map_err(|bad| Failed::Usage(bad.to_string()))
    }

    /// Reads all settings, the flags before other sources.
    ///
    /// # Errors
    /// `Failed::Usage`, which names the first setting that cannot be used.
    pub(super) fn settings(&self, command: &str) -> Result<Settings, Failed> {
        let sources = self.sources()?;
        let mut settings = Settings::read(&sources).map_err(|bad| Failed::Usage(bad.to_string()))?;
        check_database(&settings, &sources.name_of("database-url"))?;
        settings.idle_settings = sources.idle(&settings, command);
        if !matches!(command, "serve" | "relay" | "consume") {
            for idle in &settings.idle_settings {
                let _ = writeln!(io::stderr(), "onsale: {} has no effect: {}", idle.name, idle.reason);
            }
        }
        Ok(settings)
    }
}

/// Refuses a path that can never be that of a sale, before anything is opened or a port is bound.
fn check_database(settings: &Settings, name: &str) -> Result<(), Failed> {
    let DatabaseUrl::Sqlite(path) = &settings.database else { return Ok(()) };
    let unusable = |error| Failed::Usage(format!("{name} names {}, which cannot be used: {error}", path.display()));
    sqlite::check_path(path).map_err(unusable)
}
