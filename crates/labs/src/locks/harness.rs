//! Runs a control under load and measures it. All controls run through this one function, over the same connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::{Histogram, Outcome};
use onsale_testing::Dice;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

use super::alarm::Alarm;
use super::bed::{Bed, sessions};
use super::controls::Control;
use super::lane::Lane;
use super::scene::{Constraints, Op};
use super::session::{Pause, Session};
use super::verdict::{Answers, Verdict};

/// Which wallets are changed how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spread {
    /// All alike, at random.
    Even,
    /// The n-th in proportion to n^-1.1, as crowds choose.
    Zipf,
}

/// How long clients send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Span {
    /// For some seconds, in [`WINDOWS`] windows of equal length. The first one warms up, and is in no rate and no latency.
    Windows(f64),
    /// For some seconds, all of which counts.
    Seconds(f64),
    /// This many requests, so that the result does not depend on the speed of the machine.
    Requests(i64),
}

/// Windows of a run, the first one included.
pub(crate) const WINDOWS: usize = 4;

/// Beyond this share of its core, in percent, the generator may be what limits a rate.
pub(crate) const GENERATOR_PERCENT_MAX: f64 = 80.0;

/// How many clients change which wallets, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) wallets: u32,
    pub(crate) spread: Spread,
    pub(crate) connections: usize,
    pub(crate) span: Span,
    /// The balance of each wallet at the beginning.
    pub(crate) initial: i64,
    /// The amount of every change.
    pub(crate) amount: i64,
    pub(crate) constraints: Constraints,
    /// With this many requests per second at a constant rate, or `None` for a closed loop: each connection sends its next
    /// request when it has its answer.
    pub(crate) rate: Option<f64>,
    /// How clients wait before a retry.
    pub(crate) pause: Pause,
    /// Maximum number of commands in a batch, for the control that makes batches.
    pub(crate) batch_max: usize,
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
    /// Times until a queue accepted the command; empty if the control has no queue.
    pub(crate) accepted: Histogram,
    /// Changes per second in each counted window.
    won_rates: Vec<f64>,
    /// Decisions per second in each counted window.
    rates: Vec<f64>,
    /// Processor time of the database per decision, in microseconds.
    pub(crate) database_micros: f64,
    /// WAL bytes per decision.
    pub(crate) wal_bytes: f64,
    /// Connections to the database.
    pub(crate) connections: i64,
    /// Changes per batch; 0 if the control makes no batches.
    pub(crate) per_batch: f64,
    /// Processor time of the generator in percent of one core.
    pub(crate) generator_percent: f64,
    pub(crate) verdict: Verdict,
}

impl Figures {
    /// Decisions per second, refusals included: the median of the windows.
    pub(crate) fn rate(&self) -> f64 {
        median(&self.rates)
    }

    /// Changes made per second, without refusals: the median of the windows.
    pub(crate) fn won_rate(&self) -> f64 {
        median(&self.won_rates)
    }

    /// Distance between the slowest and the fastest window, in percent of the median.
    pub(crate) fn spread_percent(&self) -> f64 {
        let (low, high) =
            self.won_rates.iter().fold((f64::MAX, 0.0_f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
        if self.won_rate() > 0.0 { (high - low) / self.won_rate() * 100.0 } else { 0.0 }
    }

    /// Whether the rate is only a lower bound, because the generator was busy.
    pub(crate) fn is_void(&self) -> bool {
        self.generator_percent > GENERATOR_PERCENT_MAX
    }
}

/// The median; 0 of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
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
    every: Option<Duration>,
}

impl Pace {
    /// The next request and when it is due; `None` at the end of the load.
    fn next(&self, span: Span) -> Option<(i64, Instant)> {
        // Relaxed: only the number matters, no other memory depends on it.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.every {
            Some(every) => self.began + every * u32::try_from(number).unwrap_or(u32::MAX),
            None => Instant::now(),
        };
        let goes_on = match span {
            Span::Windows(seconds) | Span::Seconds(seconds) => due < self.began + Duration::from_secs_f64(seconds),
            Span::Requests(count) => number < count,
        };
        goes_on.then_some((self.first_id + number, due))
    }
}

/// What all clients of a process saw.
#[derive(Default)]
pub(crate) struct Driven {
    pub(crate) answers: Answers,
    pub(crate) refused: u64,
    pub(crate) times: Histogram,
    accepted: Histogram,
    /// Changes made and refusals, by window.
    windows: [[u64; 2]; WINDOWS],
    retries: u64,
    failures: BTreeMap<String, u64>,
}

impl Driven {
    fn add(&mut self, other: Self) {
        self.answers.won.extend(other.answers.won);
        self.answers.unknown.extend(other.answers.unknown);
        self.refused += other.refused;
        self.times.merge(&other.times);
        self.accepted.merge(&other.accepted);
        for (own, other) in self.windows.iter_mut().flatten().zip(other.windows.iter().flatten()) {
            *own += other;
        }
        self.retries += other.retries;
        for (class, count) in other.failures {
            *self.failures.entry(class).or_default() += count;
        }
    }

    /// Rates of the counted windows, or of the whole run if it has no windows: changes made, and all decisions.
    fn rates(&self, load: &Load, seconds: f64) -> (Vec<f64>, Vec<f64>) {
        let won = self.answers.won.len() as u64;
        match load.span {
            Span::Windows(all) => {
                let length = all / WINDOWS as f64;
                let counted = &self.windows[1..];
                let rates = |of: fn(&[u64; 2]) -> u64| counted.iter().map(|window| per(of(window), length)).collect();
                (rates(|window| window[0]), rates(|window| window[0] + window[1]))
            }
            _ => (vec![per(won, seconds)], vec![per(won + self.refused, seconds)]),
        }
    }
}

/// Runs a control under a load on fresh tables, then audits.
pub(crate) async fn run(bed: &Bed, control: &'static Control, load: Load) -> Outcome<Figures> {
    bed.prepare(control, load.wallets, load.initial, load.constraints).await?;
    let shared = bed.shared_with(control, load.wallets, load.initial, load.batch_max).await?;
    if let Some(link) = &shared.partition {
        link.ready().await.map_err(|failure| failure.to_string())?;
    }
    let (servers, own) = (bed.servers(control), shared.clone());
    let ((opened, is_open), (go, gone)) = (oneshot::channel(), oneshot::channel());
    let generating = on_its_core(async move {
        let sessions = sessions(&servers, &own, load.connections).await?;
        let _ = opened.send(());
        let _ = gone.await;
        let (began, cpu) = (Instant::now(), thread_time());
        let all = drive(control, sessions, load, 1).await?;
        Ok((all, began.elapsed().as_secs_f64(), thread_time().saturating_sub(cpu).as_secs_f64()))
    });
    let before = async {
        // An error means that the sessions could not be opened, which the generator reports.
        let _ = is_open.await;
        let batches = shared.lane.as_ref().map_or(0, Lane::batches);
        let before = (bed.connections().await?, bed.database_time(), bed.wal().await?, batches);
        let _ = go.send(());
        Outcome::Ok(before)
    };
    let (generated, before) = tokio::join!(generating, before);
    let ((all, seconds, generator), (connections, cpu, wal, batches)) = (generated?, before?);
    let (cpu, wal) = (bed.database_time().saturating_sub(cpu), bed.wal().await?.saturating_sub(wal));
    let batches = shared.lane.as_ref().map_or(0, Lane::batches).saturating_sub(batches);
    bed.settle(control, &shared).await?;
    let won = all.answers.won.len() as u64;
    let (won_rates, rates) = all.rates(&load, seconds);
    #[expect(clippy::cast_precision_loss, reason = "counts of a short run are exact in a float")]
    let (decisions, batches) = ((won + all.refused).max(1) as f64, batches as f64);
    Ok(Figures {
        seconds,
        won,
        refused: all.refused,
        retries: all.retries,
        failures: all.failures,
        times: all.times,
        accepted: all.accepted,
        won_rates,
        rates,
        database_micros: per(u64::try_from(cpu.as_micros())?, decisions),
        wal_bytes: per(wal, decisions),
        connections,
        per_batch: per(won, batches),
        generator_percent: generator / seconds * 100.0,
        verdict: bed.audit(load.initial, &all.answers).await?,
    })
}

/// Runs the clients on one thread with a runtime of its own, so that its processor time is theirs.
async fn on_its_core<T: Send + 'static>(work: impl Future<Output = Outcome<T>> + Send + 'static) -> Outcome<T> {
    let thread = tokio::task::spawn_blocking(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
    });
    thread.await?
}

/// Processor time of this thread so far.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Sends requests over all sessions until the load ends. Their ids ascend from the first.
pub(crate) async fn drive(
    control: &'static Control,
    sessions: Vec<Session>,
    load: Load,
    first_id: i64,
) -> Outcome<Driven> {
    let every = load.rate.map(|rate| Duration::from_secs_f64(1.0 / rate.max(1.0)));
    let pace = Arc::new(Pace { next: AtomicI64::new(0), first_id, began: Instant::now(), every });
    let clients = sessions.into_iter().map(|session| tokio::spawn(client(control, session, load, pace.clone())));
    let clients: Vec<_> = clients.collect();
    let mut all = Driven::default();
    for client in clients {
        all.add(client.await??);
    }
    Ok(all)
}

/// One client: the next request as soon as it has an answer, or when it is due.
async fn client(control: &'static Control, mut session: Session, load: Load, pace: Arc<Pace>) -> Outcome<Driven> {
    let (mut seen, weights, alarm) = (Driven::default(), Weights::of(load), Alarm::new()?);
    session.pause = load.pause;
    let warm = match load.span {
        Span::Windows(seconds) => pace.began + Duration::from_secs_f64(seconds / WINDOWS as f64),
        _ => pace.began,
    };
    while let Some((id, due)) = pace.next(load.span) {
        alarm.until(due).await?;
        let op = Op { id, wallet: weights.pick(&mut session.dice), amount: load.amount };
        let answer = (control.apply)(&mut session, &op).await;
        let window = window(load.span, pace.began.elapsed());
        match answer {
            Ok(true) => {
                seen.answers.won.push(op);
                window.into_iter().for_each(|window| seen.windows[window][0] += 1);
            }
            Ok(false) => {
                seen.refused += 1;
                window.into_iter().for_each(|window| seen.windows[window][1] += 1);
            }
            Err(failure) => {
                *seen.failures.entry(failure.class().to_owned()).or_default() += 1;
                seen.answers.unknown.push(op);
                // A session with a broken transaction is of no more use.
                break;
            }
        }
        if due >= warm {
            seen.times.add(due.elapsed());
            session.accepted.take().into_iter().for_each(|at| seen.accepted.add(at.saturating_duration_since(due)));
        }
    }
    seen.retries = session.retries;
    for (class, count) in std::mem::take(&mut session.failures) {
        *seen.failures.entry(class).or_default() += count;
    }
    Ok(seen)
}

/// The window of an answer; `None` after the last one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of windows")]
fn window(span: Span, since: Duration) -> Option<usize> {
    let Span::Windows(seconds) = span else { return None };
    Some((since.as_secs_f64() / seconds * WINDOWS as f64) as usize).filter(|window| *window < WINDOWS)
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
