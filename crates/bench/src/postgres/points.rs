//! Points.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use super::beside::{Call, server};
use super::pgbench::Rival;
use super::scripts::{CHARGE_HOT, CHARGE_MANY, Script};
use crate::measure::Bench;
use crate::rows::crowd::{Dice, charge, fill_wallets, user};

/// Number of wallets charged in random order.
pub(super) const WALLETS: usize = 10_000;

/// Number of charges of one user, enough for an open loop.
pub(super) fn hot() -> Arc<Supply> {
    Arc::new(Supply::in_turn(std::iter::repeat_n(charge(&user(7), 1), 100_000)))
}

/// Charges of all users in random order.
pub(crate) fn many() -> Arc<Supply> {
    let mut dice = Dice(7);
    let charges = std::iter::repeat_with(move || -> Request { charge(&user(dice.below(WALLETS)), 1) });
    Arc::new(Supply::in_turn(charges.take(100_000)))
}

pub(super) fn charge_many(bench: &mut Bench) -> Outcome<()> {
    measure(bench, "charge, 10,000 users", (2.5, 4.0), many(), &CHARGE_MANY)
}

pub(super) fn charge_hot(bench: &mut Bench) -> Outcome<()> {
    measure(bench, "charge, one hot user", (10.0, 20.0), hot(), &CHARGE_HOT)
}

fn measure(
    bench: &mut Bench,
    work: &str,
    (target, aim): (f64, f64),
    supply: Arc<Supply>,
    script: &Script,
) -> Outcome<()> {
    let cluster = bench.cluster()?;
    let (server, database) = server(bench, &[], None)?;
    // As with pgbench, every wallet has been used before.
    fill_wallets(&server, 0..WALLETS, 1)?;
    let rival = Rival::prepare(&cluster, script.rows, script.script)?;
    let call = Call { work, target, aim: Some(aim), supply, expected: &[(200, "")], count: usize::MAX };
    call.measure(bench, (server, database), rival)
}
