//! A process that knows rooms and seats only from the changes that it reads.

use std::collections::{BTreeMap, BTreeSet};

use onsale_app::store::news::{RoomsKnown, SeatsBecame};
use onsale_app::store::{Announced, RoomRecord, Store};
use onsale_domain::concert::Seat;
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Room, Turn};

use crate::picture::rooms;

/// A room as this process knows it.
struct Known {
    room: Room,
    given_up: BTreeSet<u64>,
    turns: BTreeMap<u64, Turn>,
    announced: Announced,
}

/// The state of a seat that is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Until(Timestamp),
    Sold,
    Blocked,
}

/// Held, sold and blocked seats.
type Seats = BTreeMap<u32, Taken>;

/// Everything that the process knows.
#[derive(Default)]
pub(crate) struct Follower {
    rooms: BTreeMap<ConcertId, Known>,
    performances: BTreeMap<PerformanceId, (u64, Seats)>,
}

impl Follower {
    /// Applies changes, and compares the result with what is stored. Returns how many rooms have changed.
    pub(crate) async fn follow(&mut self, store: &dyn Store) -> usize {
        let told = self.follow_rooms(store).await;
        self.follow_seats(store).await;
        told
    }

    async fn follow_rooms(&mut self, store: &dyn Store) -> usize {
        let news = store.news().expect("a shared database");
        let known = RoomsKnown {
            versions: self.rooms.iter().map(|(concert, known)| (*concert, known.room.version)).collect(),
            holds_of: self
                .rooms
                .iter()
                .flat_map(|(concert, known)| (1..=known.room.issued + 1_000).map(|place| (*concert, place)))
                .collect(),
            with_availability: true,
            ..RoomsKnown::default()
        };
        let news = news.rooms(&known).await.expect("news");
        let told = news.rooms.len();
        for room in news.rooms {
            let before = self.rooms.get(&room.record.concert).map(|known| known.room.version);
            assert_ne!(before, Some(room.record.room.version), "only changed rooms are read");
            self.take_in(room.record, &room.settled);
        }
        let ended: BTreeSet<_> = news.ended.into_iter().collect();
        let told_rooms = self.rooms.iter().map(|(concert, known)| {
            let turns = known.turns.iter();
            let holds = news.holds.iter().filter(|(of, _)| of == concert);
            let mut holds: Vec<_> = holds.map(|(_, hold)| *hold).collect();
            holds.sort_unstable();
            RoomRecord {
                concert: *concert,
                room: known.room.clone(),
                given_up: known.given_up.iter().copied().collect(),
                turns: turns.map(|(place, turn)| (*place, turn.clone(), ended.contains(&(*concert, *place)))).collect(),
                holds,
                announced: known.announced.clone(),
            }
        });
        let told_rooms: Vec<String> = told_rooms.map(|room| format!("{room:?}")).collect();
        let there: Vec<String> = rooms(&*store.reader()).await.iter().map(|room| format!("{room:?}")).collect();
        assert_eq!(told_rooms, there, "the rooms by the changes alone are the rooms of the database");

        let mut availability: Vec<_> =
            news.availability.iter().map(|of| (of.id, of.concert, of.starts_at, of.is_unsold)).collect();
        availability.sort_unstable();
        let all = store.reader().performances().await.expect("performances");
        let mut there: Vec<_> = all
            .iter()
            .map(|of| {
                let is_left = of.sold + of.blocked < of.seating.capacity();
                (of.id, of.concert, of.starts_at, is_left && !of.closed && of.cancelled_at.is_none())
            })
            .collect();
        there.sort_unstable();
        assert_eq!(availability, there, "what is left of each performance");
        told
    }

    fn take_in(&mut self, told: RoomRecord, settled: &[u64]) {
        let RoomRecord { concert, room, given_up, turns, announced, .. } = told;
        let nothing = || {
            let (given_up, turns) = (BTreeSet::new(), BTreeMap::new());
            Known { room: room.clone(), given_up, turns, announced: Announced::default() }
        };
        let known = self.rooms.entry(concert).or_insert_with(nothing);
        known.given_up.extend(given_up);
        known.given_up.retain(|place| *place > room.served);
        known.turns.extend(turns.into_iter().map(|(place, turn, _)| (place, turn)));
        for place in settled {
            known.turns.remove(place);
        }
        known.room = room;
        known.announced = announced;
    }

    async fn follow_seats(&mut self, store: &dyn Store) {
        let news = store.news().expect("a shared database");
        let reader = store.reader();
        for performance in reader.performances().await.expect("performances") {
            let (version, seats) = self.performances.entry(performance.id).or_default();
            let mut news = news.seats(&[(performance.id, *version)]).await.expect("news");
            for change in news.remove(&performance.id).unwrap_or_default() {
                assert_eq!(change.version, *version + 1, "every change, in order");
                *version = change.version;
                if let SeatsBecame::Extended(at, seconds) = change.became {
                    for seat in seats.values_mut() {
                        if let Taken::Until(until) = seat
                            && at < *until
                        {
                            *until = until.plus_seconds(seconds);
                        }
                    }
                }
                for seat in change.seats {
                    match change.became {
                        SeatsBecame::Held(until) => seats.insert(seat, Taken::Until(until)),
                        SeatsBecame::Sold => seats.insert(seat, Taken::Sold),
                        SeatsBecame::Blocked => seats.insert(seat, Taken::Blocked),
                        SeatsBecame::Free => seats.remove(&seat),
                        SeatsBecame::Extended(..)
                        | SeatsBecame::Cancelled
                        | SeatsBecame::Untouched
                        | SeatsBecame::WaitedFor
                        | SeatsBecame::Unchanged { .. } => {
                            unreachable!("it names no seats")
                        }
                    };
                }
            }
            let there = reader.seats(performance.id).await.expect("seats");
            let taken = |seat: Seat| if seat.sold { Taken::Sold } else { Taken::Until(seat.held_until) };
            let rows = there.seats.into_iter().map(|(number, seat)| (number, taken(seat)));
            let rows: Seats = rows.chain(there.blocked.into_iter().map(|number| (number, Taken::Blocked))).collect();
            assert_eq!((*version, &*seats), (there.version, &rows), "the seats of {:?}", performance.id);
        }
    }
}
