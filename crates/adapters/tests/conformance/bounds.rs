//! The first and last instants of time ranges.

use onsale_app::store::{LectureFilter, Page, Store, Wanted};
use onsale_domain::ids::LectureId;
use onsale_testing::without;

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::stage::{Stage, open_lecture, pay};

/// A range includes its first instant and excludes its last.
async fn lectures_are_listed_from_an_instant_until_before_another(bed: Bed) {
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    let now = store.reader().now();
    let lecture = open_lecture(&mut lane, now, 1).await;
    let start = now.plus_seconds(3_600);
    let spans = [
        (start, None, true),
        (start.plus_millis(1), None, false),
        (start, Some(start), false),
        (start, Some(start.plus_millis(1)), true),
        (start.plus_millis(-1), Some(start), false),
    ];
    for (from, until, is_listed) in spans {
        let filter = LectureFilter { until, ..LectureFilter::starting(from) };
        let found = store.reader().lectures(filter, Page { after: None, limit: 9 }).await.unwrap();
        let found: Vec<LectureId> = found.iter().map(|lecture| lecture.id).collect();
        assert_eq!(found, if is_listed { vec![lecture] } else { vec![] }, "{from:?} to {until:?}");
    }
}

/// A hold has expired at its last instant, and its seats are free from then on.
async fn a_hold_has_lapsed_when_it_ends(bed: Bed) {
    let store = bed.store().await;
    let stage = Stage::new(&*store).await;
    for (millis, lapsed) in [(-1, 0), (0, 1), (1, 1)] {
        let before = stage.held.held_until.plus_millis(millis);
        assert_eq!(store.reader().lapsed_holds(before, 9).await.unwrap().len(), lapsed, "{millis} ms after its end");
    }
}

/// Saves a unit that only deletes old rows, this many seconds later.
async fn tidy_up(stage: &mut Stage, seconds: u32) {
    let mut unit = stage.lane.writer.load(&Wanted::default()).await.unwrap();
    unit.at = unit.at.plus_seconds(seconds);
    unit.forget_answers_before = Some(unit.at);
    stage.lane.writer.save(&unit).await.unwrap();
}

/// The turns of the only room, each with whether it has ended.
async fn turns(store: &dyn Store) -> Vec<(u64, bool)> {
    let rooms = store.reader().rooms().await.unwrap();
    rooms[0].turns.iter().map(|(place, _, ended)| (*place, *ended)).collect()
}

/// An ended turn stays ended, however late it is settled.
async fn deleting_old_rows_keeps_ended_turns_ended(bed: Bed) {
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    let last = pay(&stage.token, &stage.held);
    stage.lane.done(last).await;
    assert_eq!(turns(&*store).await, [(1, true)]);
    tidy_up(&mut stage, 3_600).await;
    assert_eq!(turns(&*store).await, [(1, true)]);
}

/// A payment may record the end of a turn while the room settles it. That record is deleted later, because no step settles the turn
/// again.
#[tokio::test]
async fn an_end_without_a_turn_is_deleted_on_postgres() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of the server") };
    let stray = "INSERT INTO turn_ends SELECT concert_id, 77, 1000 FROM rooms";
    database.sql().await.batch_execute(stray).await.unwrap();
    let ended = async || store.news().unwrap().rooms(&Default::default()).await.unwrap().ended;
    assert_eq!(ended().await, [(stage.token.concert, 77)]);
    tidy_up(&mut stage, 0).await;
    assert_eq!(ended().await, []);
}

on_each_database!(
    lectures_are_listed_from_an_instant_until_before_another,
    a_hold_has_lapsed_when_it_ends,
    deleting_old_rows_keeps_ended_turns_ended,
);
