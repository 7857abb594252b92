//! Refunds: points back for seats that were paid, in the order of the contract, and the seats free again.

use onsale_domain::refund::{FEE_PERCENT_MAX, HOURS_BEFORE_MAX, Policy, RULES_MAX, Rule, Unfit};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Settings;
use proptest::prelude::*;

use crate::support::Stage;

/// Plays a script in which `ann` and `bob` are admitted to `gala`, whose performance `eve` begins in 100 hours and has seats
/// 1 to 4 for 1,000 and 5 to 8 for 333 points. `ann` has paid 1 2 (`x`) and 5 6 (`y`).
#[track_caller]
fn check(script: &str) {
    let mut stage = Stage::empty().concert("gala", Settings::default());
    stage = stage.performance("eve", 360_000, &[(1, 4, 1_000), (5, 8, 333)]);
    stage.play(
        "
        0 eve allows 72/20 24/30 0/90 => open
        ann charges 5000         => balance 5000
        ann enters               => new place 1, active until 600
        bob enters               => new place 2, active until 600
        ann holds 1 2 as x       => held 2000 until 300
        ann holds 5 6 as y       => held 666 until 300
        ann pays x               => paid 2000, balance 3000
        ann pays y               => paid 666, balance 2334
        log lists                => …
        ",
    );
    stage.play(script);
}

#[test]
fn gives_the_points_back_and_frees_the_seats() {
    check(
        "
        bob holds 1           => seat-taken 1
        ann refunds x 1       => 1 for 800, fee 200, balance 3134
        bob holds 1 as z      => held 1000 until 300
        bob holds 2           => seat-taken 2
        ann refunds x         => 2 for 800, fee 200, balance 3934
        ann refunds x         => already-refunded
        log lists             => ann got 800 back; x refunded 1; z held; ann got 800 back; x refunded 2
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of the lines above it, too.
#[test]
fn judges_a_refund_in_the_contracts_order() {
    check(
        "
        0      staff refunds y 5 fee 333    => 5 for 0, fee 333, balance 2334
        0      ann adjusts 999997500        => balance 999999834
        0      staff refunds x              => balance-limit
        0      ann refunds x                => balance-limit
        360000 staff refunds x              => balance-limit
        360000 ann refunds x                => refund-closed
        360000 ann refunds y 6              => refund-closed
        360000 staff refunds y 6 fee 334    => fee-out-of-range
        360000 staff refunds x fee -1       => fee-out-of-range
        360000 staff refunds y 5 fee 334    => already-refunded
        360000 ann refunds y 5 6            => already-refunded
        360000 staff refunds y 5 1 99 fee 9 => seat-unknown 1 99
        360000 ann refunds y 5 -1 0         => seat-unknown -1 0
        360000 staff refunds nothing 7      => payment-not-found
        360000 ann refunds nothing 7        => payment-not-found
        ",
    );
}

/// The rule with the most hours that still holds counts, up to the last millisecond.
#[test]
fn the_policy_follows_the_time_that_is_left() {
    check(
        "
        100799.999 ann refunds x 1 => 1 for 800, fee 200, balance 3134
        100800     ann refunds x 2 => 2 for 700, fee 300, balance 3834
        359999.999 ann refunds y 5 => 5 for 34, fee 299, balance 3868
        360000     ann refunds y 6 => refund-closed
        ",
    );
}

/// The fee of each seat is rounded, so that one refund of two seats costs what two refunds cost.
#[test]
fn splitting_a_refund_changes_nothing() {
    let rest = "100800 ann refunds y => 5 6 for 468, fee 198, balance 2802";
    check(rest);
    check(
        "
        100800 ann refunds y 6 => 6 for 234, fee 99, balance 2568
        ann refunds y 5        => 5 for 234, fee 99, balance 2802
        ",
    );
}

#[test]
fn the_buyer_gets_the_cheaper_of_the_policy_at_the_hold_and_the_policy_now() {
    check(
        "
        eve allows none        => open
        ann refunds x 1        => 1 for 800, fee 200, balance 3134
        eve allows 99/50       => open
        ann refunds x 2        => 2 for 800, fee 200, balance 3934
        eve allows 0/0         => open
        ann refunds y          => 5 6 for 666, fee 0, balance 4600
        bob charges 2000       => balance 2000
        bob holds 1 as z       => held 1000 until 300
        bob pays z             => paid 1000, balance 1000
        eve allows none        => open
        bob refunds z          => 1 for 1000, fee 0, balance 2000
        ",
    );
}

#[test]
fn without_a_policy_only_staff_refund() {
    let mut stage = Stage::gala(Settings::default());
    stage.play(
        "
        ann charges 1000        => balance 1000
        ann enters              => new place 1, active until 600
        ann holds 1 as x        => held 1000 until 300
        ann pays x              => paid 1000, balance 0
        ann refunds x           => refund-closed
        99999 staff refunds x fee 1 => 1 for 999, fee 1, balance 999
        ",
    );
}

#[test]
fn refunded_seats_do_not_count_for_the_limit() {
    check(
        "
        ann enters           => new place 3, active until 600
        ann holds 7          => seat-limit
        ann refunds x 1      => 1 for 800, fee 200, balance 3134
        ann holds 7 8        => seat-limit
        ann holds 7 as z     => held 333 until 300
        ann refunds x        => 2 for 800, fee 200, balance 3934
        & ann holds 1 2      => seat-limit
        & ann holds 2 as w   => held 1000 until 300
        ",
    );
}

/// A refund ends no turn and gives none back.
#[test]
fn a_refund_changes_no_token() {
    check(
        "
        ann is               => expired
        ann refunds x        => 1 2 for 1600, fee 400, balance 3934
        ann is               => expired
        bob is               => active until 600
        gala shows           => issued 2, served 2, given up 0, active 2
        ",
    );
}

#[test]
fn a_refunded_reservation_is_paid_for_a_payment_and_over_for_a_release() {
    check(
        "
        ann enters           => new place 3, active until 600
        ann refunds x 1      => 1 for 800, fee 200, balance 3134
        ann releases x       => already-paid
        ann pays x           => already-paid
        ann refunds x        => 2 for 800, fee 200, balance 3934
        ann releases x       => released
        ann pays x           => already-paid
        ",
    );
}

#[test]
fn a_batch_refunds_each_seat_once_and_the_next_command_takes_it() {
    check(
        "
        bob charges 2000     => balance 2000

        ann refunds x 1      => 1 for 800, fee 200, balance 3134
        & ann refunds x 1 2  => already-refunded
        & bob holds 1 as z   => held 1000 until 300
        & staff refunds x    => 2 for 1000, fee 0, balance 4134
        & staff refunds x    => already-refunded
        & bob holds 2 as w   => held 1000 until 300

        bob pays z           => paid 1000, balance 1000
        & ann refunds x      => already-refunded
        & eve extends 60     => 1 by 60 at 0
        bob pays w           => paid 1000, balance 0
        log lists            => bob charged 2000; ann got 800 back; x refunded 1; z held; ann got 1000 back; \
                                x refunded 2; w held; bob used 1000; z paid; 1 extended by 60; bob used 1000; w paid
        ",
    );
}

/// What was paid long ago is no hold that has ended in this unit of work.
#[test]
fn a_refund_does_not_count_for_an_extension_in_the_same_batch() {
    check(
        "
        bob holds 3 as z     => held 1000 until 300

        400 ann refunds x 1  => 1 for 800, fee 200, balance 3134
        & eve extends 60     => 0 by 60 at 400
        & ann refunds y      => 5 6 for 534, fee 132, balance 3668
        ",
    );
}

/// A seat that cost nothing is refunded with an entry of 0 points.
#[test]
fn a_refund_of_nothing_has_its_entry_too() {
    let mut stage = Stage::empty().concert("gala", Settings::default()).performance("eve", 86_400, &[(1, 4, 0)]);
    stage.play(
        "
        eve allows 0/10   => open
        ann enters        => new place 1, active until 600
        ann holds 1 as x  => held 0 until 300
        ann pays x        => paid 0, balance 0
        log lists         => …
        ann refunds x     => 1 for 0, fee 0, balance 0
        log lists         => ann got 0 back; x refunded 1
        ",
    );
}

/// By the wallet's last change the sale has begun: the time never goes back by a moment.
#[test]
fn a_clock_set_back_by_a_moment_opens_no_refund_again() {
    check(
        "
        360000     ann charges 1 => balance 2335
        359999.500 ann refunds x => refund-closed
        ",
    );
}

#[test]
fn an_adjustment_stays_in_the_bounds_of_the_wallet() {
    Stage::empty().play(
        "
        ann adjusts 0           => amount-out-of-range
        ann adjusts 1000000001  => amount-out-of-range
        ann adjusts -1000000001 => amount-out-of-range
        ann adjusts -1          => insufficient-balance
        ann adjusts 1000000000  => balance 1000000000
        ann adjusts 1           => balance-limit
        ann adjusts -1000000000 => balance 0
        log lists               => ann adjusted 1000000000; ann adjusted -1000000000
        ",
    );
}

fn rule(hours_before: u32, fee_percent: u32) -> Rule {
    Rule { hours_before, fee_percent }
}

#[test]
fn a_policy_keeps_its_bounds() {
    let many: Vec<Rule> = (0_u32..).take(RULES_MAX + 1).map(|hours| rule(hours, 0)).collect();
    assert_eq!(Policy::new(many[1..].to_vec()).map(|policy| policy.rules().len()), Ok(RULES_MAX));
    assert_eq!(Policy::new(many), Err(Unfit::TooMany));
    assert_eq!(Policy::new(vec![rule(1, 0), rule(HOURS_BEFORE_MAX + 1, 0)]), Err(Unfit::Hours(1)));
    assert_eq!(Policy::new(vec![rule(1, FEE_PERCENT_MAX + 1)]), Err(Unfit::Fee(0)));
    assert_eq!(Policy::new(vec![rule(1, 5), rule(2, 6), rule(1, 7)]), Err(Unfit::Twice(2)));
    assert_eq!(Policy::new(vec![]), Ok(Policy::default()));
    let sorted = Policy::new(vec![rule(0, 9), rule(HOURS_BEFORE_MAX, 0), rule(5, FEE_PERCENT_MAX)]);
    assert_eq!(sorted.map(|policy| policy.rules().to_vec()), Ok(vec![rule(8_760, 0), rule(5, 100), rule(0, 9)]));
}

/// A stage in which `ann` has paid one seat of each price (`x`), and may give it back for this percent.
fn paid(prices: &[i64], percent: u32) -> Stage {
    let numbered = (1_u32..).zip(prices);
    let sections: Vec<(u32, u32, i64)> = numbered.map(|(seat, price)| (seat, seat, *price)).collect();
    let mut stage = Stage::empty().concert("gala", Settings::default()).performance("eve", 86_400, &sections);
    let seats: Vec<String> = (1..=prices.len()).map(|seat| seat.to_string()).collect();
    stage.play(&format!(
        "
        eve allows 0/{percent}    => open
        ann charges 10000         => balance 10000
        ann enters                => new place 1, active until 600
        ann holds {} as x         => …
        ann pays x                => …
        ",
        seats.join(" ")
    ));
    stage
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// However a refund is split, and in whatever order, the same points go back.
    #[test]
    fn a_split_refund_gives_the_same_back(
        (prices, order) in prop::collection::vec(0..2_000_i64, 1..=4).prop_flat_map(|prices| {
            let seats: Vec<usize> = (1..=prices.len()).collect();
            (Just(prices), Just(seats).prop_shuffle())
        }),
        percent in 0..101_u32,
    ) {
        let (mut at_once, mut split) = (paid(&prices, percent), paid(&prices, percent));
        at_once.play("ann refunds x => …");
        for seat in order {
            split.play(&format!("ann refunds x {seat} => …"));
        }
        split.play("ann refunds x => already-refunded");
        let balance = |stage: &Stage| stage.world.tables.accounts[&Stage::user("ann")].balance;
        prop_assert_eq!(balance(&at_once), balance(&split));
        let fees: i64 = prices.iter().map(|price| price * i64::from(percent) / 100).sum();
        prop_assert_eq!(balance(&split), 10_000 - fees);
    }
}

proptest! {
    /// Of the rules that hold, the one with the most hours counts, and from the start on none holds.
    #[test]
    fn a_policy_holds_by_its_hours(
        rules in prop::collection::vec((0..50_u32, 0..101_u32), 0..6),
        left_millis in -10_i64..200_000_000,
    ) {
        let start = Timestamp::from_millis(1_800_000_000_000);
        let Ok(policy) = Policy::new(rules.iter().map(|(hours, percent)| rule(*hours, *percent)).collect()) else {
            return Ok(());
        };
        let holding = rules.iter().filter(|(hours, _)| left_millis > i64::from(*hours) * 3_600_000);
        let expected = holding.max_by_key(|(hours, _)| *hours).map(|(_, percent)| *percent);
        prop_assert_eq!(policy.fee_percent(start, start.plus_millis(-left_millis)), expected);
        if left_millis <= 0 {
            prop_assert_eq!(expected, None);
        }
    }
}
