//! Lectures: played again from the history, seat by seat.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use onsale_domain::event::{Event, Happening};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::{Application, HistoryKind, HistoryLine, Lecture, WAITING_BLOCK, Waiting};
use onsale_domain::time::Timestamp;

use super::{Events, Tables};

pub(super) fn audit(tables: &Tables, events: &Events<'_>) {
    for lecture in tables.lectures.values() {
        let history = tables.lecture_history.iter().filter(|line| line.lecture == lecture.id);
        let lines: Vec<&HistoryLine> = history.collect();
        let Played { enrolled, waiting } = play(lecture, &lines);
        let key = |user: &UserId| (lecture.id, user.clone());
        let applications: BTreeMap<(LectureId, UserId), Application> =
            enrolled.iter().map(|(user, application)| (key(user), application.clone())).collect();
        let stored =
            tables.applications.range((lecture.id, first_user())..).take_while(|((id, _), _)| *id == lecture.id);
        assert!(stored.eq(applications.iter()), "the applications do not follow from the history");
        assert_eq!(lecture.enrolled as usize, enrolled.len(), "the places taken are miscounted");
        let stored = tables.waiting_for(lecture.id).into_iter();
        let stored: Vec<(UserId, Waiting)> = stored.map(|(user, own)| (user.clone(), own.clone())).collect();
        assert!(stored.iter().eq(&waiting), "the waiting list does not follow from the history");
        assert_eq!(lecture.waitlisted as usize, waiting.len(), "the users who wait are miscounted");
        let mut blocks: BTreeMap<(LectureId, u64), i32> = BTreeMap::new();
        for (_, own) in &waiting {
            *blocks.entry((lecture.id, own.number / WAITING_BLOCK)).or_default() += 1;
        }
        let of_lecture = |((id, _), _): &(&(LectureId, u64), &i32)| *id == lecture.id;
        assert!(
            tables.waiting_blocks.iter().filter(of_lecture).eq(&blocks),
            "a block of waiting numbers is miscounted"
        );
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
    assert!(tables.waiting.keys().all(|(lecture, _)| known(lecture)), "a waiting list without a lecture");
}

/// What a history leads to.
#[derive(Default)]
struct Played {
    /// The place of each user.
    enrolled: BTreeMap<UserId, Application>,
    /// The users who wait, in order.
    waiting: VecDeque<(UserId, Waiting)>,
}

/// Replays these lines. Fails if the rules do not allow a line.
fn play(lecture: &Lecture, lines: &[&HistoryLine]) -> Played {
    let mut played = Played::default();
    for (before, line) in lines.iter().enumerate() {
        let last = before.checked_sub(1).map(|before| lines[before]);
        assert!(last.is_none_or(|last| last.version < line.version), "the history is out of order");
        let HistoryLine { user, created_at, version, .. } = line;
        // Dated like the line before it if a clock that was ahead dated that one.
        let as_before = last.is_some_and(|last| last.created_at == *created_at);
        let in_time = *created_at < lecture.starts_at || lecture.moved_at.is_some() || as_before;
        let waits = played.waiting.iter().position(|(other, _)| other == user);
        match line.kind {
            HistoryKind::Applied { seat_number } => {
                assert!(played.waiting.is_empty(), "{user} got a place while others waited for it");
                assert!(in_time, "an application after the start");
                played.seat(lecture, user, seat_number, *created_at);
            }
            HistoryKind::Promoted { seat_number } => {
                let first = played.waiting.pop_front();
                let applied_at = first.filter(|(first, _)| first == user).map(|(_, waiting)| waiting.applied_at);
                assert!(in_time, "a promotion after the start");
                played.seat(lecture, user, seat_number, applied_at.expect("the first in the list is promoted"));
            }
            HistoryKind::Waitlisted { position } => {
                assert!(waits.is_none() && !played.enrolled.contains_key(user), "{user} is there already");
                assert!(in_time, "an entry after the start");
                played.waiting.push_back((user.clone(), Waiting { number: *version, applied_at: *created_at }));
                assert_eq!(played.waiting.len(), position as usize, "the end of the list");
            }
            HistoryKind::Left => {
                played.waiting.remove(waits.expect("only a user who waits leaves the list"));
            }
            HistoryKind::Cancelled { seat_number } => {
                let given_back = played.enrolled.remove(user).map(|application| application.seat_number);
                assert_eq!(given_back, Some(seat_number), "{user} gave back another's seat");
            }
        }
    }
    played
}

impl Played {
    /// Gives a user a place.
    fn seat(&mut self, lecture: &Lecture, user: &UserId, seat_number: u32, applied_at: Timestamp) {
        let taken: BTreeSet<u32> = self.enrolled.values().map(|application| application.seat_number).collect();
        let lowest = (1..).find(|seat| !taken.contains(seat));
        assert_eq!(Some(seat_number), lowest, "the lowest free number is given");
        assert!(seat_number <= lecture.highest_capacity, "a seat beyond the highest capacity");
        assert!(self.enrolled.len() < lecture.highest_capacity as usize, "more places than there ever were");
        let application = Application { seat_number, applied_at };
        assert_eq!(self.enrolled.insert(user.clone(), application), None, "{user} has two places");
    }
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
        waitlisted: lecture.waitlisted,
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
    let HistoryLine { id, lecture, version, user, kind, created_at } = line.clone();
    Event { id, at: created_at, version, happening: Happening::LectureChanged { lecture, user, kind } }
}

/// Sorts before or with every user id.
fn first_user() -> UserId {
    UserId::parse("-").expect("a user id")
}
