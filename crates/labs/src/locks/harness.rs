//! Runs a control under load and measures it. All controls run through this one function, over the same connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::{Histogram, Outcome};
use onsale_testing::Dice;

use super::bed::Bed;
use super::controls::Control;
use super::scene::{Constraints, Op};
use super::session::{Session, Shared};
use super::verdict::{Answers, Verdict};

/// Which wallets are changed how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spread {
    /// All alike, at random.
    Even,
    /// The n-th in proportion to n^-1.1, as crowds choose.
    Zipf,
}

/// How many clients change which wallets, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) wallets: u32,
    pub(crate) spread: Spread,
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
    /// The balance of each wallet at the beginning.
    pub(crate) initial: i64,
    /// The amount of every change.
    pub(crate) amount: i64,
    pub(crate) constraints: Constraints,
    /// With this many requests per second at a constant rate, or `None` for a closed loop: each connection sends its next
    /// request when it has its answer.
    pub(crate) rate: Option<f64>,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) seconds: f64,
    pub(crate) won: u64,
    pub(crate) refused: u64,
    pub(crate) retries: u64,
    /// Failures by class: an SQLSTATE, or a word.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) times: Histogram,
    /// Processor time of the database per decision, in microseconds.
    pub(crate) database_micros: f64,
    /// WAL bytes per decision.
    pub(crate) wal_bytes: f64,
    pub(crate) verdict: Verdict,
}

impl Figures {
    /// Decisions per second, refusals included.
    pub(crate) fn rate(&self) -> f64 {
        per(self.won + self.refused, self.seconds)
    }

    /// Changes made per second, without refusals.
    pub(crate) fn won_rate(&self) -> f64 {
        per(self.won, self.seconds)
    }
}

/// A count per unit, such as per second; 0 if the unit is 0.
#[expect(clippy::cast_precision_loss, reason = "counts of a short run are exact in a float")]
pub(crate) fn per(count: u64, unit: f64) -> f64 {
    if unit > 0.0 { count as f64 / unit } else { 0.0 }
}

/// The order in which clients send, and when.
struct Pace {
    next: AtomicI64,
    first_id: i64,
    began: Instant,
    until: Instant,
    every: Option<Duration>,
}

/// What all clients of a process saw.
#[derive(Default)]
pub(crate) struct Driven {
    pub(crate) answers: Answers,
    pub(crate) refused: u64,
    pub(crate) times: Histogram,
    retries: u64,
    failures: BTreeMap<String, u64>,
}

impl Driven {
    fn add(&mut self, other: Self) {
        self.answers.won.extend(other.answers.won);
        self.answers.unknown.extend(other.answers.unknown);
        self.refused += other.refused;
        self.times.merge(&other.times);
        self.retries += other.retries;
        for (class, count) in other.failures {
            *self.failures.entry(class).or_default() += count;
        }
    }
}

/// Runs a control under a load on fresh tables, then audits.
pub(crate) async fn run(bed: &Bed, control: &'static Control, load: Load) -> Outcome<Figures> {
    bed.prepare(control, load.wallets, load.initial, load.constraints).await?;
    let shared = bed.shared(control, load.wallets, load.initial).await?;
    let sessions = sessions(bed, control, &shared, load.connections).await?;
    let (cpu, wal) = (bed.database_time(), bed.wal().await?);
    let began = Instant::now();
    let all = drive(control, sessions, load, 1).await?;
    let seconds = began.elapsed().as_secs_f64();
    let (cpu, wal) = (bed.database_time().saturating_sub(cpu), bed.wal().await?.saturating_sub(wal));
    bed.settle(control, &shared).await?;
    let won = all.answers.won.len() as u64;
    #[expect(clippy::cast_precision_loss, reason = "counts of a short run are exact in a float")]
    let decisions = (won + all.refused).max(1) as f64;
    Ok(Figures {
        seconds,
        won,
        refused: all.refused,
        retries: all.retries,
        failures: all.failures,
        times: all.times,
        database_micros: per(u64::try_from(cpu.as_micros())?, decisions),
        wal_bytes: per(wal, decisions),
        verdict: bed.audit(load.initial, &all.answers).await?,
    })
}

/// Opens the sessions of a run.
pub(crate) async fn sessions(
    bed: &Bed,
    control: &Control,
    shared: &Arc<Shared>,
    connections: usize,
) -> Outcome<Vec<Session>> {
    let mut sessions = Vec::new();
    for number in 0..connections {
        sessions.push(bed.session(control, shared.clone(), number as u64 + 1).await?);
    }
    Ok(sessions)
}

/// Sends requests over all sessions until the time is over. Their ids ascend from the first.
pub(crate) async fn drive(
    control: &'static Control,
    sessions: Vec<Session>,
    load: Load,
    first_id: i64,
) -> Outcome<Driven> {
    let began = Instant::now();
    let every = load.rate.map(|rate| Duration::from_secs_f64(1.0 / rate.max(1.0)));
    let until = began + Duration::from_secs_f64(load.seconds);
    let pace = Arc::new(Pace { next: AtomicI64::new(0), first_id, began, until, every });
    let clients = sessions.into_iter().map(|session| tokio::spawn(client(control, session, load, pace.clone())));
    let clients: Vec<_> = clients.collect();
    let mut all = Driven::default();
    for client in clients {
        all.add(client.await?);
    }
    Ok(all)
}

/// One client: the next request as soon as it has an answer, or when it is due.
async fn client(control: &'static Control, mut session: Session, load: Load, pace: Arc<Pace>) -> Driven {
    let mut seen = Driven::default();
    let weights = Weights::of(load);
    loop {
        // Relaxed: only the number matters, no other memory depends on it.
        let number = pace.next.fetch_add(1, Ordering::Relaxed);
        let due = match pace.every {
            Some(every) => pace.began + every * u32::try_from(number).unwrap_or(u32::MAX),
            None => Instant::now(),
        };
        if due >= pace.until {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        let op = Op { id: pace.first_id + number, wallet: weights.pick(&mut session.dice), amount: load.amount };
        match (control.apply)(&mut session, &op).await {
            Ok(true) => seen.answers.won.push(op),
            Ok(false) => seen.refused += 1,
            Err(failure) => {
                *seen.failures.entry(failure.class().to_owned()).or_default() += 1;
                seen.answers.unknown.push(op);
                // A session with a broken transaction is of no more use.
                break;
            }
        }
        seen.times.add(due.elapsed());
    }
    seen.retries = session.retries;
    for (class, count) in std::mem::take(&mut session.failures) {
        *seen.failures.entry(class).or_default() += count;
    }
    seen
}

/// How to pick a wallet.
struct Weights {
    wallets: u32,
    /// Sums of the weights up to each wallet, in millionths; empty if all weigh the same.
    sums: Vec<u64>,
}

impl Weights {
    fn of(load: Load) -> Self {
        let mut sums = Vec::new();
        if load.spread == Spread::Zipf {
            let mut sum = 0.0;
            let cumulated: Vec<f64> = (1..=load.wallets)
                .map(|rank| {
                    sum += f64::from(rank).powf(-1.1);
                    sum
                })
                .collect();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to a million")]
            sums.extend(cumulated.iter().map(|part| (part / sum * 1e6) as u64));
        }
        Self { wallets: load.wallets, sums }
    }

    fn pick(&self, dice: &mut Dice) -> i32 {
        let index = if self.sums.is_empty() {
            dice.below(u64::from(self.wallets))
        } else {
            let drawn = dice.below(1_000_000);
            self.sums.partition_point(|sum| *sum <= drawn) as u64
        };
        i32::try_from(index.min(u64::from(self.wallets) - 1)).unwrap_or_default()
    }
}
