//! Wallets of new users: they are served like all others, however rare new users have become.

use crate::mixed::AnyCommand;

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::stage::{charge, user};

async fn a_new_user_among_many_known_ones_is_served(bed: Bed) {
    let (one, other) = (bed.store().await, bed.store().await);
    let (mut first, mut second) = (Lane::new(&*one, 1).await, Lane::new(&*other, 2).await);
    let named = |number: usize| user(&format!("user-{number}"));
    first.run((0..100).map(|number| charge(&named(number), 1))).await.expect("a unit of work");
    // The second lane knows none of them, and none is new to the database.
    for number in 0..100 {
        second.done(charge(&named(number), 2)).await;
    }
    for round in 0..3 {
        let newcomers = 1_000 + round * 10;
        let both: Vec<AnyCommand> = (0..5)
            .flat_map(|step| [charge(&named(newcomers + step), 4), charge(&named(round * 5 + step), 4)])
            .collect();
        let outcomes = second.run(both).await.expect("a unit of work");
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    let reader = one.reader();
    for (number, balance) in [(0, 7), (14, 7), (15, 3), (99, 3), (1_000, 4), (1_024, 4)] {
        assert_eq!(reader.account(&named(number)).await.expect("a wallet").balance, balance, "user-{number}");
    }
}

on_each_database!(a_new_user_among_many_known_ones_is_served);
