//! Four instances that change the same rows concurrently. Each has a store and a lane of its own. No deadlock happens.

mod concerts;
mod points;
mod random;
mod waiting;

use std::sync::Arc;

use crate::mixed::{AnyCommand, Done};
use onsale_adapters::postgres::PostgresStore;
use onsale_app::store::{Reader, Store, StoreError};
use onsale_domain::Refusal;
use onsale_testing::postgres::Database;
use onsale_testing::{Dice, PATIENCE};

use crate::bed::{Bed, instance};
use crate::lane::{Answer, Lane, Outcome, Request};

const INSTANCES: usize = 4;

/// The instances, and the random numbers that choose their commands.
struct Crowd {
    database: Database,
    stores: Vec<PostgresStore>,
    lanes: Vec<Lane>,
    dice: Dice,
}

/// Answers a batch. On a busy machine another instance may hold a lock for longer than a lane waits, and one may use a key or a
/// place at the same time and commit first: the desk runs the batch again then, and so does this.
async fn answer_at_last(lane: &mut Lane, batch: &[Request]) -> Vec<Answer> {
    let answering = async {
        loop {
            match lane.answer(batch).await {
                Err(StoreError::Locked(_) | StoreError::Conflict(_)) => {}
                answers => return answers.expect("a unit of work"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, answering).await.expect("no lock and no conflict lasts")
}

impl Crowd {
    async fn new() -> Self {
        let seed = Dice::seed();
        let Bed::Postgres(database) = Bed::postgres().await else { unreachable!("a database of the server") };
        let (mut stores, mut lanes) = (Vec::new(), Vec::new());
        for number in 0..INSTANCES {
            let store = instance(&database).await;
            // Each lane has a random source of its own, because ids of different lanes must differ.
            let mut lane = Lane::new(&store, seed.wrapping_add(number as u64)).await;
            // Connected in advance, so that no instance finishes while another still connects.
            lane.run([]).await.expect("a unit of work");
            lanes.push(lane);
            stores.push(store);
        }
        Self { database, stores, lanes, dice: Dice::new(seed) }
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.stores[0].reader()
    }

    /// The lane that prepares a test's data.
    fn lane(&mut self) -> &mut Lane {
        &mut self.lanes[0]
    }

    /// Runs the batches of all instances at the same time. Returns the answers by instance.
    async fn answer(&mut self, batches: Vec<Vec<Vec<Request>>>) -> Vec<Vec<Answer>> {
        assert_eq!(batches.len(), INSTANCES);
        let works = self.lanes.drain(..).zip(batches).map(|(mut lane, batches)| {
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for batch in batches {
                    answers.extend(answer_at_last(&mut lane, &batch).await);
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

    /// All of these for each instance, shuffled, in batches.
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

    /// No deadlock happened: neither by the server's count nor by the errors of the instances.
    fn assert_no_deadlock(&self) {
        let heard: Vec<u64> = self.stores.iter().map(PostgresStore::deadlocks).collect();
        assert_eq!((self.database.deadlocks(), heard), (0, vec![0; INSTANCES]));
    }
}

/// The results of all instances.
fn dones(outcomes: &[Vec<Outcome>]) -> impl Iterator<Item = &Done> {
    outcomes.iter().flatten().filter_map(|outcome| outcome.as_ref().ok())
}

/// Number of refusals for this reason.
fn refused(outcomes: &[Vec<Outcome>], reason: &Refusal) -> usize {
    outcomes.iter().flatten().filter(|outcome| outcome.as_ref().err() == Some(reason)).count()
}
