//! Random acts, most of which may succeed.

use onsale_domain::waiting_room::Patch;
use onsale_domain::wallet::AMOUNT_MAX;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::offer::offer;
use super::op::{Op, USERS};

/// Mostly all that are left or the first seats; sometimes one that is not of the payment.
fn any_seats() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(0_u8), 3 => 1..4_u8, 1 => any::<u8>()]
}

fn fee() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![3 => Just(None), 2 => (0..600_i64).prop_map(Some), 1 => (-1..2_000_i64).prop_map(Some)]
}

/// Rules whose hours lie around the starts of the performances: some hold, some do not.
fn rules() -> impl Strategy<Value = Vec<(u32, u32)>> {
    prop::collection::vec((prop_oneof![Just(0_u32), Just(1), Just(23), Just(24), Just(240)], 0..101_u32), 0..3)
}

/// Any act that leaves the settings of the rooms alone.
pub(super) fn op() -> impl Strategy<Value = Op> {
    let user = || 0..USERS.len();
    let amount = || prop_oneof![6 => 1..2_000_i64, 1 => Just(0_i64), 1 => Just(AMOUNT_MAX + 1)];
    let back = || prop_oneof![3 => 0..2_usize, 2 => 0..8_usize];
    let own = || prop_oneof![6 => 0..3_usize, 1 => 0..12_usize];
    // The last of each are those that do not exist.
    let lecture = || prop_oneof![8 => 0..2_usize, 1 => Just(2_usize)];
    let room = || prop_oneof![12 => Just(0_usize), 4 => Just(1_usize), 1 => Just(2_usize)];
    let target = prop_oneof![12 => 0..4_usize, 1 => 4..8_usize];
    let few = subsequence(vec![1_i64, 2, 3, 5], 1..=2).prop_shuffle();
    let many = subsequence((-1..=9_i64).collect::<Vec<_>>(), 1..=6).prop_shuffle();
    let seats = prop_oneof![8 => few, 1 => many];
    let mostly = prop_oneof![2 => Just(u8::MAX), 1 => any::<u8>()];
    prop_oneof![
        2 => (user(), amount()).prop_map(|(user, amount)| Op::Charge(user, amount)),
        2 => (user(), amount()).prop_map(|(user, amount)| Op::Use(user, amount)),
        6 => (user(), lecture(), any::<bool>()).prop_map(|(user, lecture, waits)| Op::Apply(user, lecture, waits)),
        3 => (user(), lecture()).prop_map(|(user, lecture)| Op::Cancel(user, lecture)),
        2 => (lecture(), prop::option::weighted(0.8, 1..5_u32), 0..200_u32)
            .prop_map(|(lecture, capacity, start)| Op::ChangeLecture(lecture, capacity, start)),
        1 => (lecture(), any::<bool>()).prop_map(|(lecture, closed)| Op::CloseLecture(lecture, closed)),
        1 => (lecture(), prop::option::of(0..6_u32)).prop_map(|(lecture, opens)| Op::OpenLecture(lecture, opens)),
        1 => (lecture(), user()).prop_map(|(lecture, user)| Op::Remove(user, lecture)),
        1 => lecture().prop_map(Op::EmptyLecture),
        1 => lecture().prop_map(Op::Promote),
        1 => prop_oneof![9 => Just(2_usize), 1 => Just(0_usize)].prop_map(Op::EndLecture),
        8 => (user(), room()).prop_map(|(user, room)| Op::Enter(user, room)),
        2 => back().prop_map(Op::Leave),
        14 => (back(), target.clone(), seats).prop_map(|(token, target, seats)| Op::Hold { token, target, seats }),
        5 => (back(), target, 1..=4_u32, any::<bool>())
            .prop_map(|(token, target, count, is_graded)| Op::HoldAny { token, target, count, is_graded }),
        3 => (back(), own()).prop_map(|(token, reservation)| Op::Release { token, reservation }),
        8 => (back(), own()).prop_map(|(token, reservation)| Op::Pay { token, reservation }),
        2 => prop::collection::vec(0..6_usize, 0..4).prop_map(Op::Expire),
        2 => (0..6_usize, 1..4_u32).prop_map(|(which, seconds)| Op::Extend(which, seconds)),
        1 => (0..3_usize).prop_map(Op::Rewrite),
        5 => (0..3_usize, any_seats(), fee()).prop_map(|(payment, seats, fee)| Op::Refund { payment, seats, fee }),
        1 => (user(), prop_oneof![4 => -1_500..1_500_i64, 1 => Just(0_i64), 1 => Just(-1_000_000_001_i64)])
            .prop_map(|(user, amount)| Op::Adjust(user, amount)),
        2 => (0..3_usize, rules()).prop_map(|(which, rules)| Op::Allow(which, rules)),
        1 => (0..9_usize).prop_map(Op::Drop),
        3 => (0..3_usize, 1..3_i64, 0..9_usize).prop_map(|(which, holder, limit)| Op::Settle(which, holder, limit)),
        6 => offer(),
        6 => (room(), any::<u8>(), 0..4_u8, mostly)
            .prop_map(|(room, seen, claimed, due)| Op::Step { room, seen, claimed, due }),
    ]
}

/// A bound of a sale: none, or mostly no bound from now on.
fn bound() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![2 => Just(None), 2 => Just(Some(10)), 1 => (0..10_u32).prop_map(Some)]
}

/// Any act, changes of a room's settings among them.
pub(super) fn op_or_change() -> impl Strategy<Value = Op> {
    let patch = (
        prop::option::of(1..4_u32),
        prop::option::of(1..4_u32),
        prop::option::of(1..8_u32),
        prop::option::of(1..4_u32),
        prop::option::of(any::<bool>()),
    );
    let patch = patch.prop_map(|(max_active, admit_per_second, active_seconds, claim_seconds, paused)| Patch {
        max_active,
        admit_per_second,
        active_seconds,
        claim_seconds,
        paused,
        ..Patch::default()
    });
    prop_oneof![
        16 => op(),
        2 => (0..3_usize, patch).prop_map(|(room, patch)| Op::Configure(room, patch)),
        1 => (0..3_usize, prop_oneof![1 => Just(true), 3 => Just(false)]).prop_map(|(room, closed)| Op::Close(room, closed)),
        2 => (0..3_usize, bound(), bound(), prop::option::of(1..6_u32))
            .prop_map(|(room, from, to, limit)| Op::Sell { room, from, to, limit }),
        1 => (0..3_usize, prop_oneof![1 => Just(true), 2 => Just(false)])
            .prop_map(|(which, closed)| Op::ClosePerformance(which, closed)),
    ]
}
