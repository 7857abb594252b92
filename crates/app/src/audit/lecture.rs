//! Lectures: within capacity, one place per user, seat numbers as they should be, a history that explains it all.

use std::collections::{BTreeMap, BTreeSet};

use onsale_domain::ids::UserId;
use onsale_domain::lecture::{HistoryKind, HistoryLine, Lecture};
use onsale_domain::time::Timestamp;
use serde_json::{Value, json};

use super::Finding;
use super::source::{AuditSource, EventRow, LectureRow};
use crate::store::StoreError;

/// The state of one lecture, as far as its rows were read.
struct LectureState {
    lecture: Lecture,
    seats: BTreeMap<UserId, u32>,
    freed: BTreeSet<u32>,
    /// The seat of each user, as the history implies it.
    implied: BTreeMap<UserId, u32>,
    lines: u64,
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
            lines: 0,
            cancelled: false,
            history_holds: true,
        }
    }

    fn add(&mut self, line: &HistoryLine) {
        self.lines += 1;
        let follows = match line.kind {
            HistoryKind::Applied => self.implied.insert(line.user.clone(), line.seat_number).is_none(),
            HistoryKind::Cancelled => {
                self.cancelled = true;
                self.implied.remove(&line.user) == Some(line.seat_number)
            }
        };
        self.history_holds &= follows && line.version == self.lines;
    }

    fn seats_once(&self) -> bool {
        let numbers: BTreeSet<u32> = self.seats.values().copied().collect();
        numbers.len() == self.seats.len() && numbers.iter().all(|number| (1..=self.lecture.capacity).contains(number))
    }

    /// Taken and freed numbers together are 1 to the highest ever given. None is freed if no user cancelled.
    fn has_no_holes(&self) -> bool {
        let taken: BTreeSet<u32> = self.seats.values().copied().collect();
        let opened: BTreeSet<u32> = (1..=self.lecture.seats_opened).collect();
        taken.is_disjoint(&self.freed)
            && taken.union(&self.freed).copied().collect::<BTreeSet<_>>() == opened
            && (self.cancelled || self.freed.is_empty())
    }
}

struct Findings {
    capacity: Finding,
    seats: Finding,
    holes: Finding,
    history: Finding,
    events: Finding,
}

impl Findings {
    fn close(&mut self, state: Option<LectureState>) {
        let Some(state) = state else { return };
        let Lecture { id, capacity, enrolled, .. } = state.lecture;
        let places = state.seats.len() as u64;
        self.capacity.check(u64::from(enrolled) == places && enrolled <= capacity, || {
            format!("{id}: {places} places taken, {enrolled} counted, capacity {capacity}")
        });
        self.seats.check(state.seats_once(), || format!("{id}: a seat number is given twice or beyond the capacity"));
        self.holes.check(state.has_no_holes(), || format!("{id}: the seat numbers given and freed leave a hole"));
        let explained = state.history_holds && state.implied == state.seats && state.lecture.version == state.lines;
        self.history.check(explained, || format!("{id}: the history does not lead to who has a place"));
    }
}

pub(super) async fn check(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Findings {
        capacity: Finding::new("no lecture is over its capacity"),
        seats: Finding::new("every seat number of a lecture is given once, within its capacity"),
        holes: Finding::new("seat numbers have no holes but those that a cancellation left"),
        history: Finding::new("every lecture's history leads to who has a place, one place per user"),
        events: Finding::new("every line of a lecture's history has its event"),
    };
    let mut state: Option<LectureState> = None;
    let mut rows = source.lectures();
    while let Some(row) = rows.recv().await {
        match (row?, &mut state) {
            (LectureRow::Lecture(lecture), _) => findings.close(state.replace(LectureState::new(lecture))),
            (LectureRow::Application(user, seat), Some(state)) => drop(state.seats.insert(user, seat)),
            (LectureRow::Freed(seat), Some(state)) => drop(state.freed.insert(seat)),
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
    findings.close(state);
    let Findings { capacity, seats, holes, history, events } = findings;
    Ok(vec![capacity, seats, holes, history, events])
}

fn has_event(line: &HistoryLine, event: Option<&EventRow>) -> bool {
    let kind = match line.kind {
        HistoryKind::Applied => "onsale.lecture.applied.v1",
        HistoryKind::Cancelled => "onsale.lecture.cancelled.v1",
    };
    let lecture = line.lecture.to_string();
    let data = json!({"lectureId": lecture, "userId": line.user.as_str(), "seatNumber": line.seat_number});
    event.is_some_and(|event| {
        let same = serde_json::from_str::<Value>(&event.data).is_ok_and(|found| found == data);
        event.kind == kind && event.subject == lecture && event.version == line.version && same
    })
}
