//! Runs the same random batches on both databases, with the same times and ids: the outcomes and the rows of every query are the
//! same.

use std::sync::Arc;

use onsale_app::store::{Page, Store};
use onsale_testing::{Dice, without};

use crate::bed::Bed;
use crate::follower::Follower;
use crate::kinds::Kinds;
use crate::lane::{Answer, Lane};
use crate::people::People;
use crate::picture::{Looked, Picture, events};

const BATCHES: usize = 1_000;

/// Maximum number of batches until each kind of outcome was met. The rarest kinds are met some ten times in the usual number.
const BATCHES_MAX: usize = 20 * BATCHES;

/// Number of batches between two comparisons.
const LOOK_EVERY: usize = 50;

/// Number of batches between two queries for changes: some turns begin and end in between, most do not.
const FOLLOW_EVERY: usize = 5;

/// Number of batches between two deletions of old answers.
const FORGET_EVERY: usize = 50;

/// Short, so that holds expire about as often as they are paid.
const HOLD_SECONDS: u32 = 6;

#[tokio::test]
async fn the_same_commands_leave_the_same_rows_on_both_databases() {
    if without("postgres") {
        return;
    }
    let seed = Dice::seed();
    let (file, server) = (Bed::sqlite(), Bed::postgres().await);
    let beside = server.store().await;
    let stores = [file.store().await, server.store().await];
    let mut lanes = [Lane::new(&*stores[0], seed).await, Lane::new(&*stores[1], seed).await];
    lanes.iter_mut().for_each(|lane| lane.hold_seconds = HOLD_SECONDS);
    let (mut people, mut kinds, mut follower) = (People::new(seed), Kinds::default(), Follower::default());
    let (mut replayed, mut changes) = (0, 0);

    for number in 0..BATCHES_MAX {
        if number >= BATCHES && kinds.missing().is_empty() && replayed > 0 {
            break;
        }
        let batch = if number == 0 { people.first() } else { people.next() };
        let mut answers = Vec::new();
        for lane in &mut lanes {
            lane.at = Some(people.now);
            let mut unit = lane.load(&batch).await.unwrap();
            // Only SQLite is sure that no other process extends a hold in this moment. Here it is so on both.
            unit.rows.is_alone = true;
            answers.push(lane.decide(&batch, &mut unit));
            unit.forget_answers_before = number.is_multiple_of(FORGET_EVERY).then(|| people.now.plus_millis(-60_000));
            lane.writer.save(&unit).await.unwrap_or_else(|error| panic!("batch {number}, {batch:?}: {error}"));
        }
        assert_eq!(answers[0], answers[1], "batch {number}: {batch:?}");
        people.learn(&batch, &answers[0]);
        for answer in answers.swap_remove(0) {
            match answer {
                Answer::Decided(outcome) => kinds.count(&outcome),
                Answer::Replayed(_) => replayed += 1,
            }
        }
        if number.is_multiple_of(FOLLOW_EVERY) {
            changes += follower.follow(&*beside).await;
        }
        if number % LOOK_EVERY == LOOK_EVERY - 1 {
            let looked = Looked::of(&people, 1 + number % 50);
            compare(&stores, &looked, &format!("after batch {number}")).await;
        }
    }
    println!("{replayed} answers replayed, {changes} changes of rooms, {}", kinds.counts());
    assert_eq!(kinds.missing(), [""; 0], "every kind of outcome was met");
    assert!(replayed > 0 && changes > 0);
}

/// The SQLite store shows its events at once. The other store must show the same ones, at other positions of the log.
async fn compare(stores: &[Arc<dyn Store>; 2], looked: &Looked, when: &str) {
    let readers = [stores[0].reader(), stores[1].reader()];
    let picture = Picture::of(&*readers[0], looked).await;
    picture.assert_same(&Picture::of(&*readers[1], looked).await, when);

    let everything = Page { after: None, limit: 1_000_000 };
    let many = readers[0].events(everything).await.expect("events").len();
    let logs = [events(&*readers[0], many, 200).await, events(&*readers[1], many, 200).await];
    for (one, other) in logs[0].iter().zip(&logs[1]) {
        let mut other = other.clone();
        other.position = one.position;
        assert_eq!(format!("{one:?}"), format!("{other:?}"), "{when}");
    }
}
