//! `onsale migrate`: creates the database or updates its schema, and does nothing else.

use super::{Failed, Outcome, block_on, print};
use crate::sale;
use crate::settings::Settings;

pub(super) fn run(settings: &Settings) -> Outcome {
    match block_on(async { sale::migrate(settings).await.map_err(Failed::from) })? {
        0 => print("the schema is up to date"),
        steps => print(&format!("the schema is up to date after {steps} step(s)")),
    }
}
