//! Points.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use super::in_turns::{Call, OnPostgres};
use super::pgbench::Pgbench;
use super::scripts::{CHARGE_HOT, CHARGE_MANY, Script};
use crate::machine::{Machine, Server};
use crate::measure::OK;
use crate::results::Target;
use crate::row::Work;
use crate::users::{Dice, charge, user};

/// Number of wallets charged in random order.
pub(super) const WALLETS: usize = 10_000;

/// Charges of one user.
pub(super) fn hot() -> Arc<Supply> {
    Arc::new(Supply::in_turn(std::iter::repeat_n(charge(&user(7), 1), 100_000)))
}

/// Charges of all users in random order.
pub(crate) fn many() -> Arc<Supply> {
    let mut dice = Dice(7);
    let charges = std::iter::repeat_with(move || -> Request { charge(&user(dice.below(WALLETS)), 1) });
    Arc::new(Supply::in_turn(charges.take(100_000)))
}

/// Charges every wallet once: the wallets of pgbench have been used before, too.
pub(super) fn use_wallets(machine: &Machine, server: &Server) -> Outcome<()> {
    crate::users::fill_wallets(server, 0..machine.scale.at_most(WALLETS), 1)
}

pub(super) fn charge_many(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    prepare(machine, ("charge, 10,000 users", target), many(), &CHARGE_MANY)
}

pub(super) fn charge_hot(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    prepare(machine, ("charge, one hot user", target), hot(), &CHARGE_HOT)
}

fn prepare<'m>(
    machine: &'m Machine,
    (work, target): (&'static str, Target),
    supply: Arc<Supply>,
    script: &Script,
) -> Outcome<Work<'m>> {
    let on = OnPostgres::start(machine, &[], &[])?;
    use_wallets(machine, &on.server)?;
    let pgbench = Pgbench::prepare(on.postgres, script)?;
    let call = Call { work, target, supply, expected: OK, count: usize::MAX };
    Ok(Box::new(move |results| call.measure(machine, on, pgbench, results)))
}
