//! Waiting lists of lectures: a place that is free belongs to the first user who waits.

use onsale_domain::ids::{LectureId, Mint};
use onsale_domain::lecture::{
    self, Apply, Create, Outcome, PROMOTED_TOGETHER_MAX, PromoteWaiting, Promoted, WAITLISTED_MAX, Waitlisted,
};
use onsale_domain::rows::Rows;
use onsale_domain::{Command, Context, Refusal};

use crate::support::mixed::{AnyCommand, Done};
use crate::support::{START, Seeded, Stage};

/// The refusals that tests of this file provoke.
pub(crate) const PROVOKED: [&str; 1] = ["waitlist-full"];

/// A lecture for two that starts at second 100, and one for thirty.
#[track_caller]
fn check(script: &str) {
    Stage::empty().lecture("rust", 2, 100).lecture("sql", 30, 100).play(script);
}

#[test]
fn users_wait_in_the_order_in_which_they_applied() {
    check(
        "
        a applies rust waitlist => seat 1
        b applies rust          => seat 2
        c applies rust          => lecture-full
        c applies rust waitlist => waits at 1
        d applies rust waitlist => waits at 2
        e applies rust waitlist => waits at 3
        b cancels rust          => cancelled
        d applies rust          => already-waitlisted 1
        e applies rust waitlist => already-waitlisted 2
        c applies rust waitlist => already-applied
        a cancels rust          => cancelled
        log lists => a applied; b applied; c waits at 1; d waits at 2; e waits at 3; b cancelled; c promoted to 2; a cancelled; d promoted to 1
        ",
    );
}

/// Each line but the first three would be refused for every reason after its own, too.
#[test]
fn judges_in_the_contracts_order() {
    check(
        "
        0   a applies rust            => seat 1
        0   b applies rust            => seat 2
        0   c applies rust waitlist   => waits at 1
        0   staff changes rust opens 60 closed yes => version 4, 2 of 2
        100 d applies poetry waitlist => lecture-not-found
        100 a applies rust waitlist   => already-applied
        100 c applies rust waitlist   => already-waitlisted 1
        100 d applies rust waitlist   => lecture-closed
        0   d applies rust waitlist   => lecture-closed
        0   staff changes rust closed no => version 5, 2 of 2
        0   d applies rust waitlist   => lecture-not-open, retry after 60
        60  d applies rust            => lecture-full
        60  d applies rust waitlist   => waits at 2
        ",
    );
}

#[test]
fn who_leaves_the_list_leaves_no_hole() {
    check(
        "
        a applies rust          => seat 1
        b applies rust          => seat 2
        c applies rust waitlist => waits at 1
        d applies rust waitlist => waits at 2
        e applies rust waitlist => waits at 3
        d cancels rust          => cancelled
        d cancels rust          => application-not-found
        e applies rust          => already-waitlisted 2
        d applies rust waitlist => waits at 3
        staff removes rust c    => removed from the list
        staff removes rust c    => application-not-found
        e applies rust          => already-waitlisted 1
        d applies rust          => already-waitlisted 2
        staff removes rust a    => removed seat 1
        e applies rust          => already-applied
        d applies rust          => already-waitlisted 1
        log lists => a applied; b applied; c waits at 1; d waits at 2; e waits at 3; d left; d waits at 3; c left; a cancelled; e promoted to 1
        ",
    );
}

#[test]
fn a_batch_promotes_users_who_joined_in_it() {
    check(
        "
        a applies rust            => seat 1
        b applies rust            => seat 2

        c applies rust waitlist   => waits at 1
        & d applies rust waitlist => waits at 2
        & a cancels rust          => cancelled
        & d applies rust          => already-waitlisted 1
        & a applies rust          => lecture-full
        & a applies rust waitlist => waits at 2
        & d cancels rust          => cancelled
        & a applies rust waitlist => already-waitlisted 1
        & b cancels rust          => cancelled
        & b applies rust waitlist => waits at 1
        & c cancels rust          => cancelled
        a applies rust            => already-applied
        b applies rust            => already-applied
        ",
    );
}

/// The first in the list leaves in the unit that frees a place. The next one gets it, and no user who joins in the unit.
#[test]
fn a_batch_skips_users_who_left_in_it() {
    check(
        "
        a applies rust            => seat 1
        b applies rust            => seat 2
        c applies rust waitlist   => waits at 1
        d applies rust waitlist   => waits at 2
        e applies rust waitlist   => waits at 3

        c cancels rust            => cancelled
        & f applies rust waitlist => waits at 3
        & c applies rust waitlist => waits at 4
        & a cancels rust          => cancelled
        & e applies rust          => already-waitlisted 1
        & c applies rust          => already-waitlisted 3
        d applies rust            => already-applied
        log lists => a applied; b applied; c waits at 1; d waits at 2; e waits at 3; c left; f waits at 3; c waits at 4; a cancelled; d promoted to 1
        ",
    );
}

#[test]
fn a_higher_capacity_promotes_and_the_rest_is_free() {
    check(
        "
        a applies rust          => seat 1
        b applies rust          => seat 2
        c applies rust waitlist => waits at 1
        d applies rust waitlist => waits at 2
        staff changes rust capacity 3 => version 6, 3 of 3
        d applies rust          => already-waitlisted 1
        staff changes rust capacity 5 => version 8, 4 of 5
        e applies rust waitlist => seat 5
        ",
    );
}

/// Users keep their places in the list while nothing may be given, and the reopening gives places first.
#[test]
fn no_user_is_promoted_while_the_lecture_is_closed() {
    check(
        "
        a applies rust          => seat 1
        b applies rust          => seat 2
        c applies rust waitlist => waits at 1
        d applies rust waitlist => waits at 2
        staff changes rust closed yes => version 5, 2 of 2
        a cancels rust          => cancelled
        staff promotes rust     => 0 promoted
        c applies rust          => already-waitlisted 1
        staff changes rust closed no opens 50 => version 7, 1 of 2
        b cancels rust          => cancelled
        e applies rust waitlist => lecture-not-open, retry after 50
        50 e applies rust       => lecture-full
        50 e applies rust waitlist => waits at 3
        50 staff promotes rust  => 2 promoted
        50 staff promotes rust  => 0 promoted
        50 staff promotes poetry => lecture-not-found
        50 e applies rust       => already-waitlisted 1
        50 staff changes rust opens 60 => version 12, 2 of 2
        50 c cancels rust       => cancelled
        50 staff changes rust opens any => version 15, 2 of 2
        50 e applies rust       => already-applied
        ",
    );
}

#[test]
fn no_user_is_promoted_after_the_start_unless_it_is_moved() {
    check(
        "
        a applies rust          => seat 1
        b applies rust          => seat 2
        c applies rust waitlist => waits at 1
        d applies rust waitlist => waits at 2
        100 a cancels rust      => cancelled
        100 staff promotes rust => 0 promoted
        100 staff changes rust capacity 9 => version 6, 1 of 9
        100 d cancels rust      => cancelled
        100 staff changes rust start 200 => version 9, 2 of 9
        100 c applies rust      => already-applied
        100 d applies rust      => seat 3
        ",
    );
}

#[test]
fn a_cancelled_lecture_loses_its_waiting_list_too() {
    check(
        "
        a applies rust          => seat 1
        b applies rust          => seat 2
        c applies rust waitlist => waits at 1
        d applies rust waitlist => waits at 2
        staff ends rust         => ended, 2 of 2 left, 2 waiting
        a cancels rust          => cancelled
        c applies rust          => already-waitlisted 1
        c cancels rust          => cancelled
        staff promotes rust     => 0 promoted
        staff empties rust      => 2 cancelled, 0 left
        staff ends rust         => ended before, 0 of 2 left
        d applies rust waitlist => lecture-closed
        log lists => a applied; b applied; c waits at 1; d waits at 2; lecture ended; a cancelled; c left; b cancelled; d left
        ",
    );
}

/// Staff may lower a capacity below the numbers that were given. A promotion still gives the lowest free one.
#[test]
fn a_promotion_gives_the_lowest_free_number() {
    Stage::empty().lecture("go", 5, 100).play(
        "
        a applies go => seat 1
        b applies go => seat 2
        c applies go => seat 3
        d applies go => seat 4
        e applies go => seat 5
        a cancels go => cancelled
        b cancels go => cancelled
        staff changes go capacity 3 => version 8, 3 of 3
        f applies go waitlist => waits at 1
        g applies go waitlist => waits at 2
        e cancels go => cancelled
        staff changes go capacity 4 => version 14, 4 of 4
        log lists => a applied; b applied; c applied; d applied; e applied; a cancelled; b cancelled; lecture changed; f waits at 1; g waits at 2; e cancelled; f promoted to 1; lecture changed; g promoted to 2
        ",
    );
}

#[test]
fn many_free_places_are_given_in_steps_and_to_no_other_user() {
    let mut stage = Stage::empty().lecture("big", 1, 100);
    let lecture = *stage.world.tables.lectures.keys().next().expect("a lecture");
    let user = |number: usize| Stage::user(&format!("u{number}"));
    let apply = |number: usize| AnyCommand::from(Apply { user: user(number), lecture, waitlist: true });
    let waiting = PROMOTED_TOGETHER_MAX + 300;
    let applies: Vec<AnyCommand> = (0..=waiting).map(apply).collect();
    stage.world.run(&applies);

    let change = lecture::Change { capacity: Some(5_000), ..lecture::Change::default() };
    let change = lecture::ChangeLecture { lecture, change };
    let other = Apply { user: user(9_999), lecture, waitlist: false };
    let answers = stage.world.run(&[change.into(), other.into(), apply(9_998)]);
    let Ok(Done::ChangeLecture(changed)) = &answers[0] else { panic!("{answers:?}") };
    assert_eq!((changed.enrolled, changed.waitlisted), (1_001, 300));
    assert_eq!(answers[1], Err(Refusal::LectureFull));
    assert!(matches!(&answers[2], Ok(Done::Apply(Outcome::Waitlisted(Waitlisted { position: 301, .. })))));

    let step = || AnyCommand::from(PromoteWaiting { lecture });
    let promoted = |promoted| Ok(Done::PromoteWaiting(Promoted { promoted, goes_on: false }));
    assert_eq!(stage.world.run(&[step()]), [promoted(301)]);
    assert_eq!(stage.world.run(&[step(), apply(9_997)])[0], promoted(0));
    assert_eq!(stage.world.tables.lectures[&lecture].enrolled, 1_303);
}

/// A unit counts an entry in its block, unless the entry also ends in it.
#[test]
fn blocks_of_numbers_are_counted() {
    let mut stage = Stage::empty().lecture("rust", 1, 100);
    stage.play(
        "
        a applies rust            => seat 1
        b applies rust waitlist   => waits at 1
        c applies rust waitlist   => waits at 2
        b cancels rust            => cancelled
        d applies rust waitlist   => waits at 2
        & e applies rust waitlist => waits at 3
        & d cancels rust          => cancelled
        ",
    );
    let blocks: Vec<i32> = stage.world.tables.waiting_blocks.values().copied().collect();
    assert_eq!(blocks, [2], "c and e wait");
}

#[test]
fn a_list_has_a_bound() {
    let mut ids = Mint::new(Seeded(7));
    let mut cx = Context { at: START, ids: &mut ids, hold_seconds: 300 };
    let mut rows = Rows::default();
    let starts_at = START.plus_seconds(100);
    let create = Create { title: "full".into(), lecturer: None, starts_at, capacity: 1, opens_at: None, closed: false };
    let full = create.decide(&mut rows, &mut cx).expect("a lecture");
    let full = lecture::Lecture { enrolled: 1, seats_given: 1, waitlisted: WAITLISTED_MAX - 1, ..full };
    let mut apply = |user: &str, lecture: LectureId, waitlist| {
        let user = Stage::user(user);
        rows.lectures.load(full.id, Some(full.clone()));
        rows.applications.load((lecture, user.clone()), None);
        rows.waiting.load((lecture, user.clone()), None);
        let first = Apply { user: Stage::user("first"), lecture, waitlist: true };
        rows.applications.load((lecture, first.user.clone()), None);
        rows.waiting.load((lecture, first.user.clone()), None);
        let joined = first.decide(&mut rows, &mut cx);
        assert!(matches!(joined, Ok(Outcome::Waitlisted(Waitlisted { position: WAITLISTED_MAX, .. }))), "{joined:?}");
        Apply { user, lecture, waitlist }.decide(&mut rows, &mut cx)
    };
    assert_eq!(apply("ann", full.id, true), Err(Refusal::WaitlistFull));
    assert_eq!(apply("ann", full.id, false), Err(Refusal::LectureFull));
}
