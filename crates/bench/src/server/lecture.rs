//! Measurements of applications for lectures.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Supply};

use crate::machine::Machine;
use crate::measure::{CREATED, Writes, requests_per_slice};
use crate::results::Target;
use crate::row::Work;
use crate::sqlite_batches::Write;
use crate::users;

/// Maximum number of applications, one per user.
const APPLICANTS: usize = 360_000;

pub(crate) fn apply(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let server = machine.server(&[], &[])?;
    let lecture = server.admin.lecture(1_000_000)?;
    let applicants = machine.scale.at_most(APPLICANTS);
    let applications = (0..applicants).map(|number| users::apply(&lecture, &users::user(number)));
    let writes = Writes {
        work: "lecture application",
        target,
        supply: Arc::new(Supply::once(applications)),
        expected: CREATED,
        count: requests_per_slice(machine, applicants),
        at_half: true,
        rows: Write::Application,
    };
    Ok(Box::new(move |results| writes.measure(machine, server, results)))
}
