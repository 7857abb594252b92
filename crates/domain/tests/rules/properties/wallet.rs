//! Wallets near their bounds, against a plain number.

use crate::support::mixed::{AnyCommand, Done};
use onsale_domain::Refusal;
use onsale_domain::wallet::Changed;
use onsale_domain::wallet::{AMOUNT_MAX, BALANCE_MAX, Charge, Use};
use proptest::prelude::*;

use super::cases;
use crate::support::{Stage, World};

/// One movement: positive in, negative out.
fn movement() -> impl Strategy<Value = (bool, i64)> {
    let amount = prop_oneof![
        4 => 1..=AMOUNT_MAX,
        2 => 1..=5_i64,
        1 => AMOUNT_MAX - 2..=AMOUNT_MAX + 2,
        1 => -2..=0_i64,
        1 => any::<i64>(),
    ];
    (any::<bool>(), amount)
}

/// The rule for one plain number: the new balance, or the refusal.
fn judge(balance: i64, is_charge: bool, amount: i64) -> Result<i64, Refusal> {
    match (is_charge, amount) {
        (_, ..1 | 10_000_001..) => Err(Refusal::AmountOutOfRange),
        (true, amount) if balance + amount > 1_000_000_000 => Err(Refusal::BalanceLimit),
        (false, amount) if amount > balance => Err(Refusal::InsufficientBalance),
        (true, amount) => Ok(balance + amount),
        (false, amount) => Ok(balance - amount),
    }
}

fn charged(tens_of_millions: usize) -> World {
    let mut world = World::new();
    let user = Stage::user("ann");
    world.run(&vec![AnyCommand::from(Charge { user, amount: AMOUNT_MAX }); tens_of_millions]);
    world
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_wallet_equals_a_plain_number_with_the_same_operations(
        start in prop_oneof![Just(0), Just(99), Just(100), 0..100_usize],
        batches in prop::collection::vec(prop::collection::vec(movement(), 1..6), 1..8),
    ) {
        let mut world = charged(start);
        let mut balance = i64::try_from(start).unwrap() * AMOUNT_MAX;
        for batch in batches {
            let user = || Stage::user("ann");
            let command = |(is_charge, amount): &(bool, i64)| match is_charge {
                true => AnyCommand::from(Charge { user: user(), amount: *amount }),
                false => AnyCommand::from(Use { user: user(), amount: *amount }),
            };
            let answers = world.run(&batch.iter().map(command).collect::<Vec<_>>());
            for ((is_charge, amount), answer) in batch.into_iter().zip(answers) {
                let judged = judge(balance, is_charge, amount);
                balance = judged.clone().unwrap_or(balance);
                let answered = answer.map(|done| match done {
                    Done::Charge(Changed { account, .. }) | Done::Use(Changed { account, .. }) => account.balance,
                    other => unreachable!("{other:?}"),
                });
                prop_assert_eq!(answered, judged);
                prop_assert!((0..=BALANCE_MAX).contains(&balance));
            }
        }
    }
}
