//! What is answered is what is stored.

use crate::support::mixed::Done;
use onsale_domain::cancellation::Cancelled;
use onsale_domain::concert::Held;
use onsale_domain::lecture::Application;
use onsale_domain::lecture::{Applied, Outcome, Waitlisted};
use onsale_domain::waiting_room::BlockState;
use onsale_domain::waiting_room::Entered;
use onsale_domain::wallet::Changed;

use super::tables::Tables;

/// Panics where an answer differs from the rows that were saved with it.
pub(super) fn agree(tables: &Tables, done: &Done) {
    match done {
        Done::Charge(Changed { user, account })
        | Done::Use(Changed { user, account })
        | Done::Adjust(Changed { user, account }) => {
            assert_eq!(tables.accounts.get(user), Some(account));
        }
        Done::CreateLecture(lecture) | Done::ChangeLecture(lecture) => {
            assert_eq!(tables.lectures.get(&lecture.id), Some(lecture));
        }
        Done::Apply(Outcome::Waitlisted(Waitlisted { lecture, user, applied_at, .. })) => {
            assert_eq!(tables.waiting[&(*lecture, user.clone())].applied_at, *applied_at);
        }
        Done::Apply(Outcome::Applied(Applied { lecture, user, applied_at, seat_number })) => {
            let application = Application { seat_number: *seat_number, applied_at: *applied_at };
            assert_eq!(tables.applications.get(&(*lecture, user.clone())), Some(&application));
        }
        Done::CreateConcert(concert) | Done::ChangeConcert(concert) => {
            assert_eq!(tables.concerts.get(&concert.id), Some(concert));
        }
        Done::Schedule(performance) | Done::ChangePerformance(performance) | Done::AddSeats(performance) => {
            assert_eq!(tables.performances.get(&performance.id), Some(performance));
        }
        Done::Hold(Held { reservation, starts_at }) | Done::HoldAny(Held { reservation, starts_at }) => {
            assert_eq!(tables.reservations.get(&reservation.id), Some(reservation));
            assert_eq!(tables.performances[&reservation.performance].starts_at, *starts_at);
        }
        Done::Pay(payment) => assert_eq!(tables.payments.last(), Some(payment)),
        Done::RefundSeats(refund) | Done::RefundByStaff(refund) => {
            assert_eq!(tables.refunds.last(), Some(refund));
            assert_eq!(tables.accounts[&refund.user].balance, refund.balance_after);
        }
        Done::CancelPerformance(Cancelled { cancellation, open_payments, points_refunded, .. }) => {
            assert_eq!(tables.cancellations.get(&cancellation.performance), Some(cancellation));
            let performance = &tables.performances[&cancellation.performance];
            assert_eq!((performance.open_payments, performance.refunded), (*open_payments, *points_refunded));
            assert_eq!(performance.cancelled_at, Some(cancellation.cancelled_at));
        }
        Done::Enter(Entered { token, .. }) => {
            let place = &tables.places[&(token.concert, token.place)];
            assert_eq!((&place.user, place.token, place.issued_at), (&token.user, token.id, token.issued_at));
            assert_eq!(tables.current_place(token.concert, &token.user), Some(token.place));
        }
        Done::HandOut(BlockState { blocks, .. }) => assert!(tables.rooms.values().any(|room| room.blocks == *blocks)),
        Done::Configure(settings) => assert!(tables.rooms.values().any(|room| room.settings == *settings)),
        Done::PutBeacon((room, draw)) => {
            assert!(
                tables.rooms.values().any(|known| known == room) && tables.draws.values().any(|known| known == draw)
            );
        }
        Done::NoteList(()) | Done::StoreDraw(_) | Done::PutBack(_) => {}
        Done::CancelLecture(_) | Done::CancelApplications(_) | Done::LeaveSeatList(()) => {}
        Done::RemoveApplication(_) | Done::PromoteWaiting(_) | Done::OfferSeats(_) => {}
        Done::Cancel(()) | Done::Release(()) | Done::Expire(_) | Done::Leave(()) | Done::Step(()) => {}
        Done::Block(changed) | Done::Unblock(changed) => {
            let counts = tables.performances.values().any(|performance| performance.blocked == changed.blocked);
            assert!(counts, "no performance has as many blocked seats: {changed:?}");
        }
        Done::Extend(_) | Done::Rewrite(_) | Done::StepOfCancellation(_) => {}
        Done::CreateCodes(codes) => {
            assert!(codes.iter().all(|code| tables.codes.get(&code.key()) == Some(code)));
        }
        Done::DeleteCode(code) => assert!(!tables.codes.contains_key(&code.key())),
        Done::JoinSeatList(joined) => {
            let key = (joined.entry.performance, joined.entry.user.clone());
            assert_eq!(tables.seat_waits.get(&key).map(|entry| entry.id), Some(joined.entry.id));
        }
    }
}
