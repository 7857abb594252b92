//! A crowd whose every answer is recorded: each person sends one request after another, each when it is due, over
//! connections to several instances. Latency counts from the instant at which the request was due.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use onsale_load_generator::{Connection, Histogram, Outcome, Pacer, Reply, Request, THREADS, Tally, crew_over};
use onsale_testing::auditor::{Answer, Asked, Record};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::rows::crowd::{enter, user};

/// Interval at which due requests are released.
const TICK: Duration = Duration::from_micros(200);

/// A person and the next request.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// Number in the log and in the name.
    pub(super) number: u32,
    pub(super) token: Box<str>,
    token_id: u128,
    pub(super) asked: Asked,
    /// Microseconds since the log began.
    pub(super) due: u64,
    /// Seconds until the next poll, from the last answer.
    pub(super) told_seconds: u64,
}

impl Person {
    /// A person who is going to enter.
    pub(super) fn new(number: u32, due: u64) -> Self {
        Self { number, token: "".into(), token_id: 0, asked: Asked::Enter, due, told_seconds: 0 }
    }
}

/// Called with an answer: sets the person's next request and when it is due. Returns `false`
/// if there is none.
pub(super) type Next = Box<dyn Fn(&mut Person, &Record) -> bool + Send + Sync>;

/// The behaviour of a crowd.
pub(super) struct Play {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) connections: usize,
    pub(super) concert: String,
    /// When the log began.
    pub(super) began: Instant,
    /// Requests that are due later than this are not sent, in microseconds since the log began.
    pub(super) until: u64,
    /// Maximum duration from now.
    pub(super) patience: Duration,
    pub(super) next: Next,
    /// Number of persons who entered, for observers.
    pub(super) entered: AtomicUsize,
}

/// The result.
#[derive(Default)]
pub(super) struct Played {
    pub(super) records: Vec<Record>,
    pub(super) entries: Tally,
    pub(super) polls: Tally,
    pub(super) rest: Tally,
    /// Delays between due time and sending.
    pub(super) late: Histogram,
    /// The persons at the end, by number.
    pub(super) people: Vec<Person>,
}

/// The part of one thread.
struct Stage {
    people: RefCell<Vec<Person>>,
    due: RefCell<BinaryHeap<Reverse<(u64, usize)>>>,
    ready: RefCell<VecDeque<usize>>,
    /// One permit for each ready person, and at the end one for each connection.
    waiting: Semaphore,
    /// Number of requests under way.
    under_way: Cell<usize>,
    played: RefCell<Played>,
}

impl Play {
    /// Runs the crowd. The persons are divided among the threads.
    pub(super) fn run(self: &Arc<Self>, people: Vec<Person>) -> Outcome<Played> {
        let mut hands: Vec<Vec<Person>> = (0..THREADS).map(|_| Vec::new()).collect();
        people.into_iter().enumerate().for_each(|(number, person)| hands[number % THREADS].push(person));
        let hands: Vec<_> = hands.into_iter().map(Mutex::new).collect();
        let shift = crew_over(&self.addresses, self.connections, self.patience, |member| {
            let hand = hands[member.number].lock().map(|mut hand| std::mem::take(&mut *hand));
            self.clone().act(member.connections, hand.unwrap_or_default())
        })?;
        let mut whole = Played::default();
        for part in shift.results {
            whole.records.extend(part.records);
            whole.entries.merge(part.entries);
            whole.polls.merge(part.polls);
            whole.rest.merge(part.rest);
            whole.late.merge(&part.late);
            whole.people.extend(part.people);
        }
        whole.people.sort_unstable_by_key(|person| person.number);
        Ok(whole)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    async fn act(self: Arc<Self>, connections: Vec<Connection>, people: Vec<Person>) -> Outcome<Played> {
        let due = people.iter().enumerate().map(|(number, person)| Reverse((person.due, number))).collect();
        let stage = Rc::new(Stage {
            people: RefCell::new(people),
            due: RefCell::new(due),
            ready: RefCell::default(),
            waiting: Semaphore::new(0),
            under_way: Cell::new(0),
            played: RefCell::default(),
        });
        let many = connections.len();
        let mut working = JoinSet::new();
        for (number, connection) in connections.into_iter().enumerate() {
            let instance = u16::try_from(number % self.addresses.len())?;
            working.spawn_local(self.clone().work(instance, connection, stage.clone()));
        }
        let pacer = Pacer::every(TICK)?;
        while stage.is_open() {
            stage.call(self.now());
            if let Some(ended) = working.try_join_next() {
                ended??;
            }
            pacer.tick().await?;
        }
        stage.waiting.add_permits(many);
        while let Some(ended) = working.join_next().await {
            ended??;
        }
        let mut played = stage.played.take();
        played.people = stage.people.take();
        Ok(played)
    }

    /// Runs one connection until no person is left.
    async fn work(self: Arc<Self>, instance: u16, mut connection: Connection, stage: Rc<Stage>) -> Outcome<()> {
        let mut request = Vec::new();
        loop {
            stage.waiting.acquire().await?.forget();
            let Some(number) = stage.ready.borrow_mut().pop_front() else { return Ok(()) };
            let (user_number, shown, asked, due) = {
                let person = &stage.people.borrow()[number];
                request.clear();
                self.request(person).write(&mut request);
                (person.number, person.token_id, person.asked, person.due)
            };
            let sent = self.now();
            let reply = connection.exchange(&request).await?;
            let answered = self.now();
            let record = answer_of(&reply).record((instance, asked), (user_number, shown), (sent, answered));
            let took = Duration::from_micros(answered - due);
            let mut played = stage.played.borrow_mut();
            played.late.add(Duration::from_micros(sent - due));
            match asked {
                Asked::Enter => &mut played.entries,
                Asked::Poll => &mut played.polls,
                _ => &mut played.rest,
            }
            .add(reply, took);
            played.records.push(record);
            let person = &mut stage.people.borrow_mut()[number];
            if asked == Asked::Enter && reply.status < 300 {
                self.entered.fetch_add(1, Ordering::Relaxed);
                person.token = reply.text("token").unwrap_or_default().into();
                person.token_id = record.token;
            }
            person.told_seconds = reply.number("pollAfterSeconds").unwrap_or(1);
            if (self.next)(person, &record) && person.due <= self.until {
                stage.due.borrow_mut().push(Reverse((person.due, number)));
            }
            stage.under_way.set(stage.under_way.get() - 1);
        }
    }

    fn request(&self, person: &Person) -> Request {
        match person.asked {
            Asked::Enter => enter(&self.concert, &user(person.number as usize)),
            Asked::Leave => Request::new("DELETE", "/queue/token").token(&person.token),
            _ => Request::get("/queue/token").token(&person.token),
        }
    }
}

impl Stage {
    /// Whether any request is left.
    fn is_open(&self) -> bool {
        self.under_way.get() > 0 || !self.due.borrow().is_empty()
    }

    /// Releases the persons who are due.
    fn call(&self, now: u64) {
        let mut due = self.due.borrow_mut();
        let mut called = 0;
        while let Some(Reverse((_, number))) = due.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            due.pop();
            self.ready.borrow_mut().push_back(number);
            called += 1;
        }
        self.under_way.set(self.under_way.get() + called);
        self.waiting.add_permits(called);
    }
}

/// The parts of a reply that the auditor checks.
fn answer_of<'a>(reply: &Reply<'a>) -> Answer<'a> {
    if reply.status >= 300 {
        return Answer { code: reply.status, ..Answer::default() };
    }
    Answer {
        code: reply.status,
        token_id: reply.text("tokenId"),
        status: reply.text("status"),
        position: reply.number("position"),
        as_of: reply.text("asOf"),
        issued_at: reply.text("issuedAt"),
        active_until: reply.text("activeUntil"),
    }
}
