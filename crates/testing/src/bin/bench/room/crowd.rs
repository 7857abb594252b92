//! A crowd whose every answer is written down: each person does one thing after another, each when it is due, over
//! connections to several instances. A reply's time counts from the instant at which its request was due.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use onsale_testing::auditor::{Answer, Asked, Record};
use onsale_testing::traffic::{Connection, Histogram, Outcome, Pacer, Request, THREADS, Tally, crew_over};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::rows::crowd::{enter, user};

/// How often those who are due are let in.
const TICK: Duration = Duration::from_micros(200);

/// Who somebody is, and what they are about to do.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// The number in the log, and in the name.
    pub(super) number: u32,
    pub(super) token: Box<str>,
    token_id: u128,
    pub(super) asked: Asked,
    /// In microseconds since the log began.
    pub(super) due: u64,
    /// What the last answer told: after how many seconds to ask again.
    pub(super) told_seconds: u64,
}

impl Person {
    /// Somebody who is going to enter.
    pub(super) fn new(number: u32, due: u64) -> Self {
        Self { number, token: "".into(), token_id: 0, asked: Asked::Enter, due, told_seconds: 0 }
    }
}

/// Given an answer: what is done next and when it is due, set in the person, who has what was due until now. `false`
/// for nothing.
pub(super) type Next = Box<dyn Fn(&mut Person, &Record) -> bool + Send + Sync>;

/// What the crowd does.
pub(super) struct Play {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) connections: usize,
    pub(super) concert: String,
    /// When the log began.
    pub(super) began: Instant,
    /// Nothing is done that is due later, in microseconds since then.
    pub(super) until: u64,
    /// How long it may take from now.
    pub(super) patience: Duration,
    pub(super) next: Next,
    /// How many entered, for whoever watches.
    pub(super) entered: AtomicUsize,
}

/// What came back.
#[derive(Default)]
pub(super) struct Played {
    pub(super) records: Vec<Record>,
    pub(super) entries: Tally,
    pub(super) polls: Tally,
    pub(super) rest: Tally,
    /// How long after they were due requests were sent.
    pub(super) late: Histogram,
    /// The people as they are at the end, by number.
    pub(super) people: Vec<Person>,
}

/// One thread's part.
struct Stage {
    people: RefCell<Vec<Person>>,
    due: RefCell<BinaryHeap<Reverse<(u64, usize)>>>,
    ready: RefCell<VecDeque<usize>>,
    /// One permit for each who is ready, and at the end one for each connection.
    waiting: Semaphore,
    /// How many were called and are not answered.
    under_way: Cell<usize>,
    played: RefCell<Played>,
}

impl Play {
    /// Plays it; the people are dealt out to the threads.
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

    /// One connection, until nobody is left.
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
            let record = Answer::of(&reply).record((instance, asked), (user_number, shown), (sent, answered));
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
    /// Whether anything is left to do.
    fn is_open(&self) -> bool {
        self.under_way.get() > 0 || !self.due.borrow().is_empty()
    }

    /// Calls whoever is due.
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
