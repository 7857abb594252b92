//! The choice of offers, compared with a search of all groups of seats.

use std::collections::HashMap;

use onsale_domain::concert::{Hall, Seating, Section, Taken, Wish};
use onsale_domain::ids::UserId;
use onsale_domain::seat_list::{Front, Waiter, choose_offers};
use proptest::prelude::*;

use crate::support::START;

const SEATS: u32 = 24;

/// Seats 1 to 12 are of grade R, the others of grade S.
fn seating() -> Seating {
    let section = |from, to, grade: &str| Section { from, to, grade: grade.into(), price: 1 };
    Seating::new(vec![section(1, 12, "R"), section(13, SEATS, "S")]).expect("sound seats")
}

fn wish() -> impl Strategy<Value = Wish> {
    let grade = prop_oneof![Just(None), Just(Some("R")), Just(Some("S"))];
    (1_u32..=4, grade).prop_map(|(count, grade)| Wish { count, section: None, grade: grade.map(Into::into) })
}

/// Whether these adjacent seats are free and of one grade that the wish takes.
fn is_fitting(free: &[bool], wish: &Wish, first: u32) -> bool {
    let last = first + wish.count - 1;
    let grade = |seat: u32| if seat <= 12 { "R" } else { "S" };
    last <= SEATS
        && grade(first) == grade(last)
        && wish.grade.as_deref().is_none_or(|wanted| wanted == grade(first))
        && (first..=last).all(|seat| free[seat as usize])
}

fn fits(free: &[bool], wish: &Wish) -> bool {
    (1..=SEATS).any(|first| is_fitting(free, wish, first))
}

proptest! {
    #[test]
    fn each_user_in_order_gets_seats_that_fit(
        taken in prop::collection::vec(prop::bool::weighted(0.4), SEATS as usize + 1),
        wishes in prop::collection::vec((wish(), prop::bool::weighted(0.2)), 0..14),
        unloaded in prop::collection::vec((wish(), 0_u64..14), 0..3),
        at_most in 0_usize..8,
    ) {
        let rows = (1..=SEATS).filter(|seat| taken[*seat as usize]).map(|seat| (seat, Taken::Closed));
        let mut hall = Hall::read([1..=12, 13..=SEATS], rows).as_of(START);
        let waiters: Vec<Waiter> = wishes.iter().zip(1..).map(|((wish, over), number)| Waiter {
            user: UserId::parse(&format!("u{number}")).expect("a user"),
            number,
            wish: wish.clone(),
            is_over_limit: *over,
        }).collect();
        // Loaded entries of a wish have no gap, so a further one stands behind the last loaded one of its wish.
        let further: HashMap<Wish, u64> = unloaded.into_iter().map(|(wish, last)| {
            let loaded = waiters.iter().filter(|own| own.wish == wish).map(|own| own.number).max();
            let last = loaded.unwrap_or(0).max(last.min(loaded.unwrap_or(last)));
            (wish, last)
        }).collect();
        let front = Front { hall: &mut hall, layout: None, seating: &seating(), further: &further, at_most };
        let (offers, is_pending) = choose_offers(front, &waiters);

        let mut free: Vec<bool> = taken.iter().map(|taken| !taken).collect();
        let mut expected = offers.iter();
        let (mut made, mut is_cut) = (0, false);
        for (index, waiter) in waiters.iter().enumerate() {
            if waiter.is_over_limit || !fits(&free, &waiter.wish) {
                continue;
            }
            let is_behind = further.iter().any(|(wish, last)| *last < waiter.number && fits(&free, wish));
            if made == at_most || is_behind {
                is_cut = true;
                break;
            }
            let (of, seats) = expected.next().expect("an offer is missing");
            prop_assert_eq!(*of, index);
            prop_assert_eq!(seats.len(), waiter.wish.count as usize);
            prop_assert!(is_fitting(&free, &waiter.wish, seats[0]), "{:?} for {:?}", seats, waiter);
            prop_assert!(seats.windows(2).all(|two| two[0] + 1 == two[1]));
            seats.iter().for_each(|seat| free[*seat as usize] = false);
            made += 1;
        }
        prop_assert!(expected.next().is_none(), "more offers than wishes that fit");
        prop_assert_eq!(is_pending, is_cut || further.keys().any(|wish| fits(&free, wish)));
    }
}
