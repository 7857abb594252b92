//! Visitors whose every answer is recorded: each sends one request after another, each when it is due, over connections to
//! several instances. Latency counts from the instant at which the request was due.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use onsale_load_generator::{Connection, Histogram, Outcome, Pacer, Reply, Request, THREADS, Tally, run_threads_over};
use onsale_testing::auditor::{Answer, Asked, Record};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::users;

/// Interval at which due requests are released.
const TICK: Duration = Duration::from_micros(200);

/// A visitor and the next request.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// Number in the log and in the user's id.
    pub(super) number: u32,
    token: Box<str>,
    token_id: u128,
    /// What the next request asks for.
    pub(super) asks: Asked,
    /// When the next request is due, in microseconds since the log began.
    pub(super) due: u64,
    /// Seconds until the next poll, from the last answer.
    pub(super) poll_after_seconds: u64,
}

impl Visitor {
    /// A visitor who is going to enter.
    pub(super) fn new(number: u32, due: u64) -> Self {
        Self { number, token: "".into(), token_id: 0, asks: Asked::Enter, due, poll_after_seconds: 0 }
    }
}

/// Called with an answer. Sets the visitor's next request and when it is due. Returns `false` if there is none.
pub(super) type Next = Box<dyn Fn(&mut Visitor, &Record) -> bool + Send + Sync>;

/// The behaviour of visitors.
pub(super) struct Behaviour {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) connections: usize,
    pub(super) concert: String,
    /// When the log began.
    pub(super) began: Instant,
    /// Requests that are due later than this are not sent, in microseconds since the log began.
    pub(super) until: u64,
    /// Requests that are due later than this wait until it grows, in microseconds since the log began. Relaxed: it guards no
    /// other data.
    pub(super) horizon: AtomicU64,
    /// Maximum duration from now.
    pub(super) patience: Duration,
    pub(super) next: Next,
    /// Number of visitors who entered. Relaxed: another thread watches it grow, and reads no other data for it.
    pub(super) entered: AtomicUsize,
}

/// The answers to all visitors.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) records: Vec<Record>,
    pub(super) entries: Tally,
    pub(super) polls: Tally,
    pub(super) leaves: Tally,
    /// Delays between due time and sending.
    pub(super) late: Histogram,
    /// The visitors at the end, by number.
    pub(super) visitors: Vec<Visitor>,
}

/// The visitors of one thread.
struct OnThread {
    visitors: RefCell<Vec<Visitor>>,
    /// When each of them is due, the earliest first.
    due: RefCell<BinaryHeap<Reverse<(u64, usize)>>>,
    /// Those who are due and wait for a connection.
    ready: RefCell<VecDeque<usize>>,
    /// One permit for each ready visitor, and at the end one for each connection, so that its task ends.
    permits: Semaphore,
    /// Number of requests that are ready or sent, and not yet answered.
    under_way: Cell<usize>,
    answers: RefCell<Answers>,
}

impl Behaviour {
    /// Runs the visitors, who are divided among the threads.
    pub(super) fn run(self: &Arc<Self>, visitors: Vec<Visitor>) -> Outcome<Answers> {
        let mut shares: Vec<Vec<Visitor>> = (0..THREADS).map(|_| Vec::new()).collect();
        visitors.into_iter().enumerate().for_each(|(index, visitor)| shares[index % THREADS].push(visitor));
        // Each thread takes its share once. The mutex only lets a closure that several threads call move it out.
        let shares: Vec<_> = shares.into_iter().map(Mutex::new).collect();
        let runs = run_threads_over(&self.addresses, self.connections, self.patience, |thread| {
            let share = shares[thread.number].lock().map(|mut share| std::mem::take(&mut *share));
            self.clone().run_on_thread(thread.connections, share.unwrap_or_default())
        })?;
        let mut whole = Answers::default();
        for part in runs.results {
            whole.records.extend(part.records);
            whole.entries.merge(part.entries);
            whole.polls.merge(part.polls);
            whole.leaves.merge(part.leaves);
            whole.late.merge(&part.late);
            whole.visitors.extend(part.visitors);
        }
        whole.visitors.sort_unstable_by_key(|visitor| visitor.number);
        Ok(whole)
    }

    /// Microseconds since the log began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    async fn run_on_thread(self: Arc<Self>, connections: Vec<Connection>, visitors: Vec<Visitor>) -> Outcome<Answers> {
        let due = visitors.iter().enumerate().map(|(number, visitor)| Reverse((visitor.due, number))).collect();
        let thread = Rc::new(OnThread {
            visitors: RefCell::new(visitors),
            due: RefCell::new(due),
            ready: RefCell::default(),
            permits: Semaphore::new(0),
            under_way: Cell::new(0),
            answers: RefCell::default(),
        });
        let count = connections.len();
        let mut sending = JoinSet::new();
        for (number, connection) in connections.into_iter().enumerate() {
            let instance = u16::try_from(number % self.addresses.len())?;
            sending.spawn_local(self.clone().send(instance, connection, thread.clone()));
        }
        let pacer = Pacer::every(TICK)?;
        while thread.has_requests() {
            thread.release(self.now().min(self.horizon.load(Ordering::Relaxed)));
            if let Some(ended) = sending.try_join_next() {
                ended??;
            }
            pacer.tick().await?;
        }
        thread.permits.add_permits(count);
        while let Some(ended) = sending.join_next().await {
            ended??;
        }
        let mut answers = thread.answers.take();
        answers.visitors = thread.visitors.take();
        Ok(answers)
    }

    /// Sends requests over one connection until no visitor is left.
    async fn send(self: Arc<Self>, instance: u16, mut connection: Connection, thread: Rc<OnThread>) -> Outcome<()> {
        let mut request = Vec::new();
        loop {
            thread.permits.acquire().await?.forget();
            let Some(number) = thread.ready.borrow_mut().pop_front() else { return Ok(()) };
            let Visitor { number: user, token_id, asks, due, .. } = {
                let visitor = &thread.visitors.borrow()[number];
                request.clear();
                self.request(visitor).write(&mut request);
                visitor.clone()
            };
            let sent = self.now();
            let reply = connection.exchange(&request).await?;
            let answered = self.now();
            let record = answer_of(&reply).record((instance, asks), (user, token_id), (sent, answered));
            let mut answers = thread.answers.borrow_mut();
            answers.late.add(Duration::from_micros(sent - due));
            let tally = match asks {
                Asked::Enter => &mut answers.entries,
                Asked::Poll => &mut answers.polls,
                _ => &mut answers.leaves,
            };
            tally.add(reply, Duration::from_micros(answered - due));
            answers.records.push(record);
            let visitor = &mut thread.visitors.borrow_mut()[number];
            if asks == Asked::Enter && reply.status < 300 {
                self.entered.fetch_add(1, Ordering::Relaxed);
                visitor.token = reply.text("token").unwrap_or_default().into();
                visitor.token_id = record.token;
            }
            visitor.poll_after_seconds = reply.number("pollAfterSeconds").unwrap_or(1);
            // First the next request, then the end of this one: in the other order no request might seem to be left.
            if (self.next)(visitor, &record) && visitor.due <= self.until {
                thread.due.borrow_mut().push(Reverse((visitor.due, number)));
            }
            thread.under_way.set(thread.under_way.get() - 1);
        }
    }

    fn request(&self, visitor: &Visitor) -> Request {
        match visitor.asks {
            Asked::Enter => users::enter(&self.concert, &users::user(visitor.number as usize)),
            Asked::Leave => Request::new("DELETE", "/queue/token").token(&visitor.token),
            _ => users::poll(&visitor.token),
        }
    }
}

impl OnThread {
    /// Whether a request is due, ready or under way.
    fn has_requests(&self) -> bool {
        self.under_way.get() > 0 || !self.due.borrow().is_empty()
    }

    /// Releases the visitors who are due.
    fn release(&self, now: u64) {
        let mut due = self.due.borrow_mut();
        let mut released = 0;
        while let Some(Reverse((_, number))) = due.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            due.pop();
            self.ready.borrow_mut().push_back(number);
            released += 1;
        }
        self.under_way.set(self.under_way.get() + released);
        self.permits.add_permits(released);
    }
}

/// The parts of a reply about a place that the auditor checks.
pub(crate) fn answer_of<'a>(reply: &Reply<'a>) -> Answer<'a> {
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
