//! Lectures: played again from the history, seat by seat.

use std::collections::{BTreeMap, BTreeSet};

use onsale_domain::event::{Event, Happening};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::{Application, HistoryKind, HistoryLine, Lecture};

use super::{Events, Tables};

pub(super) fn audit(tables: &Tables, events: &Events<'_>) {
    for lecture in tables.lectures.values() {
        let history = tables.lecture_history.iter().filter(|line| line.lecture == lecture.id);
        let lines: Vec<&HistoryLine> = history.collect();
        let enrolled = play(lecture, &lines);
        let key = |user: &UserId| (lecture.id, user.clone());
        let applications: BTreeMap<(LectureId, UserId), Application> =
            enrolled.iter().map(|(user, application)| (key(user), application.clone())).collect();
        let stored =
            tables.applications.range((lecture.id, first_user())..).take_while(|((id, _), _)| *id == lecture.id);
        assert!(stored.eq(applications.iter()), "the applications do not follow from the history");
        assert_eq!(lecture.enrolled as usize, enrolled.len(), "the places taken are miscounted");
        assert_eq!(lecture.version, lines.len() as u64 + lecture.changes, "a version is a line or a change by staff");
        audit_seats(tables, lecture, &enrolled);

        let told: Vec<Event> = lines.iter().map(|line| event_of(line)).collect();
        let story: Vec<&Event> = events.lectures.get(&lecture.id).into_iter().flatten().copied().collect();
        assert!(story.iter().map(|event| event.version).eq(1..=lecture.version), "each version has one event");
        let is_change = |event: &&Event| matches!(event.happening, Happening::LectureUpdated { .. });
        let (changes, of_lines): (Vec<&Event>, Vec<&Event>) = story.into_iter().partition(is_change);
        assert!(told.iter().eq(of_lines), "each line has exactly one event");
        audit_changes(lecture, &changes);
    }
    let known = |lecture: &LectureId| tables.lectures.contains_key(lecture);
    assert!(tables.lecture_history.iter().all(|line| known(&line.lecture)), "a history without a lecture");
    assert!(tables.applications.keys().all(|(lecture, _)| known(lecture)), "an application without a lecture");
}

/// Replays these lines: the place of each user at the end. Fails if the rules do not allow a line.
fn play(lecture: &Lecture, lines: &[&HistoryLine]) -> BTreeMap<UserId, Application> {
    let mut enrolled: BTreeMap<UserId, Application> = BTreeMap::new();
    for (before, line) in lines.iter().enumerate() {
        assert!(before == 0 || lines[before - 1].version < line.version, "the history is out of order");
        let HistoryLine { user, seat_number, created_at, .. } = line;
        match line.kind {
            HistoryKind::Applied => {
                let taken: BTreeSet<u32> = enrolled.values().map(|application| application.seat_number).collect();
                let lowest = (1..).find(|seat| !taken.contains(seat));
                assert_eq!(Some(*seat_number), lowest, "the lowest free number is given");
                assert!(*seat_number <= lecture.highest_capacity, "a seat beyond the highest capacity");
                // Dated like the line before it if a clock that was ahead dated that one.
                let as_before = before > 0 && lines[before - 1].created_at == *created_at;
                let in_time = *created_at < lecture.starts_at || lecture.moved_at.is_some();
                assert!(in_time || as_before, "an application after the start");
                let application = Application { seat_number: *seat_number, applied_at: *created_at };
                assert!(enrolled.len() < lecture.highest_capacity as usize, "more places than there ever were");
                assert_eq!(enrolled.insert(user.clone(), application), None, "{user} has two places");
            }
            HistoryKind::Cancelled => {
                let given_back = enrolled.remove(user).map(|application| application.seat_number);
                assert_eq!(given_back, Some(*seat_number), "{user} gave back another's seat");
            }
        }
    }
    enrolled
}

/// The changes by staff lead to the lecture as it is, and to its highest capacity.
fn audit_changes(lecture: &Lecture, changes: &[&Event]) {
    let states = changes.iter().filter_map(|event| match &event.happening {
        Happening::LectureUpdated { lecture } => Some(lecture),
        _ => None,
    });
    let states: Vec<&Lecture> = states.collect();
    assert_eq!(states.len() as u64, lecture.changes);
    let highest = states.iter().map(|state| state.capacity).max();
    assert!(highest.is_none_or(|highest| highest <= lecture.highest_capacity));
    let Some(last) = states.last() else {
        assert_eq!((lecture.capacity, &lecture.cancellation), (lecture.highest_capacity, &None));
        return;
    };
    let as_now = Lecture {
        enrolled: lecture.enrolled,
        seats_given: lecture.seats_given,
        version: lecture.version,
        updated_at: lecture.updated_at,
        ..(*last).clone()
    };
    assert_eq!(&as_now, lecture, "the last change left the lecture as it is");
    assert!(lecture.cancellation.is_none() || lecture.enrolled <= last.enrolled, "an application after the end");
}

/// Every seat that was ever given is either taken or free again.
fn audit_seats(tables: &Tables, lecture: &Lecture, enrolled: &BTreeMap<UserId, Application>) {
    let freed = tables.freed_seats.range((lecture.id, 0)..=(lecture.id, u32::MAX)).map(|(_, seat)| *seat);
    let mut seats: Vec<u32> = freed.chain(enrolled.values().map(|application| application.seat_number)).collect();
    seats.sort_unstable();
    assert!(seats.into_iter().eq(1..=lecture.seats_given), "a seat number is lost or there twice");
}

/// The event that must tell of a line.
fn event_of(line: &HistoryLine) -> Event {
    let HistoryLine { id, lecture, version, user, kind, seat_number, created_at } = line.clone();
    Event { id, at: created_at, version, happening: Happening::LectureChanged { lecture, user, kind, seat_number } }
}

/// Sorts before or with every user id.
fn first_user() -> UserId {
    UserId::parse("-").expect("a user id")
}
