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
        assert_eq!(lecture.version, lines.len() as u64, "each line of the history is a version");
        assert!(
            lines.last().is_none_or(|last| last.created_at == lecture.updated_at),
            "a lecture knows its last change"
        );
        audit_seats(tables, lecture, &enrolled);

        let told: Vec<Event> = lines.iter().map(|line| event_of(line)).collect();
        let story = events.lectures.get(&lecture.id);
        assert!(told.iter().eq(story.into_iter().flatten().copied()), "each line has exactly one event");
    }
    let known = |lecture: &LectureId| tables.lectures.contains_key(lecture);
    assert!(tables.lecture_history.iter().all(|line| known(&line.lecture)), "a history without a lecture");
    assert!(tables.applications.keys().all(|(lecture, _)| known(lecture)), "an application without a lecture");
}

/// Replays these lines: the place of each user at the end. Fails if the rules do not allow a line.
fn play(lecture: &Lecture, lines: &[&HistoryLine]) -> BTreeMap<UserId, Application> {
    let mut enrolled: BTreeMap<UserId, Application> = BTreeMap::new();
    for (before, line) in lines.iter().enumerate() {
        assert_eq!(line.version, before as u64 + 1, "the history has a gap");
        let HistoryLine { user, seat_number, created_at, .. } = line;
        match line.kind {
            HistoryKind::Applied => {
                let taken: BTreeSet<u32> = enrolled.values().map(|application| application.seat_number).collect();
                let lowest = (1..).find(|seat| !taken.contains(seat));
                assert_eq!(Some(*seat_number), lowest, "the lowest free number is given");
                assert!(*seat_number <= lecture.capacity, "a seat beyond the capacity");
                // Dated like the line before it if a clock that was ahead dated that one.
                let as_before = before > 0 && lines[before - 1].created_at == *created_at;
                assert!(*created_at < lecture.starts_at || as_before, "an application after the start");
                let application = Application { seat_number: *seat_number, applied_at: *created_at };
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

/// Every seat that was ever given is either taken or free again.
fn audit_seats(tables: &Tables, lecture: &Lecture, enrolled: &BTreeMap<UserId, Application>) {
    let freed = tables.freed_seats.range((lecture.id, 0)..=(lecture.id, u32::MAX)).map(|(_, seat)| *seat);
    let mut seats: Vec<u32> = freed.chain(enrolled.values().map(|application| application.seat_number)).collect();
    seats.sort_unstable();
    assert!(seats.into_iter().eq(1..=lecture.seats_opened), "a seat number is lost or there twice");
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
