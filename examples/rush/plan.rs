//! The rush's command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use onsale_load_generator::Outcome;

/// A rush as it was asked for.
pub(crate) struct Plan {
    pub(crate) people: u64,
    pub(crate) seats: u32,
    pub(crate) seconds: u64,
    pub(crate) server: Option<SocketAddr>,
    pub(crate) admin_key: Option<String>,
    pub(crate) program: Option<PathBuf>,
}

impl Plan {
    /// Reads the arguments.
    ///
    /// # Errors
    /// If one is unknown, has no value, or has a value of another kind.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut plan = Self { people: 20_000, seats: 500, seconds: 10, server: None, admin_key: None, program: None };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--people" => plan.people = value.parse()?,
                "--seats" => plan.seats = value.parse()?,
                "--seconds" => plan.seconds = value.parse()?,
                "--server" => plan.server = Some(value.trim_start_matches("http://").parse()?),
                "--admin-key" => plan.admin_key = Some(value),
                "--program" => plan.program = Some(value.into()),
                _ => return Err(format!("{name} is unknown; see the head of examples/rush/main.rs").into()),
            }
        }
        Ok(plan)
    }
}
