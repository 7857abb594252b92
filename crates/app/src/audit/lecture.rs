//! Lectures: within capacity, one place per user, seat numbers as they should be, a history that explains it all.

use std::collections::{BTreeMap, BTreeSet};

use onsale_domain::ids::UserId;
use onsale_domain::lecture::{HistoryKind, HistoryLine, Lecture};
use onsale_domain::time::Timestamp;
use serde_json::{Value, json};

use super::Finding;
use super::source::{AuditSource, EventRow, LectureRow};
use super::staff::made_at;
use super::waiting_list::{WaitingList, blocks_of};
use crate::calendar::rfc3339;
use crate::event::lecture_kind;
use crate::store::StoreError;

/// The state of one lecture, as far as its rows were read.
struct LectureState {
    lecture: Lecture,
    seats: BTreeMap<UserId, u32>,
    freed: BTreeSet<u32>,
    /// The seat of each user, as the history implies it.
    implied: BTreeMap<UserId, u32>,
    /// The users who wait, by the number of their entry.
    waiting: BTreeMap<u64, UserId>,
    /// The blocks of waiting numbers that have entries, as they are counted.
    blocks: BTreeMap<u64, u64>,
    list: WaitingList,
    lines: u64,
    /// The version of the last line; 0 before the first.
    last_version: u64,
    /// The events of changes by staff, in order.
    changed: Vec<EventRow>,
    /// How many places were taken when it was cancelled, as the history implies it.
    places_at_cancellation: Option<usize>,
    /// The highest number of places that were taken at a time, and the highest seat number of a line.
    highest: u32,
    /// Whether any user cancelled.
    cancelled: bool,
    /// Every line so far follows from those before it.
    history_holds: bool,
}

impl LectureState {
    fn new(lecture: Lecture) -> Self {
        Self {
            lecture,
            seats: BTreeMap::new(),
            freed: BTreeSet::new(),
            implied: BTreeMap::new(),
            waiting: BTreeMap::new(),
            blocks: BTreeMap::new(),
            list: WaitingList::default(),
            lines: 0,
            last_version: 0,
            changed: Vec::new(),
            places_at_cancellation: None,
            highest: 0,
            cancelled: false,
            history_holds: true,
        }
    }

    fn add(&mut self, line: &HistoryLine) {
        self.lines += 1;
        if self.cancelled_in().is_some_and(|version| version < line.version) {
            self.places_at_cancellation.get_or_insert(self.implied.len());
            self.history_holds &= matches!(line.kind, HistoryKind::Cancelled { .. } | HistoryKind::Left);
        }
        let is_free = !self.changed.iter().any(|event| event.version == line.version);
        let follows = match line.kind {
            HistoryKind::Applied { seat_number } | HistoryKind::Promoted { seat_number } => {
                self.implied.insert(line.user.clone(), seat_number).is_none()
            }
            HistoryKind::Cancelled { seat_number } => {
                self.cancelled = true;
                self.implied.remove(&line.user) == Some(seat_number)
            }
            HistoryKind::Waitlisted { .. } | HistoryKind::Left => !self.implied.contains_key(&line.user),
        };
        self.list.add(line);
        let places = u32::try_from(self.implied.len()).unwrap_or(u32::MAX);
        self.highest = self.highest.max(line.kind.seat_number().unwrap_or(0)).max(places);
        self.history_holds &= follows && is_free && line.version > self.last_version;
        self.last_version = line.version;
    }

    /// The version in which it was cancelled, if that event is still there. A cancelled lecture does not change any more.
    fn cancelled_in(&self) -> Option<u64> {
        self.lecture.cancellation.as_ref().and(self.changed.last()).map(|event| event.version)
    }

    /// Each version is a line of history or a change, and the history leads to the places.
    fn is_explained(&self) -> bool {
        let Lecture { version, changes, cancellation, .. } = &self.lecture;
        let implied = self.places_at_cancellation.unwrap_or(self.implied.len());
        let is_cancelled_right = cancellation.as_ref().is_none_or(|it| implied == it.applications as usize);
        // Without the event, the history does not show what came after the cancellation.
        let is_cancelled_right = is_cancelled_right || self.cancelled_in().is_none();
        self.history_holds
            && self.implied == self.seats
            && self.lines + changes == *version
            && self.last_version <= *version
            && is_cancelled_right
    }

    /// Neither seat numbers nor places were ever above the highest capacity.
    fn is_within_highest_capacity(&self) -> bool {
        let Lecture { capacity, highest_capacity, seats_given, changes, .. } = self.lecture;
        let announced = self.changed.iter().filter_map(|event| data_of(event)["capacity"].as_u64()).max();
        self.highest.max(seats_given) <= highest_capacity
            && announced.is_none_or(|capacity| capacity <= u64::from(highest_capacity))
            && (changes > 0 || highest_capacity == capacity)
    }

    /// Each change has its event, unless that is old enough to be deleted, and the last one left the lecture as it is.
    fn has_events_of_changes(&self, forgotten: Timestamp) -> bool {
        let many = self.changed.len() as u64;
        let is_complete = many == self.lecture.changes;
        let is_right = self.changed.last().is_none_or(|event| is_of_lecture(event, &self.lecture));
        is_right && (is_complete || many < self.lecture.changes && made_at(self.lecture.id.uuid()) < forgotten)
    }

    fn seats_once(&self) -> bool {
        let numbers: BTreeSet<u32> = self.seats.values().copied().collect();
        numbers.len() == self.seats.len()
            && numbers.iter().all(|number| (1..=self.lecture.highest_capacity).contains(number))
    }

    /// Taken and freed numbers together are 1 to the highest ever given. None is freed if no user cancelled.
    fn has_no_holes(&self) -> bool {
        let taken: BTreeSet<u32> = self.seats.values().copied().collect();
        let opened: BTreeSet<u32> = (1..=self.lecture.seats_given).collect();
        taken.is_disjoint(&self.freed)
            && taken.union(&self.freed).copied().collect::<BTreeSet<_>>() == opened
            && (self.cancelled || self.freed.is_empty())
    }
}

struct Findings {
    waiting: Finding,
    capacity: Finding,
    highest: Finding,
    changes: Finding,
    seats: Finding,
    holes: Finding,
    history: Finding,
    events: Finding,
}

impl Findings {
    fn close(&mut self, state: Option<LectureState>, forgotten: Timestamp) {
        let Some(state) = state else { return };
        let Lecture { id, capacity, enrolled, .. } = state.lecture;
        let places = state.seats.len() as u64;
        self.capacity.check(u64::from(enrolled) == places && enrolled <= capacity, || {
            format!("{id}: {places} places taken, {enrolled} counted, capacity {capacity}")
        });
        self.seats
            .check(state.seats_once(), || format!("{id}: a seat number is given twice or beyond the highest capacity"));
        self.highest
            .check(state.is_within_highest_capacity(), || format!("{id}: above the highest capacity that it had"));
        self.changes.check(state.has_events_of_changes(forgotten), || {
            format!("{id}: {} changes, {} events of them, or another state", state.lecture.changes, state.changed.len())
        });
        self.holes.check(state.has_no_holes(), || format!("{id}: the seat numbers given and freed leave a hole"));
        let waits = state.waiting.len();
        let counted = waits == state.lecture.waitlisted as usize && state.blocks == blocks_of(&state.waiting);
        self.waiting.check(counted && state.list.leads_to(&state.waiting), || {
            format!(
                "{id}: {waits} users wait, {} counted, or the history leads to another list",
                state.lecture.waitlisted
            )
        });
        self.history.check(state.is_explained(), || format!("{id}: the history does not lead to who has a place"));
    }
}

pub(super) async fn check(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Findings {
        capacity: Finding::new("no lecture is over its capacity"),
        highest: Finding::new("no lecture was ever above the highest capacity that it had"),
        changes: Finding::new("every change of a lecture has its event"),
        seats: Finding::new("every seat number of a lecture is given once, within its highest capacity"),
        holes: Finding::new("seat numbers have no holes but those that a cancellation left"),
        history: Finding::new("every lecture's history leads to who has a place, one place per user"),
        events: Finding::new("every line of a lecture's history has its event"),
        waiting: Finding::new("every waiting list of a lecture follows from its history, in order and without holes"),
    };
    let mut state: Option<LectureState> = None;
    let mut rows = source.lectures();
    while let Some(row) = rows.recv().await {
        match (row?, &mut state) {
            (LectureRow::Lecture(lecture), _) => findings.close(state.replace(LectureState::new(lecture)), forgotten),
            (LectureRow::Application(user, seat), Some(state)) => drop(state.seats.insert(user, seat)),
            (LectureRow::Waiting(user, number), Some(state)) => drop(state.waiting.insert(number, user)),
            (LectureRow::Block(_, 0), Some(_)) => {}
            (LectureRow::Block(block, entries), Some(state)) => drop(state.blocks.insert(block, entries)),
            (LectureRow::Freed(seat), Some(state)) => drop(state.freed.insert(seat)),
            (LectureRow::Changed(event), Some(state)) => state.changed.push(event),
            (LectureRow::History(line, event), Some(state)) => {
                state.add(&line);
                let is_forgotten = event.is_none() && line.created_at < forgotten;
                let has_event = is_forgotten || has_event(&line, event.as_ref());
                findings.events.check(has_event, || format!("{}, line {}", line.lecture, line.version));
            }
            (_, None) => {}
        }
    }
    // The last lecture: each of the others was closed when the next one began.
    findings.close(state, forgotten);
    let Findings { waiting, capacity, highest, changes, seats, holes, history, events } = findings;
    Ok(vec![capacity, highest, changes, seats, holes, history, events, waiting])
}

fn has_event(line: &HistoryLine, event: Option<&EventRow>) -> bool {
    let (kind, lecture) = (lecture_kind(line.kind), line.lecture.to_string());
    let mut data = json!({"lectureId": lecture, "userId": line.user.as_str()});
    if let Some(seat_number) = line.kind.seat_number() {
        data["seatNumber"] = seat_number.into();
    }
    if let Some(position) = line.kind.position() {
        data["position"] = position.into();
    }
    event.is_some_and(|event| {
        let same = serde_json::from_str::<Value>(&event.data).is_ok_and(|found| found == data);
        event.kind == kind && event.subject == lecture && event.version == line.version && same
    })
}

fn data_of(event: &EventRow) -> Value {
    serde_json::from_str(&event.data).unwrap_or_default()
}

/// Whether an event shows a lecture as it is.
fn is_of_lecture(event: &EventRow, lecture: &Lecture) -> bool {
    let Lecture { id, title, lecturer, starts_at, capacity, opens_at, closed, cancellation, .. } = lecture;
    let data = json!({
        "lectureId": id.to_string(), "title": &**title, "lecturer": lecturer.as_deref(), "startsAt": rfc3339(*starts_at),
        "capacity": capacity, "opensAt": opens_at.map(rfc3339), "closed": closed, "cancelled": cancellation.is_some(),
        "reason": cancellation.as_ref().map(|cancellation| &*cancellation.reason),
    });
    event.version <= lecture.version && data_of(event) == data
}
