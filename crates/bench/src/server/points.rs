//! Points.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use crate::machine::Machine;
use crate::measure::{OK, Writes, requests_per_slice};
use crate::results::Target;
use crate::row::Work;
use crate::sqlite_batches::Write;
use crate::users::{Dice, charge, key, user};

/// Number of wallets charged in random order.
const WALLETS: usize = 10_000;

/// Number of prepared charges if each has a key of its own.
const KEYED: usize = 360_000;

fn hot() -> Request {
    charge("shared", 1)
}

fn many() -> impl Iterator<Item = Request> {
    let mut dice = Dice(7);
    std::iter::repeat_with(move || charge(&user(dice.below(WALLETS)), 1))
}

pub(crate) fn charge_hot(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    prepare(machine, "charge, one hot user", target, Supply::in_turn([hot()]), Write::ChargeHot)
}

pub(crate) fn charge_many(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let supply = Supply::in_turn(many().take(100_000));
    prepare(machine, "charge, 10,000 users", target, supply, Write::ChargeMany)
}

pub(crate) fn charge_hot_with_keys(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let supply = Supply::once((0..machine.scale.at_most(KEYED)).map(|number| hot().key(&key(number))));
    prepare(machine, "charge, one hot user, with keys", target, supply, Write::ChargeHotKeyed)
}

pub(crate) fn charge_many_with_keys(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let charges = many().take(machine.scale.at_most(KEYED)).enumerate();
    let supply = Supply::once(charges.map(|(number, request)| request.key(&key(number))));
    prepare(machine, "charge, 10,000 users, with keys", target, supply, Write::ChargeManyKeyed)
}

fn prepare<'m>(
    machine: &'m Machine,
    work: &'static str,
    target: Target,
    supply: Supply,
    rows: Write,
) -> Outcome<Work<'m>> {
    // The user of a row with keys uses more keys than the default limit allows.
    let server = machine.server(&["--idempotency-keys-per-user", "0"], &[])?;
    let writes = Writes {
        work,
        target,
        supply: Arc::new(supply),
        expected: OK,
        count: requests_per_slice(machine, machine.scale.at_most(KEYED)),
        at_half: rows == Write::ChargeMany,
        rows,
    };
    Ok(Box::new(move |results| writes.measure(machine, server, results)))
}
