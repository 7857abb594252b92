//! A mixed load of callers who record what was acknowledged to them, and check later that it holds.

mod books;
mod check;
mod deed;
mod dice;
mod person;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::caller::Caller;
use crate::patience::PATIENCE;
use crate::sale::Sale;
use deed::Outcome;
use person::Person;

pub use dice::Dice;

/// The wallet that all persons use.
const HOT: &str = "shared-wallet";

/// Seats of each performance.
const SEATS: u32 = 60;

/// The sale that the workload runs against.
pub(super) struct Stage {
    /// A lecture with fewer places than persons.
    lectures: Vec<String>,
    /// A concert whose room admits no user, and that no user leaves: each keeps exactly the same position.
    line: String,
    /// A concert whose room admits no user, and that some users leave: the other users keep their order.
    exits: String,
    /// A concert whose room admits each user at once.
    concert: String,
    performances: Vec<String>,
    clock: AtomicU64,
}

impl Stage {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// The callers and their records.
pub struct Workload {
    stage: Arc<Stage>,
    people: Vec<Person>,
}

/// A workload that runs, with a task for each person.
pub struct Running {
    stage: Arc<Stage>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Person>,
}

impl Workload {
    /// Creates what the persons need. At most 64 persons.
    pub async fn prepare(sale: &Sale, people: i64, seed: u64) -> Self {
        let still = json!({"maxActive": 1, "claimSeconds": 3_600, "activeSeconds": 86_400});
        let open = json!({"maxActive": 10_000, "admitPerSecond": 1_000_000, "claimSeconds": 3_600});
        let (line, exits) = (sale.concert(&still).await, sale.concert(&still).await);
        for concert in [&line, &exits] {
            let pause = sale.caller.patch(&format!("/admin/concerts/{concert}/queue")).json(&json!({"paused": true}));
            sale.admin(pause).expect(200).await;
        }
        let concert = sale.concert(&open).await;
        let mut performances = Vec::new();
        for day in 1..=6 {
            let seats = json!([{"from": 1, "to": SEATS, "price": 1_500}]);
            performances.push(sale.performance_at(&concert, &seats, day * 86_400).await);
        }
        let capacity = u32::try_from(people / 2).unwrap_or(1).max(1);
        let lectures = vec![sale.lecture(capacity).await, sale.lecture(capacity).await];
        let clock = AtomicU64::new(0);
        let stage = Arc::new(Stage { lectures, line, exits, concert, performances, clock });
        let mut dice = Dice::new(seed);
        let people = (0..people.min(64)).map(|number| Person::new(number, dice.below(u64::MAX))).collect();
        Self { stage, people }
    }

    /// Starts a task for each person.
    pub fn start(self, caller: &Caller) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for person in self.people {
            tasks.spawn(person.run(self.stage.clone(), caller.clone(), stop.clone()));
        }
        Running { stage: self.stage, stop, tasks }
    }

    /// Repeats, under its key, every request that got no answer, and reads the state of each person again.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn settle(&mut self, sale: &Sale) {
        for person in &mut self.people {
            // A request without a key may have taken effect after the person last read the state.
            person.stale = true;
            let settling = async {
                while !person.settle(&self.stage, &sale.caller).await {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(PATIENCE, settling).await.expect("each request is answered in time");
        }
    }

    /// Number of acknowledged requests.
    pub fn acknowledged(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Done(_)))
    }

    /// Number of requests whose outcome is not known yet, or never will be.
    pub fn unanswered(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Unknown))
    }

    /// The longest wait for an answer, a 503 included.
    pub fn slowest(&self) -> Duration {
        self.people.iter().map(|person| person.slowest).max().unwrap_or_default()
    }

    fn count(&self, wanted: impl Fn(&Outcome) -> bool) -> usize {
        self.people.iter().flat_map(|person| &person.deeds).filter(|deed| wanted(&deed.outcome)).count()
    }
}

impl Running {
    /// Lets all persons finish their current request.
    ///
    /// # Panics
    /// If one of them has seen an impossible answer.
    pub async fn stop(mut self) -> Workload {
        self.stop.store(true, Ordering::Relaxed);
        let mut people = Vec::new();
        while let Some(person) = self.tasks.join_next().await {
            people.push(person.expect("a caller saw nothing but sound answers"));
        }
        people.sort_by_key(|person| person.name.clone());
        Workload { stage: self.stage, people }
    }
}
