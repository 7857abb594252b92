//! Calls that all write to one hot row: a lecture, a performance.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Supply};

use super::in_turns::{Call, OnPostgres, requests_per_slice};
use super::pgbench::Pgbench;
use super::scripts::{APPLICATION, PAYMENT, RESERVATION, Script};
use crate::machine::Machine;
use crate::measure::CREATED;
use crate::results::Target;
use crate::row::Work;
use crate::server::sale::{FLAGS, Seats};
use crate::users;

/// Maximum number of applications, one per user.
const APPLICANTS: usize = 360_000;

/// Maximum number of holds. Each needs several calls to prepare.
const HOLDERS: usize = 60_000;

pub(super) fn application(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let on = OnPostgres::start(machine, &[], &[])?;
    let lecture = on.server.admin.lecture(1_000_000)?;
    let applicants = machine.scale.at_most(APPLICANTS);
    let applications = (0..applicants).map(|number| users::apply(&lecture, &users::user(number)));
    let supply = Supply::once(applications);
    prepare(machine, on, ("lecture application", target), supply, &APPLICATION)
}

pub(super) fn reservation(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let on = OnPostgres::start(machine, FLAGS, &[])?;
    let seats = Seats::prepare(&on.server, machine.scale.users.min(HOLDERS))?;
    let supply = Supply::once(seats.holds());
    prepare(machine, on, ("reservation of a free seat", target), supply, &RESERVATION)
}

pub(super) fn pay(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let on = OnPostgres::start(machine, FLAGS, &[])?;
    let seats = Seats::prepare(&on.server, machine.scale.users.min(HOLDERS))?;
    let supply = Supply::once(seats.payments(&on.server)?);
    prepare(machine, on, ("payment", target), supply, &PAYMENT)
}

fn prepare<'m>(
    machine: &'m Machine,
    on: OnPostgres<'m>,
    (work, target): (&'static str, Target),
    supply: Supply,
    script: &Script,
) -> Outcome<Work<'m>> {
    let count = requests_per_slice(machine, supply.left());
    let pgbench = Pgbench::prepare(on.postgres, script)?;
    let call = Call { work, target, supply: Arc::new(supply), expected: CREATED, count };
    Ok(Box::new(move |results| call.measure(machine, on, pgbench, results)))
}
