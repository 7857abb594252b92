//! The best available seats, as stores read them: a lane remembers which seats were open, and the counters of the performance show
//! whether others are open since.

use std::sync::Arc;

use onsale_domain::Refusal;
use onsale_domain::concert::{
    AddSeats, AddedRange, Block, Layout, Performance, PlannedSection, PlannedSegment, Schedule, Seating, Section,
    Unblock,
};
use onsale_domain::refund::Policy;
use onsale_domain::waiting_room::Token;

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::mixed::{AnyCommand, Done};
use crate::stage::{OPEN_DOORS, any, charge, enter, held, hold, open_concert, pay, refund, schedule, user};

/// The performance has seats 1 to 12. Two lanes sell it.
struct Hall {
    here: Lane,
    there: Lane,
    performance: Performance,
    ann: Token,
    bob: Token,
}

impl Hall {
    async fn new(bed: &Bed) -> Self {
        let (store, other) = (bed.store().await, bed.store().await);
        let (mut here, there) = (Lane::new(&*store, 1).await, Lane::new(&*other, 2).await);
        let concert = open_concert(&mut here, OPEN_DOORS).await;
        let performance = schedule(&mut here, store.reader().now(), concert, 12, 100).await;
        here.run([charge(&user("ann"), 10_000)]).await.expect("a unit of work");
        let ann = enter(&mut here, concert, &user("ann")).await;
        let bob = enter(&mut here, concert, &user("bob")).await;
        Self { here, there, performance, ann, bob }
    }

    fn block(&self, seats: &[i64]) -> AnyCommand {
        Block { performance: self.performance.id, seats: seats.into(), reason: "a camera".into() }.into()
    }

    fn unblock(&self, seats: &[i64]) -> AnyCommand {
        Unblock { performance: self.performance.id, seats: seats.into(), reason: "no camera".into() }.into()
    }
}

fn taken(outcome: &Result<Done, Refusal>) -> Vec<u32> {
    match outcome {
        Ok(done) => held(done.clone()).seats.to_vec(),
        Err(refusal) => unreachable!("{refusal:?}"),
    }
}

fn is_refused(outcome: &Result<Done, Refusal>) -> bool {
    matches!(outcome, Err(Refusal::SeatsNotAvailable { .. }))
}

async fn seats_that_are_open_again_are_found_by_each_lane(bed: Bed) {
    let mut hall = Hall::new(&bed).await;
    let any_of_ann = |hall: &Hall| any(&hall.ann, &hall.performance, 1, None);
    // Both lanes read the hall, and remember what is open of it.
    let first = held(hall.here.done(any(&hall.ann, &hall.performance, 2, None)).await);
    assert_eq!(first.seats[..], [6, 7]);
    let two_of_bob = any(&hall.bob, &hall.performance, 2, None);
    let outcomes = hall.there.run([two_of_bob.clone(), two_of_bob]).await.expect("a unit of work");
    assert_eq!((taken(&outcomes[0]), taken(&outcomes[1])), (vec![4, 5], vec![8, 9]));
    let Done::Pay(paid) = hall.here.done(pay(&hall.ann, &first)).await else { unreachable!("a hold was paid") };
    hall.ann = enter(&mut hall.here, hall.performance.concert, &user("ann")).await;
    // Nothing is open but what is held.
    hall.here.done(hall.block(&[1, 2, 3, 10, 11, 12])).await;
    let outcomes = hall.here.run([any_of_ann(&hall)]).await.expect("a unit of work");
    let wait = |outcome: &Result<Done, Refusal>| match outcome {
        Err(Refusal::SeatsNotAvailable { retry_after_seconds }) => *retry_after_seconds,
        other => unreachable!("{other:?}"),
    };
    assert!(wait(&outcomes[0]).is_some_and(|seconds| (1..=300).contains(&seconds)), "{outcomes:?}");
    // What one lane opens again, the other one finds, although it remembers these seats as closed.
    assert!(is_refused(&hall.there.run([any_of_ann(&hall)]).await.expect("a unit of work")[0]));
    hall.here.done(hall.unblock(&[12])).await;
    let outcomes = hall.there.run([any_of_ann(&hall), any_of_ann(&hall)]).await.expect("a unit of work");
    assert_eq!((taken(&outcomes[0]), is_refused(&outcomes[1])), (vec![12], true));
    hall.here.done(refund(&paid, &[7])).await;
    let outcomes = hall.there.run([any_of_ann(&hall), any_of_ann(&hall)]).await.expect("a unit of work");
    assert_eq!((taken(&outcomes[0]), is_refused(&outcomes[1])), (vec![7], true));
    assert!(is_refused(&hall.here.run([any_of_ann(&hall)]).await.expect("a unit of work")[0]));
}

async fn a_lapsed_hold_gives_way_to_the_best(bed: Bed) {
    let mut hall = Hall::new(&bed).await;
    hall.here.done(hall.block(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).await;
    hall.here.hold_seconds = 1;
    let lapsed = held(hall.here.done(hold(&hall.bob, &hall.performance, &[11, 12])).await);
    let batch = [any(&hall.ann, &hall.performance, 1, None), any(&hall.ann, &hall.performance, 1, None)];
    for lane in [&mut hall.there, &mut hall.here] {
        lane.at = Some(lapsed.held_until.plus_millis(-1));
        assert!(lane.run(batch.clone()).await.expect("a unit of work").iter().all(is_refused));
    }
    hall.there.at = Some(lapsed.held_until);
    let outcomes = hall.there.run(batch).await.expect("a unit of work");
    assert_eq!((taken(&outcomes[0]), taken(&outcomes[1])), (vec![11], vec![12]));
    let store = bed.store().await;
    let settled = store.reader().reservation(lapsed.id).await.expect("a read").expect("a reservation");
    assert!(settled.end_event.is_some(), "{settled:?}");
}

async fn layouts_are_kept_with_added_seats(bed: Bed) {
    let mut hall = Hall::new(&bed).await;
    let store = bed.store().await;
    let reader = store.reader();
    let segment = |row: &str, from, to| PlannedSegment { row: row.into(), from, to };
    let section = |name: &str, rows: &[PlannedSegment]| PlannedSection {
        name: name.into(),
        grade: "R".into(),
        price: 100,
        accessible: false,
        rows: rows.to_vec(),
    };
    let plan = [section("나 \"1\"", &[segment("2", 5, 8)]), section("A", &[segment("1", 1, 2), segment("1", 3, 4)])];
    let (layout, seating) = Layout::plan(&plan).expect("a layout");
    let layout = Arc::new(layout);
    let schedule = Schedule {
        concert: hall.performance.concert,
        starts_at: hall.performance.starts_at,
        seating,
        layout: Some(layout.clone()),
        closed: false,
        refund_policy: Policy::default(),
    };
    let Done::Schedule(performance) = hall.here.done(schedule).await else { unreachable!("a schedule") };
    let id = performance.id;
    assert_eq!(reader.layouts(None).await.expect("layouts"), [(id, layout.clone())]);
    assert_eq!(reader.layouts(Some(&[hall.performance.id])).await.expect("layouts"), []);
    let outcomes = hall.there.run([
        any(&hall.ann, &performance, 2, None),
        any(&hall.ann, &performance, 2, Some("A")),
        any(&hall.bob, &performance, 3, Some("A")),
        any(&hall.bob, &performance, 1, Some("B")),
        any(&hall.bob, &hall.performance, 1, Some("A")),
    ]);
    let outcomes = outcomes.await.expect("a unit of work");
    assert_eq!((taken(&outcomes[0]), taken(&outcomes[1])), (vec![5, 6], vec![1, 2]));
    assert!(is_refused(&outcomes[2]));
    assert_eq!(outcomes[3..], [Err(Refusal::SectionUnknown), Err(Refusal::SectionUnknown)]);

    let seats = Seating::new(vec![Section { from: 20, to: 22, grade: "R".into(), price: 100 }]).expect("a seating");
    let (section, row) = (Some("A".into()), Some("1".into()));
    let places = vec![AddedRange { from: 20, to: 22, section, row, grade: None, price: None }];
    hall.here.done(AddSeats { performance: id, seats, places }).await;
    let kept = reader.layouts(Some(&[id])).await.expect("layouts");
    let [(_, kept)] = &kept[..] else { unreachable!("{kept:?}") };
    let place = kept.place_of(21).map(|(section, row)| (section.name.to_string(), row.segments.clone()));
    assert_eq!(place, Some(("A".to_owned(), vec![1..=2, 3..=4, 20..=22])));
    // The other lane remembers the hall without these seats.
    let outcomes = hall.there.run([any(&hall.bob, &performance, 3, Some("A"))]).await.expect("a unit of work");
    assert_eq!(taken(&outcomes[0]), [20, 21, 22]);
}

on_each_database!(
    seats_that_are_open_again_are_found_by_each_lane,
    a_lapsed_hold_gives_way_to_the_best,
    layouts_are_kept_with_added_seats,
);
