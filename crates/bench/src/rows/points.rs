//! Points.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use super::crowd::{Dice, charge, key, user};
use super::{Writes, share_of};
use crate::measure::Bench;
use crate::raw::Kind;

/// Number of wallets charged in random order.
const WALLETS: usize = 10_000;

/// Number of prepared charges if none may be repeated.
const KEYED: usize = 360_000;

fn amount_one(user: &str) -> Request {
    charge(user, 1)
}

fn many() -> impl Iterator<Item = Request> {
    let mut dice = Dice(7);
    std::iter::repeat_with(move || amount_one(&user(dice.below(WALLETS))))
}

pub(crate) fn charge_hot(bench: &mut Bench) -> Outcome<()> {
    let supply = Supply::in_turn([amount_one("everyone")]);
    measure(bench, "charge, one hot user", Some(0.25), supply, Kind::ChargeHot)
}

pub(crate) fn charge_many(bench: &mut Bench) -> Outcome<()> {
    let supply = Supply::in_turn(many().take(100_000));
    measure(bench, "charge, 10,000 users", Some(0.15), supply, Kind::ChargeMany)
}

pub(crate) fn charge_hot_with_keys(bench: &mut Bench) -> Outcome<()> {
    let requests = (0..KEYED).map(|number| amount_one("everyone").key(&key(number)));
    measure(bench, "charge, one hot user, with keys", None, Supply::once(requests), Kind::ChargeHotKeyed)
}

pub(crate) fn charge_many_with_keys(bench: &mut Bench) -> Outcome<()> {
    let requests = many().take(KEYED).enumerate().map(|(number, request)| request.key(&key(number)));
    measure(bench, "charge, 10,000 users, with keys", None, Supply::once(requests), Kind::ChargeManyKeyed)
}

fn measure(bench: &mut Bench, work: &str, target: Option<f64>, supply: Supply, kind: Kind) -> Outcome<()> {
    // The user of this row uses more keys than the default limit allows.
    let server = bench.server(&["--idempotency-keys-per-user", "0"])?;
    let count = share_of(bench, KEYED);
    let at_half = kind == Kind::ChargeMany;
    let supply = Arc::new(supply);
    let writes = Writes { work, target, supply, expected: &[(200, "")], count, at_half, raw: Some(kind) };
    writes.measure(bench, server)
}
