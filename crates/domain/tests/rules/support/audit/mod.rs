//! Checks every invariant on all rows. Knows the contract, and nothing of how decisions are made.

mod codes;
mod concerts;
mod lectures;
mod refunds;
mod rooms;
mod wallets;

use std::collections::{BTreeMap, BTreeSet};

use onsale_domain::event::{Event, Happening, Subject};
use onsale_domain::ids::{ConcertId, EventId, LectureId, PerformanceId, UserId};
use onsale_domain::time::Timestamp;

use super::tables::Tables;

/// Panics where an invariant is broken at this instant.
pub(crate) fn audit(tables: &Tables, at: Timestamp) {
    let events = Events::of(tables);
    wallets::audit(tables, &events);
    lectures::audit(tables, &events);
    concerts::audit(tables, &events, at);
    rooms::audit(tables, &events);
    codes::audit(tables, at);
}

/// All events, by subject, in the order in which they were written.
struct Events<'a> {
    users: BTreeMap<&'a UserId, Vec<&'a Event>>,
    lectures: BTreeMap<LectureId, Vec<&'a Event>>,
    performances: BTreeMap<PerformanceId, Vec<&'a Event>>,
    concerts: BTreeMap<ConcertId, Vec<&'a Event>>,
    /// Closings and draws, whose versions are no changes of a concert.
    draws: BTreeMap<ConcertId, Vec<&'a Event>>,
}

impl<'a> Events<'a> {
    fn of(tables: &'a Tables) -> Self {
        let ids: BTreeSet<EventId> = tables.events.iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), tables.events.len(), "two events with one id");
        let (mut users, mut lectures) = (BTreeMap::new(), BTreeMap::new());
        let (mut performances, mut concerts) = (BTreeMap::new(), BTreeMap::new());
        let mut draws: BTreeMap<ConcertId, Vec<&Event>> = BTreeMap::new();
        for event in &tables.events {
            if let Happening::DrawClosed { concert, .. } | Happening::DrawCompleted { concert, .. } = event.happening {
                draws.entry(concert).or_default().push(event);
                continue;
            }
            let story: &mut Vec<&Event> = match event.happening.subject() {
                Subject::User(user) => users.entry(user).or_default(),
                Subject::Lecture(lecture) => lectures.entry(lecture).or_default(),
                Subject::Performance(performance) => performances.entry(performance).or_default(),
                Subject::Concert(concert) => concerts.entry(concert).or_default(),
            };
            story.push(event);
            assert_eq!(event.version, story.len() as u64, "versions of a subject are 1, 2, 3 …: {event:?}");
            assert!(story.iter().rev().nth(1).is_none_or(|last| last.at <= event.at), "{event:?} is out of order");
        }
        Self { users, lectures, performances, concerts, draws }
    }
}
