//! What is answered is what is stored.

use onsale_domain::Done;
use onsale_domain::lecture::Application;

use super::tables::Tables;

/// Panics where an answer differs from the rows that were saved with it.
pub(super) fn agree(tables: &Tables, done: &Done) {
    match done {
        Done::Wallet { user, account } => assert_eq!(tables.accounts.get(user), Some(account)),
        Done::LectureOpened(lecture) => assert_eq!(tables.lectures.get(&lecture.id), Some(lecture)),
        Done::Applied { lecture, user, applied_at, seat_number } => {
            let application = Application { seat_number: *seat_number, applied_at: *applied_at };
            assert_eq!(tables.applications.get(&(*lecture, user.clone())), Some(&application));
        }
        Done::ConcertOpened(concert) => assert_eq!(tables.concerts.last(), Some(concert)),
        Done::PerformanceScheduled(performance) => {
            assert_eq!(tables.performances.get(&performance.id), Some(performance));
        }
        Done::Held { reservation, starts_at } => {
            assert_eq!(tables.reservations.get(&reservation.id), Some(reservation));
            assert_eq!(tables.performances[&reservation.performance].starts_at, *starts_at);
        }
        Done::Paid(payment) => assert_eq!(tables.payments.last(), Some(payment)),
        Done::Entered { token, .. } => {
            let place = &tables.places[&(token.concert, token.place)];
            assert_eq!((&place.user, place.token, place.issued_at), (&token.user, token.id, token.issued_at));
            assert_eq!(tables.current_place(token.concert, &token.user), Some(token.place));
        }
        Done::RoomOpened { blocks, .. } => assert!(tables.rooms.values().any(|room| room.blocks == *blocks)),
        Done::RoomConfigured(settings) => assert!(tables.rooms.values().any(|room| room.settings == *settings)),
        Done::Cancelled | Done::Released | Done::Expired { .. } | Done::Left | Done::Stepped => {}
    }
}
