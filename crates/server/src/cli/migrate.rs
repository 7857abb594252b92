//! `onsale migrate`: the schema, and nothing else.

use onsale_adapters::sqlite;

use super::{Outcome, print};
use crate::sale::file_error;
use crate::settings::{DatabaseUrl, Settings};

pub(super) fn run(settings: &Settings) -> Outcome {
    let DatabaseUrl::Sqlite(path) = &settings.database;
    match sqlite::migrate(path).map_err(|source| file_error(path, source))? {
        0 => print("the schema is up to date"),
        steps => print(&format!("the schema is up to date after {steps} step(s)")),
    }
}
