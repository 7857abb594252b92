//! Waiting lists of lectures: both stores promote in order, in the unit that frees the place, and count positions exactly.

use onsale_app::store::{LectureFilter, Page, Reader};
use onsale_domain::Refusal;
use onsale_domain::ids::LectureId;
use onsale_domain::lecture::{
    Apply, CANCELLED_TOGETHER_MAX, Cancel, CancelApplications, CancelLecture, Change, ChangeLecture, Emptied, Lecture,
    Outcome, PROMOTED_TOGETHER_MAX, PromoteWaiting, Promoted, RemoveApplication, Waitlisted,
};
use onsale_domain::time::Timestamp;

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::mixed::{AnyCommand, Done};
use crate::stage::{open_lecture, user};

fn apply(lecture: LectureId, name: &str) -> AnyCommand {
    Apply { user: user(name), lecture, waitlist: true }.into()
}

fn cancel(lecture: LectureId, name: &str) -> AnyCommand {
    Cancel { user: user(name), lecture }.into()
}

fn resize(lecture: LectureId, capacity: u32) -> AnyCommand {
    ChangeLecture { lecture, change: Change { capacity: Some(capacity), ..Change::default() } }.into()
}

async fn read(reader: &dyn Reader, lecture: LectureId) -> Lecture {
    reader.lecture(lecture).await.expect("an answer").expect("a lecture")
}

/// The users who wait, each with the position, in pages of two.
async fn waiting(reader: &dyn Reader, lecture: LectureId) -> Vec<(u32, String)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = reader.waiting_users(lecture, Page { after, limit: 2 }).await.expect("a waiting list");
        let Some(last) = page.last() else { return all };
        after = Some(last.waiting.number);
        all.extend(page.into_iter().map(|row| (row.position, row.user.to_string())));
    }
}

fn listed(names: &[&str]) -> Vec<(u32, String)> {
    (1..).zip(names).map(|(position, name)| (position, (*name).to_owned())).collect()
}

async fn seats(reader: &dyn Reader, lecture: LectureId) -> Vec<(u32, String)> {
    let found = reader.applicants(lecture, Page { after: None, limit: 99 }).await.expect("applicants");
    found.iter().map(|one| (one.application.seat_number, one.user.to_string())).collect()
}

/// What `GET /lectures/application` shows of a user: a position for each entry, and none for a place.
async fn positions(reader: &dyn Reader, name: &str) -> Vec<Option<u32>> {
    let found = reader.applications(&user(name), None).await.expect("applications");
    found.iter().map(|applied| applied.position).collect()
}

async fn a_freed_place_goes_to_the_first_who_waits(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let lecture = open_lecture(&mut lane, reader.now(), 2).await;
    let outcomes = lane.run(["a", "b", "c", "d", "e", "f"].map(|name| apply(lecture, name))).await.expect("a unit");
    let last =
        Waitlisted { lecture, user: user("f"), applied_at: read(&*reader, lecture).await.updated_at, position: 4 };
    assert_eq!(outcomes[5], Ok(Done::Apply(Outcome::Waitlisted(last))));
    assert_eq!(waiting(&*reader, lecture).await, listed(&["c", "d", "e", "f"]));
    let shown = read(&*reader, lecture).await;
    assert_eq!((shown.enrolled, shown.waitlisted, shown.version), (2, 4, 6));

    // Another lane: what the first one did is only in the database.
    let mut other = Lane::new(&*store, 2).await;
    let outcomes = other
        .run([
            cancel(lecture, "d"),
            apply(lecture, "e"),
            cancel(lecture, "a"),
            apply(lecture, "f"),
            apply(lecture, "a"),
        ])
        .await
        .expect("a unit");
    assert_eq!(outcomes[1], Err(Refusal::AlreadyWaitlisted { position: 2 }));
    assert_eq!(outcomes[3], Err(Refusal::AlreadyWaitlisted { position: 2 }));
    assert_eq!(waiting(&*reader, lecture).await, listed(&["e", "f", "a"]));
    assert_eq!(seats(&*reader, lecture).await, [(1, "c".to_owned()), (2, "b".to_owned())]);
    assert_eq!(positions(&*reader, "a").await, [Some(3)]);
    assert_eq!(positions(&*reader, "c").await, [None]);
    assert_eq!(positions(&*reader, "d").await, []);

    other.done(RemoveApplication { lecture, user: user("e") }).await;
    other.done(RemoveApplication { lecture, user: user("b") }).await;
    assert_eq!(seats(&*reader, lecture).await, [(1, "c".to_owned()), (2, "f".to_owned())]);
    assert_eq!(waiting(&*reader, lecture).await, listed(&["a"]));
}

/// The positions of several users who apply in one unit are counted from one entry to the next.
async fn each_position_of_a_unit_is_exact(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let now = reader.now();
    let lectures = [open_lecture(&mut lane, now, 1).await, open_lecture(&mut lane, now, 1).await];
    for lecture in lectures {
        let names: Vec<String> = (0..8).map(|number| format!("u{number}")).collect();
        lane.run(names.iter().map(|name| apply(lecture, name)).collect::<Vec<_>>()).await.expect("a unit");
    }
    lane.done(cancel(lectures[1], "u3")).await;
    let asked = ["u7", "u2", "u5"];
    let again: Vec<AnyCommand> = lectures.iter().flat_map(|lecture| asked.map(|name| apply(*lecture, name))).collect();
    let outcomes = lane.run(again).await.expect("a unit");
    let position = |position| Err(Refusal::AlreadyWaitlisted { position });
    assert_eq!(outcomes, [position(7), position(2), position(5), position(6), position(2), position(4)]);
}

async fn many_places_are_given_in_steps(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let lecture = open_lecture(&mut lane, reader.now(), 1).await;
    let many = PROMOTED_TOGETHER_MAX + 100;
    let applications: Vec<AnyCommand> = (0..=many).map(|number| apply(lecture, &format!("user-{number}"))).collect();
    for some in applications.chunks(200) {
        lane.run(some.to_vec()).await.expect("a unit of work");
    }
    assert_eq!(reader.lectures_to_promote(reader.now()).await.unwrap(), []);
    let outcomes = lane.run([resize(lecture, 5_000), apply(lecture, "late")]).await.expect("a unit");
    let late = matches!(&outcomes[1], Ok(Done::Apply(Outcome::Waitlisted(Waitlisted { position: 101, .. }))));
    assert!(late, "{outcomes:?}");
    assert_eq!(reader.lectures_to_promote(reader.now()).await.unwrap(), [lecture]);
    let available = LectureFilter { available_at: Some(reader.now()), ..LectureFilter::starting(reader.now()) };
    let available = reader.lectures(available, Page { after: None, limit: 9 }).await.unwrap();
    assert_eq!(available, [], "free places are for the users who wait");
    let promoted = lane.done(PromoteWaiting { lecture }).await;
    assert_eq!(promoted, Done::PromoteWaiting(Promoted { promoted: 101, goes_on: false }));
    assert_eq!(reader.lectures_to_promote(reader.now()).await.unwrap(), []);
    let shown = read(&*reader, lecture).await;
    assert_eq!((shown.enrolled as usize, shown.waitlisted), (many + 2, 0));
}

async fn only_open_lectures_have_steps(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let now = reader.now();
    let lecture = open_lecture(&mut lane, now, 1).await;
    let change = |change| ChangeLecture { lecture, change };
    lane.run(["a", "b", "c"].map(|name| apply(lecture, name))).await.expect("a unit");
    lane.done(change(Change { closed: Some(true), ..Change::default() })).await;
    lane.done(cancel(lecture, "a")).await;
    assert_eq!(reader.lectures_to_promote(now).await.unwrap(), []);
    let opens_at = now.plus_seconds(60);
    lane.done(change(Change { closed: Some(false), opens_at: Some(Some(opens_at)), ..Change::default() })).await;
    assert_eq!(reader.lectures_to_promote(opens_at.plus_millis(-1)).await.unwrap(), []);
    assert_eq!(reader.lectures_to_promote(opens_at).await.unwrap(), [lecture]);
    let starts_at = read(&*reader, lecture).await.starts_at;
    assert_eq!(reader.lectures_to_promote(starts_at.plus_millis(-1)).await.unwrap(), [lecture]);
    assert_eq!(reader.lectures_to_promote(starts_at).await.unwrap(), []);
    assert_eq!(seats(&*reader, lecture).await, []);
    lane.done(change(Change { opens_at: Some(None), ..Change::default() })).await;
    assert_eq!(seats(&*reader, lecture).await, [(1, "b".to_owned())]);
}

async fn a_cancelled_lecture_loses_its_waiting_list(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let lecture = open_lecture(&mut lane, reader.now(), 3).await;
    let many = CANCELLED_TOGETHER_MAX + 2;
    let applications: Vec<AnyCommand> = (0..many).map(|number| apply(lecture, &format!("user-{number}"))).collect();
    for some in applications.chunks(200) {
        lane.run(some.to_vec()).await.expect("a unit of work");
    }
    lane.done(CancelLecture { lecture, reason: "ill".into() }).await;
    let ended = u32::try_from(CANCELLED_TOGETHER_MAX).unwrap();
    let emptied = |cancelled, left| Done::CancelApplications(Emptied { cancelled, left });
    assert_eq!(lane.done(CancelApplications { lecture }).await, emptied(ended, 2));
    assert_eq!(reader.lectures_to_empty(Timestamp::default()).await.unwrap(), [lecture], "two users still wait");
    assert_eq!(lane.done(CancelApplications { lecture }).await, emptied(2, 0));
    assert_eq!(reader.lectures_to_empty(Timestamp::default()).await.unwrap(), []);
    let shown = read(&*reader, lecture).await;
    assert_eq!((shown.enrolled, shown.waitlisted), (0, 0));
}

on_each_database!(
    a_freed_place_goes_to_the_first_who_waits,
    each_position_of_a_unit_is_exact,
    many_places_are_given_in_steps,
    only_open_lectures_have_steps,
    a_cancelled_lecture_loses_its_waiting_list,
);
