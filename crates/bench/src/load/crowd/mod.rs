//! The crowd: persons who arrive when they are due and act by themselves, on a few threads.

mod bearer;
mod journeys;
mod person;
mod pool;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use onsale_load_generator::{Outcome, Pacer, Performance, THREADS};
use tokio::task::{JoinSet, LocalSet};

use super::answers::Answers;
use super::scenario::{Journey, Party};
use person::Person;
use pool::Pool;

pub(super) use bearer::{SECRET, bearer};

/// Interval at which arrivals are released.
const TICK: Duration = Duration::from_micros(500);

/// Maximum time for one request. The server answers within 10 s, so a longer one hangs.
const PATIENCE: Duration = Duration::from_secs(15);

/// A concert with its performances.
#[derive(Clone, Debug)]
pub(super) struct Concert {
    pub(super) id: String,
    pub(super) performances: Vec<Performance>,
}

/// What persons need to know of the sale.
#[derive(Clone, Debug)]
pub(super) struct Venue {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) concerts: Vec<Concert>,
    pub(super) lecture: Option<String>,
    pub(super) has_bearers: bool,
    /// The average pause of a person between two calls of a turn.
    pub(super) think: Duration,
    /// Price of a seat, in points.
    pub(super) price: u32,
}

impl Venue {
    /// The concert that a person wants: each in turn.
    pub(super) fn concert_of(&self, number: u32) -> &Concert {
        &self.concerts[number as usize % self.concerts.len().max(1)]
    }
}

/// Persons who arrive in one run.
pub(super) struct Crowd {
    pub(super) venue: Venue,
    pub(super) parties: Vec<Party>,
    /// The number of the first person. The users of a run are those from it on.
    pub(super) first: u32,
    /// When the log of the auditor began.
    pub(super) log_began: Instant,
    /// How long persons may go on after the last arrival.
    pub(super) tail: Duration,
    /// Connections of all threads together.
    pub(super) connections: usize,
}

/// What a generator reports before its first person is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    /// The instant from which the arrivals count.
    pub(super) at: Instant,
    /// The id of the generator's process.
    pub(super) process: u32,
}

/// One thread of the crowd.
struct Thread {
    crowd: Arc<Crowd>,
    pool: Pool,
    began: Instant,
    /// Persons begin no request after this instant.
    ends: Instant,
    answers: RefCell<Answers>,
}

/// A person who has not arrived yet.
struct Arrival {
    due: Duration,
    number: u32,
    journey: Journey,
}

impl Crowd {
    /// Number of persons.
    pub(super) fn count(&self) -> u32 {
        self.parties.iter().map(|party| party.arrivals.count()).sum()
    }

    /// The time from the first to the last arrival.
    pub(super) fn arriving(&self) -> Duration {
        let seconds = self.parties.iter().map(|party| party.arrivals.seconds()).fold(0.0, f64::max);
        Duration::from_secs_f64(seconds)
    }

    /// Runs the crowd, whose begin it reports, and returns when all persons have ended.
    ///
    /// # Errors
    /// If a thread cannot be started, or has no timer.
    pub(super) fn run(self: &Arc<Self>, begins: &Sender<Begin>) -> Outcome<Answers> {
        let began = Instant::now();
        // The runner waits for it, unless it has failed.
        let _ = begins.send(Begin { at: began, process: std::process::id() });
        let threads: Vec<Outcome<Answers>> = std::thread::scope(|scope| {
            let running: Vec<_> =
                (0..THREADS).map(|number| scope.spawn(move || self.clone().on_thread(number, began))).collect();
            let ended = running.into_iter().map(|thread| thread.join());
            ended.map(|answers| answers.unwrap_or_else(|_| Err("a thread of the crowd panicked".into()))).collect()
        });
        let mut whole = Answers::default();
        for answers in threads {
            whole.merge(answers?);
        }
        whole.dropped = u64::from(self.count()).saturating_sub(whole.ends.values().sum());
        Ok(whole)
    }

    /// The arrivals of a thread, in order.
    fn arrivals(&self, thread: usize) -> Vec<Arrival> {
        let (mut first, mut arrivals) = (self.first, Vec::new());
        for Party { journey, arrivals: party } in &self.parties {
            let of_party = party.due().zip(first..).filter(|(_, number)| *number as usize % THREADS == thread);
            arrivals.extend(of_party.map(|(due, number)| Arrival {
                due: Duration::from_secs_f64(due),
                number,
                journey: *journey,
            }));
            first += party.count();
        }
        arrivals.sort_by_key(|arrival| arrival.due);
        arrivals
    }

    fn on_thread(self: Arc<Self>, number: usize, began: Instant) -> Outcome<Answers> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let arrivals = self.arrivals(number);
        let thread = Rc::new(Thread {
            pool: Pool::new(self.venue.addresses.clone(), self.connections.div_ceil(THREADS)),
            began,
            ends: began + self.arriving() + self.tail,
            answers: RefCell::default(),
            crowd: self,
        });
        LocalSet::new().block_on(&runtime, async {
            let (mut persons, pacer) = (JoinSet::new(), Pacer::every(TICK)?);
            for Arrival { due, number, journey } in arrivals {
                let due = began + due;
                while Instant::now() < due {
                    pacer.tick().await?;
                    while persons.try_join_next().is_some() {}
                }
                let mut person = Person::new(thread.clone(), number, due);
                persons.spawn_local(async move {
                    let end = journeys::travel(&mut person, journey).await;
                    person.ends(end);
                });
            }
            while persons.join_next().await.is_some() {}
            Ok::<_, std::io::Error>(())
        })?;
        let answers = thread.answers.take();
        Ok(answers)
    }
}
