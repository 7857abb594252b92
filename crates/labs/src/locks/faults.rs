//! What each control does when things go wrong: clients killed, a client stopped between its read and its write, Redis
//! emptied, a second process.

use std::fmt;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use onsale_load_generator::Outcome;

use super::bed::{Bed, sessions};
use super::controls::{CONTROLS, Claim, Control, Needs, TTL_MILLIS};
use super::harness::{Load, Span, Spread, drive};
use super::lane::BATCH_MAX;
use super::scene::Constraints;
use super::session::Pause;
use super::verdict::Verdict;
use super::worker::{Manner, Worker};

/// The fault that an experiment injects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: two clients and more in one process.
    None,
    /// A second process works on the same wallet.
    TwoProcesses,
    /// A second process is killed with SIGKILL while it works.
    Killed,
    /// A client in a second process is stopped between its read and its write, for longer than a Redis lock lives.
    Stopped,
    /// Redis loses its data while clients work.
    Emptied,
}

pub(crate) const FAULTS: [Fault; 5] = [Fault::None, Fault::TwoProcesses, Fault::Killed, Fault::Stopped, Fault::Emptied];

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no fault",
            Self::TwoProcesses => "two processes",
            Self::Killed => "client killed",
            Self::Stopped => "client stopped",
            Self::Emptied => "Redis emptied",
        }
    }

    fn applies(self, control: &Control) -> bool {
        match self {
            Self::None => true,
            // A file has one process.
            Self::TwoProcesses | Self::Killed => control.needs != Needs::Sqlite,
            Self::Stopped => control.has_gap,
            Self::Emptied => control.needs == Needs::Redis,
        }
    }

    /// Whether this experiment must end with wrong books, according to the claim. Without constraints, and only if it must fail:
    /// other experiments may fail too.
    pub(crate) fn must_fail(self, claim: Claim) -> bool {
        match claim {
            Claim::Holds => false,
            Claim::FailsAtOnce => self == Self::None,
            Claim::FailsInTwoProcesses => self == Self::TwoProcesses,
            Claim::FailsIfStopped => self == Self::Stopped,
            Claim::FailsIfRedisIsEmptied => self == Self::Emptied,
        }
    }
}

/// How an experiment ended.
pub(crate) struct Result {
    pub(crate) control: &'static Control,
    pub(crate) fault: Fault,
    pub(crate) constraints: Constraints,
    pub(crate) verdict: Verdict,
    /// The longest time that a client of the healthy process waited for a decision.
    pub(crate) longest_wait: Duration,
}

impl Result {
    /// Whether it ended as claimed. With constraints a control that fails may be saved by them.
    pub(crate) fn is_as_claimed(&self) -> bool {
        match self.control.claim {
            Claim::Holds => self.verdict.holds(),
            claim if self.constraints == Constraints::Off && self.fault.must_fail(claim) => !self.verdict.holds(),
            _ => true,
        }
    }
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.control.letter, self.fault.name(), self.verdict)
    }
}

/// How long the experiments last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// How long clients work in each.
    pub(crate) seconds: f64,
    /// How long a client stays stopped, longer than a Redis lock lives.
    pub(crate) stopped: Duration,
}

impl Times {
    pub(crate) const FULL: Self = Self { seconds: 1.5, stopped: Duration::from_secs(10) };
    pub(crate) const QUICK: Self = Self { seconds: 0.4, stopped: Duration::from_millis(TTL_MILLIS + 1_000) };
}

/// Experiments with many clients that run at the same time.
const AT_A_TIME: usize = 3;

/// Requests per second of the healthy clients while another one is stopped: all those experiments run at the same time.
const RATE_WHILE_STOPPED: f64 = 40.0;

/// Runs every experiment that applies, for each control. Those of other controls run at the same time, each in a schema of its
/// own: they show what is right, not what is fast.
pub(crate) async fn run(bed: &Bed, constraints: Constraints, times: Times) -> Outcome<Vec<Result>> {
    let mut results = Vec::new();
    for fault in FAULTS {
        let at_a_time = if fault == Fault::Stopped { CONTROLS.len() } else { AT_A_TIME };
        let experiments = CONTROLS.iter().filter(|control| fault.applies(control)).map(async |control| {
            let bed = bed.another().await?;
            experiment(&bed, control, fault, constraints, times).await
        });
        let done: Vec<Result> = futures_util::stream::iter(experiments).buffered(at_a_time).try_collect().await?;
        results.extend(done);
    }
    Ok(results)
}

/// Runs one experiment on one wallet.
pub(crate) async fn experiment(
    bed: &Bed,
    control: &'static Control,
    fault: Fault,
    constraints: Constraints,
    times: Times,
) -> Outcome<Result> {
    let (initial, is_stopped) = (1_000_000, fault == Fault::Stopped);
    let load = Load {
        wallets: 1,
        spread: Spread::Even,
        connections: if is_stopped { 2 } else { 8 },
        span: Span::Seconds(if is_stopped { times.stopped.as_secs_f64() } else { times.seconds }),
        initial,
        amount: -1,
        constraints,
        rate: is_stopped.then_some(RATE_WHILE_STOPPED),
        pause: Pause::Random,
        batch_max: BATCH_MAX,
    };
    bed.prepare(control, 1, initial, constraints).await?;
    let mut second = match fault {
        Fault::TwoProcesses | Fault::Killed => Some(Worker::start(bed, control, 8, load.amount, Manner::Works).await?),
        Fault::Stopped => {
            let worker = Worker::start(bed, control, 1, load.amount, Manner::StopsItself).await?;
            worker.until_stopped().await?;
            Some(worker)
        }
        Fault::None | Fault::Emptied => None,
    };
    let shared = bed.shared(control, 1, initial).await?;
    let sessions = sessions(&bed.servers(control), &shared, load.connections).await?;
    let driving = tokio::spawn(drive(control, sessions, load, 1));
    let part = Duration::from_secs_f64(times.seconds / 5.0);
    match (fault, &mut second) {
        (Fault::Killed, Some(second)) => {
            tokio::time::sleep(part * 2).await;
            second.kill().await?;
        }
        (Fault::Stopped, Some(second)) => {
            tokio::time::sleep(times.stopped).await;
            second.resume();
        }
        (Fault::Emptied, _) => {
            for _ in 0..4 {
                tokio::time::sleep(part).await;
                bed.empty_redis()?;
            }
        }
        _ => {}
    }
    let ours = driving.await??;
    let mut answers = ours.answers;
    if let Some(second) = second {
        let theirs = second.finish(load.amount).await?;
        answers.won.extend(theirs.won);
        answers.unknown.extend(theirs.unknown);
    }
    bed.settle(control, &shared).await?;
    let verdict = bed.audit(initial, &answers).await?;
    Ok(Result { control, fault, constraints, verdict, longest_wait: ours.times.permille(1_000) })
}
