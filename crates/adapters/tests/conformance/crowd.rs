//! Four instances that want the same rows at once. Each has a store and a lane of its own; nobody waits for a deadlock.

mod concerts;
mod points;
mod random;
mod waiting;

use std::sync::Arc;

use crate::mixed::{AnyCommand, Done};
use onsale_adapters::postgres::PostgresStore;
use onsale_app::store::{Reader, Store};
use onsale_domain::Refusal;
use onsale_testing::Dice;
use onsale_testing::postgres::Database;

use crate::bed::{Bed, instance};
use crate::lane::{Answer, Lane, Outcome, Request};

const INSTANCES: usize = 4;

/// The instances, and the dice that say what they do.
struct Crowd {
    database: Database,
    stores: Vec<PostgresStore>,
    lanes: Vec<Lane>,
    dice: Dice,
}

impl Crowd {
    async fn new() -> Self {
        let seed = Dice::seed();
        let Bed::Postgres(database) = Bed::postgres().await else { unreachable!("a database of the server") };
        let (mut stores, mut lanes) = (Vec::new(), Vec::new());
        for number in 0..INSTANCES {
            let store = instance(&database).await;
            // Ids of different lanes must differ: each has dice of its own.
            let mut lane = Lane::new(&store, seed.wrapping_add(number as u64)).await;
            // Connected before it begins, so that none is done while the others still connect.
            lane.run([]).await.expect("a unit of work");
            lanes.push(lane);
            stores.push(store);
        }
        Self { database, stores, lanes, dice: Dice::new(seed) }
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.stores[0].reader()
    }

    /// The lane by which a test sets its stage.
    fn lane(&mut self) -> &mut Lane {
        &mut self.lanes[0]
    }

    /// Every instance works through batches of its own, all of them at the same time. Answers come by instance.
    async fn answer(&mut self, batches: Vec<Vec<Vec<Request>>>) -> Vec<Vec<Answer>> {
        assert_eq!(batches.len(), INSTANCES);
        let works = self.lanes.drain(..).zip(batches).map(|(mut lane, batches)| {
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for batch in batches {
                    answers.extend(lane.answer(&batch).await.expect("a unit of work"));
                }
                (lane, answers)
            })
        });
        let mut all = Vec::new();
        for work in works.collect::<Vec<_>>() {
            let (lane, answers) = work.await.expect("a lane that goes on");
            self.lanes.push(lane);
            all.push(answers);
        }
        all
    }

    /// The same without idempotency keys.
    async fn run(&mut self, batches: Vec<Vec<Vec<AnyCommand>>>) -> Vec<Vec<Outcome>> {
        let requests = batches
            .into_iter()
            .map(|batches| batches.into_iter().map(|batch| batch.into_iter().map(Request::from).collect()).collect());
        let answers = self.answer(requests.collect()).await;
        answers.into_iter().map(|answers| answers.into_iter().filter_map(Answer::decided).collect()).collect()
    }

    /// All of these for each instance, in batches, in an order of its own.
    fn shuffled<T: Clone>(&mut self, all: &[T], batch: usize) -> Vec<Vec<Vec<T>>> {
        let mut shuffled = Vec::new();
        for _ in 0..INSTANCES {
            let mut all = all.to_vec();
            for last in (1..all.len()).rev() {
                let other = usize::try_from(self.dice.below(last as u64 + 1)).unwrap_or(0);
                all.swap(last, other);
            }
            shuffled.push(all.chunks(batch).map(<[T]>::to_vec).collect());
        }
        shuffled
    }

    /// Nobody had to give way to end a deadlock: neither by the server's log nor by what the instances heard.
    fn assert_no_deadlock(&self) {
        let heard: Vec<u64> = self.stores.iter().map(PostgresStore::deadlocks).collect();
        assert_eq!((self.database.deadlocks(), heard), (0, vec![0; INSTANCES]));
    }
}

/// What was done, of all instances.
fn dones(outcomes: &[Vec<Outcome>]) -> impl Iterator<Item = &Done> {
    outcomes.iter().flatten().filter_map(|outcome| outcome.as_ref().ok())
}

/// How often something was refused for this reason.
fn refused(outcomes: &[Vec<Outcome>], reason: &Refusal) -> usize {
    outcomes.iter().flatten().filter(|outcome| outcome.as_ref().err() == Some(reason)).count()
}
