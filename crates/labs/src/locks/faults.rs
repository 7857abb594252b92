//! What each control does when things go wrong: clients killed, a client stopped between its read and its write, Redis
//! emptied, a second process.

use std::fmt;
use std::time::Duration;

use onsale_load_generator::Outcome;

use super::bed::Bed;
use super::controls::{CONTROLS, Claim, Control, Needs, TTL_MILLIS};
use super::harness::{Load, Spread, drive, sessions};
use super::scene::Constraints;
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

/// Runs every experiment that applies, for each control. `seconds`: how long clients work in each.
pub(crate) async fn run(bed: &Bed, constraints: Constraints, seconds: f64) -> Outcome<Vec<Result>> {
    let mut results = Vec::new();
    for control in CONTROLS {
        for fault in FAULTS.into_iter().filter(|fault| fault.applies(control)) {
            results.push(experiment(bed, control, fault, constraints, seconds).await?);
        }
    }
    Ok(results)
}

/// Runs one experiment on one wallet.
pub(crate) async fn experiment(
    bed: &Bed,
    control: &'static Control,
    fault: Fault,
    constraints: Constraints,
    seconds: f64,
) -> Outcome<Result> {
    let initial = 1_000_000;
    let load = Load {
        wallets: 1,
        spread: Spread::Even,
        connections: if fault == Fault::Stopped { 2 } else { 8 },
        seconds,
        initial,
        amount: -1,
        constraints,
        rate: None,
    };
    bed.prepare(control, 1, initial, constraints).await?;
    let shared = bed.shared(control, 1, initial).await?;
    let mut second = match fault {
        Fault::TwoProcesses | Fault::Killed => Some(Worker::start(bed, control, 8, load.amount, Manner::Works)?),
        Fault::Stopped => Some(Worker::start(bed, control, 1, load.amount, Manner::StopsItself)?),
        Fault::None | Fault::Emptied => None,
    };
    if fault == Fault::Stopped
        && let Some(second) = &second
    {
        second.until_stopped().await?;
    }
    let sessions = sessions(bed, control, &shared, load.connections).await?;
    let driving = tokio::spawn(drive(control, sessions, load, 1));
    let part = Duration::from_secs_f64(seconds / 5.0);
    match (fault, &mut second) {
        (Fault::Killed, Some(second)) => {
            tokio::time::sleep(part * 2).await;
            second.kill().await?;
        }
        (Fault::Stopped, Some(second)) => {
            tokio::time::sleep(Duration::from_millis(TTL_MILLIS + 500)).await;
            second.resume();
        }
        (Fault::Emptied, _) => {
            for _ in 0..4 {
                tokio::time::sleep(part).await;
                bed.empty_redis();
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
