//! Runs a way under a load of payments and measures it. All ways run through this one function.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::{Histogram, Outcome};
use tokio::task::JoinHandle;

use super::audit::{self, Verdict};
use super::bed::{Bed, Books};
use super::session::Failure;
use super::teller::{Order, Teller, Way};

/// Wallets of the load. Each has enough points for all of it.
const BUYERS: i64 = 1_024;

/// The price of each seat, in points.
const PRICE: i64 = 100;

/// How many clients pay for what, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) way: Way,
    /// Clients at a time. Each has a connection to each database.
    pub(crate) clients: u16,
    /// Orders that a client pays in one transaction at most.
    pub(crate) batch: u16,
    /// Whether each client has its own performances, as the lanes of the program do. Otherwise all clients pay for all
    /// performances.
    pub(crate) has_lanes: bool,
    /// Performances with seats. One: a hot row.
    pub(crate) performances: u16,
    pub(crate) seconds: f64,
    /// Orders per second at a constant rate, or `None` for a closed loop: each client sends its next order when the one
    /// before is done.
    pub(crate) rate: Option<f64>,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) seconds: f64,
    pub(crate) paid: u64,
    /// From when an order was due until its buyer could be answered.
    pub(crate) times: Histogram,
    pub(crate) wal_bytes: f64,
    pub(crate) syncs: f64,
    /// Processor time of all database servers per payment, in microseconds.
    pub(crate) processor_micros: f64,
    pub(crate) verdict: Verdict,
}

impl Figures {
    /// Payments per second. Each counts only if both databases are done with it.
    pub(crate) fn rate(&self) -> f64 {
        self.paid as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// Orders that wait, by number. Clients with lanes have a queue each; otherwise all share one.
struct Queue {
    next: AtomicI64,
    began: Instant,
    until: Instant,
    every: Option<Duration>,
    /// The first order, and the distance to the next.
    first: i64,
    step: i64,
    /// Number of orders.
    count: i64,
}

impl Queue {
    /// Takes up to this many orders that are due, and waits for the first. Returns the ids, and when each was due; none at the
    /// end of the run.
    async fn take(&self, most: i64) -> Vec<(i64, Instant)> {
        // Relaxed: only the number matters, no other memory depends on it.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.due(number);
        // The first order is always taken, so that a run has one however busy the machine is.
        if due >= self.until && number > 0 || number >= self.count {
            return Vec::new();
        }
        tokio::time::sleep_until(due.into()).await;
        let mut taken = vec![(self.first + number * self.step, due)];
        let now = Instant::now();
        while i64::try_from(taken.len()).unwrap_or(i64::MAX) < most {
            let waiting = |next: i64| (next < self.count && self.due(next) <= now).then_some(next + 1);
            let Ok(next) = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, waiting) else { break };
            taken.push((self.first + next * self.step, self.due(next)));
        }
        taken
    }

    fn due(&self, number: i64) -> Instant {
        match self.every {
            Some(every) => self.began + every * u32::try_from(number).unwrap_or(u32::MAX),
            None => Instant::now(),
        }
    }
}

/// Runs a load on fresh tables, then audits.
pub(crate) async fn run(bed: &Bed, load: Load) -> Outcome<Figures> {
    let (figures, _) = run_beside(bed, load, |_| None::<JoinHandle<Outcome<()>>>).await?;
    Ok(figures)
}

/// The same, with another task that is started with the load. It must end by itself. Returns its result too.
pub(crate) async fn run_beside<T: Send + 'static>(
    bed: &Bed,
    load: Load,
    start: impl FnOnce(Books) -> Option<JoinHandle<Outcome<T>>>,
) -> Outcome<(Figures, Option<T>)> {
    let books = bed.reset(load.way).await?;
    let count = fill(&books, load).await?;
    let mut tellers = Vec::new();
    for number in 0..load.clients {
        tellers.push(Teller::open(load.way, &bed.places(load.way), &format!("split-load-{number}")).await);
    }
    let (observing, before) = (bed.books(load.way).await, bed.spent(load.way).await?);
    let (observer, began) = (start(observing), Instant::now());
    let queues = queues(load, count, began);
    let clients = tellers.into_iter().enumerate();
    let clients: Vec<_> = clients
        .map(|(number, teller)| {
            let queue = queues[number % queues.len()].clone();
            tokio::spawn(client(teller, load, queue))
        })
        .collect();
    let (mut times, mut acknowledged) = (Histogram::default(), Vec::new());
    for client in clients {
        let (own_times, own_paid) = client.await??;
        times.merge(&own_times);
        acknowledged.extend(own_paid);
    }
    let seconds = began.elapsed().as_secs_f64();
    let observed = match observer {
        Some(observer) => Some(observer.await??),
        None => None,
    };
    bed.until_quiet(load.way).await?;
    let spent = bed.spent(load.way).await?.since(before);
    let verdict = audit::audit(&books, &acknowledged).await?;
    let paid = acknowledged.len().max(1) as f64;
    let figures = Figures {
        seconds,
        paid: acknowledged.len() as u64,
        times,
        wal_bytes: spent.wal_bytes as f64 / paid,
        syncs: spent.syncs as f64 / paid,
        processor_micros: spent.processor.as_micros() as f64 / paid,
        verdict,
    };
    Ok((figures, observed))
}

/// Wallets with points, and reservations with a seat each. Returns how many.
async fn fill(books: &Books, load: Load) -> Outcome<i64> {
    // More than any way pays in that time; the run ends early if it does.
    #[expect(clippy::cast_possible_truncation, reason = "a number of orders, far below 2^52")]
    let count = (load.seconds * load.rate.map_or(15_000.0, |rate| rate * 1.1 + 100.0)).ceil() as i64;
    let performances = i64::from(load.performances);
    books
        .wallet
        .batch_execute(&format!(
            "SELECT count(charge(buyer, 1000000000)) FROM generate_series(0, {BUYERS} - 1) AS buyer"
        ))
        .await?;
    books
        .sale
        .batch_execute(&format!(
            "INSERT INTO performances SELECT generate_series(0, {performances} - 1);
             INSERT INTO reservations SELECT n, n * 7919 % {BUYERS}, n % {performances},
                 ARRAY[(n / {performances})::integer], {PRICE}, now() + interval '1 day', 'HELD', NULL
                 FROM generate_series(0::bigint, {count} - 1) AS n;
             INSERT INTO seats SELECT performance, seats[1], reservation, false FROM reservations"
        ))
        .await?;
    books.each("VACUUM ANALYZE").await?;
    books.each("CHECKPOINT").await?;
    Ok(count)
}

fn queues(load: Load, count: i64, began: Instant) -> Vec<Arc<Queue>> {
    let lanes = if load.has_lanes { i64::from(load.clients) } else { 1 };
    let every = load.rate.map(|rate| Duration::from_secs_f64(lanes as f64 / rate.max(1.0)));
    let queue = |first| {
        let until = began + Duration::from_secs_f64(load.seconds);
        Queue { next: AtomicI64::new(0), began, until, every, first, step: lanes, count: (count - first) / lanes }
    };
    (0..lanes).map(|first| Arc::new(queue(first))).collect()
}

type Seen = (Histogram, Vec<i64>);

async fn client(mut teller: Teller, load: Load, queue: Arc<Queue>) -> Result<Seen, Failure> {
    let (mut times, mut paid) = (Histogram::default(), Vec::new());
    loop {
        let taken = queue.take(i64::from(load.batch)).await;
        if taken.is_empty() {
            return Ok((times, paid));
        }
        let order = |id: i64| Order {
            payment: id,
            reservation: id,
            buyer: i32::try_from(id * 7_919 % BUYERS).unwrap_or_default(),
            amount: PRICE,
        };
        let orders: Vec<Order> = taken.iter().map(|(id, _)| order(*id)).collect();
        let decided = teller.pay(&orders).await?;
        for (_, due) in taken {
            times.add(decided.at.saturating_duration_since(due));
        }
        paid.extend(decided.paid);
    }
}
