//! Waiting rooms: the counters agree with the rows that they stand for.

use std::collections::BTreeMap;

use onsale_domain::event::{Event, Happening};
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::waiting_room::{
    CLOSED_VERSION, DRAWN_VERSION, Draw, List, PlaceStanding, Room, closed_event, drawn_event,
};

use super::{Events, Tables};

pub(super) fn audit(tables: &Tables, events: &Events<'_>) {
    for (concert, room) in &tables.rooms {
        audit_draw(tables, events.draws.get(concert).map_or(&[][..], |events| events), *concert, room);
        audit_line(tables, *concert, room);
        audit_turns(tables, *concert, room);
    }
    let rooms = tables.concerts.keys().copied();
    assert!(rooms.eq(tables.rooms.keys().copied()), "each concert has one room");
}

/// A list with its hash and a drawn order have one event each, with an id that follows from the concert and the instant.
fn audit_draw(tables: &Tables, events: &[&Event], concert: ConcertId, room: &Room) {
    let (draw, list) = (tables.draws.get(&concert), room.list);
    let mut expected = Vec::new();
    if let (Some(list), Some(draw)) = (list, draw)
        && let Some(entries_hash) = draw.entries_hash
    {
        let (commitment, closed) = (draw.seed.commitment(), List { left: 0, drawn_at: None, ..list });
        let happening = Happening::DrawClosed { concert, list: closed, commitment, entries_hash };
        expected.push((closed_event(concert, list.closed_at), CLOSED_VERSION, happening));
        if let Some(at) = list.drawn_at {
            let draw = Draw { changes: Vec::new(), ..draw.clone() };
            let happening = Happening::DrawCompleted { concert, list, draw };
            expected.push((drawn_event(concert, at), DRAWN_VERSION, happening));
        }
    }
    let found = events.iter().map(|event| (event.id, event.version, event.happening.clone()));
    assert!(found.eq(expected), "the events of the draw of {concert}: {events:?}");
    assert!(list.is_none_or(|list| list.drawn_at.is_none()) || events.len() == 2, "a draw without its events");
}

fn audit_line(tables: &Tables, concert: ConcertId, room: &Room) {
    // Places that were handed out beside the database have rows when their turns are named, or they are given up.
    let all_have_rows = room.blocks.epoch == 0 && room.blocks.gaps.is_empty() && room.list.is_none();
    let mut numbers = Tables::in_room(&tables.places, concert).map(|(number, _)| number);
    let known = if all_have_rows { numbers.eq(1..=room.issued) } else { numbers.all(|number| number <= room.issued) };
    assert!(known, "places are 1, 2, 3 … in order of arrival");
    assert!(room.served <= room.issued, "a place was called before it was handed out");
    assert_eq!(room.given_up, tables.given_up(concert).count() as u64, "the places given up are miscounted");

    let line = tables.line(concert);
    let mut current: BTreeMap<&UserId, u64> = BTreeMap::new();
    let mut waiting = 0;
    for (number, place) in Tables::in_room(&tables.places, concert) {
        if place.standing == PlaceStanding::Current {
            let other = current.insert(&place.user, number);
            assert_eq!(other, None, "{} has two places", place.user);
        }
        if all_have_rows && number > room.served && place.standing != PlaceStanding::GivenUp {
            waiting += 1;
            assert_eq!(place.standing, PlaceStanding::Current, "who waits has not entered again");
            assert_eq!(line.position(number), Some(waiting), "the position of place {number}");
        }
    }
    let waiting = if all_have_rows { waiting } else { room.waiting() };
    assert_eq!((room.waiting(), line.waiting()), (waiting, waiting), "who waits is miscounted");
    let gaps = &room.blocks.gaps;
    assert!(gaps.iter().all(|gap| room.served < gap.last && gap.first <= gap.last && gap.last <= room.issued));
    assert!(gaps.windows(2).all(|pair| pair[0].last < pair[1].first), "gaps are in order and apart: {gaps:?}");
}

fn audit_turns(tables: &Tables, concert: ConcertId, room: &Room) {
    assert_eq!(room.active as usize, Tables::in_room(&tables.turns, concert).count(), "the turns are miscounted");
    let mut last = None;
    for (number, turn) in Tables::in_room(&tables.turns, concert) {
        assert!(number <= room.served, "place {number} has a turn and was not called");
        let place = tables.places.get(&(concert, number));
        assert!(place.is_some() || !turn.named, "a turn that is named has its place");
        let given_up = place.is_some_and(|place| place.standing == PlaceStanding::GivenUp);
        assert!(!given_up, "place {number} was given up and called");
        assert!(last <= Some(turn.admitted_at), "place {number} was called before its turn");
        last = Some(turn.admitted_at);
    }
    let ends = Tables::in_room(&tables.ends, concert);
    let mut ends = ends.map(|(number, _)| (concert, number));
    assert!(ends.all(|key| tables.turns.contains_key(&key)), "an end without a turn");
}
