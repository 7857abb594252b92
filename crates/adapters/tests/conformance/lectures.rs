//! Lectures that staff change and cancel: what one unit does the next finds, and servers of an older schema fail.

use onsale_app::store::{LectureFilter, Page, Reader};
use onsale_domain::Refusal;
use onsale_domain::ids::LectureId;
use onsale_domain::lecture::{
    Apply, CANCELLED_TOGETHER_MAX, Cancel, CancelApplications, CancelLecture, Change, ChangeLecture, Emptied,
    HistoryKind, Lecture, Outcome, RemoveApplication,
};
use onsale_domain::time::Timestamp;
use onsale_testing::without;

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::mixed::{AnyCommand, Done};
use crate::stage::{open_lecture, user};

fn apply(lecture: LectureId, name: &str) -> AnyCommand {
    Apply { user: user(name), lecture, waitlist: false }.into()
}

fn change(lecture: LectureId, change: Change) -> AnyCommand {
    ChangeLecture { lecture, change }.into()
}

fn resize(lecture: LectureId, capacity: u32) -> AnyCommand {
    change(lecture, Change { capacity: Some(capacity), ..Change::default() })
}

async fn applied(lane: &mut Lane, lecture: LectureId, name: &str) -> u32 {
    let Done::Apply(Outcome::Applied(applied)) = lane.done(apply(lecture, name)).await else {
        unreachable!("an application")
    };
    applied.seat_number
}

async fn read(reader: &dyn Reader, lecture: LectureId) -> Lecture {
    reader.lecture(lecture).await.expect("an answer").expect("a lecture")
}

/// The capacity grows and shrinks within one unit, and each statement of the unit leaves a row that the database allows.
async fn a_unit_may_change_a_capacity_and_use_it(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let lecture = open_lecture(&mut lane, reader.now(), 2).await;
    let names = ["a", "b", "c", "d", "e"];
    let mut growing: Vec<AnyCommand> = vec![resize(lecture, 4)];
    growing.extend(names.map(|name| apply(lecture, name)));
    let outcomes = lane.run(growing).await.expect("a unit of work");
    assert!(outcomes[..5].iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(outcomes[5], Err(Refusal::LectureFull));

    let cancels = ["a", "b"].map(|name| Cancel { user: user(name), lecture }.into());
    let shrinking = cancels.into_iter().chain([resize(lecture, 2), apply(lecture, "e"), resize(lecture, 1)]);
    let outcomes = lane.run(shrinking).await.expect("a unit of work");
    assert_eq!(outcomes[3..], [Err(Refusal::LectureFull), Err(Refusal::CapacityBelowEnrolled)]);
    let now = read(&*reader, lecture).await;
    assert_eq!((now.capacity, now.enrolled, now.seats_given, now.highest_capacity), (2, 2, 4, 4));
    assert_eq!((now.version, now.changes), (8, 2));

    // Numbers 3 and 4 stay with their users. The lowest free number is given.
    lane.done(resize(lecture, 4)).await;
    lane.done(Cancel { user: user("d"), lecture }).await;
    assert_eq!(applied(&mut lane, lecture, "e").await, 1);
    assert_eq!(applied(&mut lane, lecture, "f").await, 2);
    assert_eq!(applied(&mut lane, lecture, "g").await, 4);
    let page = Page { after: None, limit: 9 };
    let places: Vec<_> = reader
        .applicants(lecture, page)
        .await
        .expect("applicants")
        .iter()
        .map(|applicant| (applicant.application.seat_number, applicant.user.to_string()))
        .collect();
    let expected = [(1, "e"), (2, "f"), (3, "c"), (4, "g")].map(|(seat, name)| (seat, name.to_owned()));
    assert_eq!(places, expected);
}

async fn each_field_of_a_change_is_stored(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let now = reader.now();
    let lecture = open_lecture(&mut lane, now, 2).await;
    let before = read(&*reader, lecture).await;
    let all = Change {
        title: Some("Rows".into()),
        lecturer: Some(Some("Ada".into())),
        starts_at: Some(now.plus_seconds(60)),
        capacity: Some(9),
        opens_at: Some(Some(now.plus_seconds(30))),
        closed: Some(true),
    };
    let Done::ChangeLecture(changed) = lane.done(change(lecture, all)).await else { unreachable!("a change") };
    assert_eq!(read(&*reader, lecture).await, changed);
    let moved_at = changed.moved_at.expect("the start was changed");
    assert!(before.updated_at <= moved_at && moved_at == changed.updated_at);
    assert_eq!((&*changed.title, changed.lecturer.as_deref(), changed.capacity), ("Rows", Some("Ada"), 9));

    let cleared = Change { lecturer: Some(None), opens_at: Some(None), closed: Some(false), ..Change::default() };
    let Done::ChangeLecture(cleared) = lane.done(change(lecture, cleared)).await else { unreachable!("a change") };
    assert_eq!(read(&*reader, lecture).await, cleared);
    assert_eq!((cleared.lecturer, cleared.opens_at, cleared.closed), (None, None, false));
    assert_eq!(cleared.moved_at, Some(moved_at), "the start stayed");
}

/// A lecture is available from its opening on, unless it is closed, cancelled, full or has started.
async fn readers_find_what_users_can_apply_for(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let now = reader.now();
    let mut lectures = Vec::new();
    for number in 0..5 {
        lectures.push(open_lecture(&mut lane, now.plus_seconds(number), 1).await);
    }
    let at = now.plus_seconds(50);
    lane.done(change(lectures[0], Change { closed: Some(true), ..Change::default() })).await;
    lane.done(change(lectures[1], Change { opens_at: Some(Some(at)), ..Change::default() })).await;
    lane.done(CancelLecture { lecture: lectures[2], reason: "ill".into() }).await;
    lane.done(apply(lectures[3], "a")).await;
    for (at, found) in [
        (at.plus_millis(-1), &lectures[4..]),
        (at, &[lectures[1], lectures[4]][..]),
        (now.plus_seconds(3_601), &lectures[4..]),
        (now.plus_seconds(3_604), &[][..]),
    ] {
        let filter = LectureFilter { available_at: Some(at), ..LectureFilter::starting(now) };
        let page = Page { after: None, limit: 9 };
        let available = reader.lectures(filter, page).await.expect("lectures");
        assert_eq!(available.iter().map(|lecture| lecture.id).collect::<Vec<_>>(), found);
        assert!(available.iter().all(|lecture| lecture.is_available(at)), "the rule and the store agree");
    }
}

/// Another instance finds lectures that were moved into the dates that it lists, and out of them.
async fn readers_find_lectures_that_were_moved(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let now = reader.now();
    let (stays, moves) = (open_lecture(&mut lane, now, 1).await, open_lecture(&mut lane, now, 1).await);
    let since = read(&*reader, moves).await.updated_at;
    let found = async |from: Timestamp, since: Timestamp| {
        let found = reader.changed_lectures(from, since).await.expect("lectures");
        let mut ids: Vec<_> = found.iter().map(|lecture| lecture.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(found(now.plus_seconds(7_200), since).await, [], "both start before");
    let starts_at = Some(now.plus_seconds(1_800));
    lane.done(change(moves, Change { starts_at, ..Change::default() })).await;
    let moved_at = read(&*reader, moves).await.updated_at;
    assert_eq!(found(now.plus_seconds(3_000), moved_at.plus_millis(1)).await, []);
    assert!(found(now.plus_seconds(3_700), since).await.contains(&moves), "it was moved away");
    assert!(!found(now.plus_seconds(3_700), since).await.contains(&stays), "it never was there");
    let both = found(now, Timestamp::default()).await;
    assert_eq!(both.len(), 2, "each once");
}

async fn steps_cancel_each_application_once_in_the_order_of_seats(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let many = CANCELLED_TOGETHER_MAX + 2;
    let lecture = open_lecture(&mut lane, reader.now(), 1_000).await;
    let applications: Vec<AnyCommand> = (0..many).map(|number| apply(lecture, &format!("user-{number}"))).collect();
    for some in applications.chunks(200) {
        lane.run(some.to_vec()).await.expect("a unit of work");
    }
    let all = Timestamp::default();
    assert_eq!(reader.lectures_to_empty(all).await.unwrap(), []);
    let Done::CancelApplications(step) = lane.done(CancelApplications { lecture }).await else { unreachable!() };
    assert_eq!((step.cancelled, step.left as usize), (0, many), "it is not cancelled");
    lane.done(CancelLecture { lecture, reason: "ill".into() }).await;
    assert_eq!(reader.lectures_to_empty(all).await.unwrap(), [lecture]);
    let cancelled_at = read(&*reader, lecture).await.cancellation.expect("a cancellation").at;
    assert_eq!(reader.lectures_to_empty(cancelled_at).await.unwrap(), [lecture]);
    assert_eq!(reader.lectures_to_empty(cancelled_at.plus_millis(1)).await.unwrap(), []);
    assert_eq!(lane.run([apply(lecture, "late")]).await.unwrap(), [Err(Refusal::LectureClosed)]);

    lane.done(RemoveApplication { lecture, user: user("user-0") }).await;
    // A step and the cancellation of a user in one unit, each for the same application.
    let mine: AnyCommand = Cancel { user: user("user-1"), lecture }.into();
    let outcomes = lane.run([mine, CancelApplications { lecture }.into()]).await.expect("a unit of work");
    let all_but_first = u32::try_from(CANCELLED_TOGETHER_MAX - 1).unwrap();
    assert_eq!(outcomes[1], Ok(Done::CancelApplications(Emptied { cancelled: all_but_first, left: 1 })));
    let mut last = Lane::new(&*store, 2).await;
    assert_eq!(
        last.done(CancelApplications { lecture }).await,
        Done::CancelApplications(Emptied { cancelled: 1, left: 0 })
    );
    assert_eq!(reader.lectures_to_empty(all).await.unwrap(), []);

    let page = Page { after: None, limit: 5_000 };
    let history = reader.lecture_history(lecture, page).await.expect("an answer").expect("a history");
    let cancelled = history.iter().filter(|line| matches!(line.kind, HistoryKind::Cancelled { .. }));
    let seats: Vec<usize> = cancelled.filter_map(|line| Some(line.kind.seat_number()? as usize)).collect();
    assert_eq!(seats, (1..=many).collect::<Vec<_>>());
    let now = read(&*reader, lecture).await;
    assert_eq!((now.enrolled, now.changes, now.version), (0, 1, 2 * many as u64 + 1));
    assert_eq!(reader.applicants(lecture, page).await.unwrap(), []);
}

on_each_database!(
    a_unit_may_change_a_capacity_and_use_it,
    each_field_of_a_change_is_stored,
    readers_find_what_users_can_apply_for,
    readers_find_lectures_that_were_moved,
    steps_cancel_each_application_once_in_the_order_of_seats,
);

/// What servers of schema 14 and of schema 15 write when a user applies or gives a place back.
#[tokio::test]
async fn a_server_of_an_older_schema_fails_to_apply() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    open_lecture(&mut lane, store.reader().now(), 2).await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of Postgres") };
    let sql = database.sql().await;
    for (column, code) in [("seats_opened", "42703"), ("seats_given", "23514")] {
        let statement = format!(
            "UPDATE lectures SET enrolled = 1, {column} = 1, version = version + 1, updated_at = updated_at + 1"
        );
        let refused = sql.batch_execute(&statement).await.expect_err("an older server must fail");
        let found = refused.as_db_error().map(|error| error.code().code().to_owned());
        assert_eq!(found.as_deref(), Some(code), "no such column, or a version that the server did not write");
    }
}
