//! What organisers do while a sale runs. See the rows of the same names on SQLite.

use onsale_load_generator::Outcome;

use super::in_turns::OnPostgres;
use crate::machine::Machine;
use crate::results::Target;
use crate::row::Work;
use crate::server::sale::FLAGS;
use crate::server::{cancellation, export, live_view};

pub(super) fn sale_and_viewers(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let OnPostgres { server, postgres, database } = OnPostgres::start(machine, FLAGS, &[])?;
    live_view::prepare(machine, server, || postgres.settle(&database), target)
}

pub(super) fn attendees(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let OnPostgres { server, postgres, database } = OnPostgres::start(machine, FLAGS, &[])?;
    export::prepare(machine, server, || postgres.settle(&database), target)
}

pub(super) fn sale_beside_cancellation(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let OnPostgres { server, postgres, database } = OnPostgres::start(machine, FLAGS, &[])?;
    cancellation::prepare(machine, server, || postgres.settle(&database), target)
}
