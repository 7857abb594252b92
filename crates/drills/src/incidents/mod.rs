//! The incidents that can be caused here. Each has a page of its name in `docs/incidents`.

mod bots;
mod buyers;
mod cancelled;
mod database;
mod delivery;
mod events;
mod instances;
mod load;
mod locks;
mod memory;
mod notice;
mod opened;
mod redis;
mod release;
mod restore;
mod secrets;

use std::path::Path;

use crate::Outcome;
use crate::drill::run;
use crate::report::Report;
use crate::scene::{Pace, Scene, Stage, lowerable};

/// What goes wrong, and how it ends. Everything else of a drill is in its page.
pub(crate) trait Incident {
    /// The name of the drill and of its page.
    const NAME: &'static str;

    /// The parts that it needs.
    fn stage(&self) -> Stage {
        Stage::default()
    }

    /// What must be there before buyers arrive.
    async fn prepare(&mut self, _scene: &mut Scene) {}

    /// Causes the incident. Returns as soon as the cause is there.
    async fn cause(&mut self, scene: &mut Scene);

    /// A sentence for the timeline: what was done.
    fn what(&self) -> &'static str;

    /// Ends the cause, at the mark of the page. Without that mark the commands of the page end it.
    async fn repair(&mut self, _scene: &mut Scene) {}

    /// Ends what is left of the cause when buyers are served again, such as a crowd, so that all of them can finish.
    async fn end(&mut self, _scene: &mut Scene) {}

    /// A sentence for the timeline: how the cause ended.
    fn repaired(&self) -> &'static str {
        "repaired"
    }

    /// Accounts for the payments that were acknowledged and are not there. Returns the end of a sentence for the timeline.
    ///
    /// # Errors
    /// If a payment is lost that may not be lost: in most drills any.
    fn accounts_for(&self, _scene: &Scene, lost: &[String]) -> Outcome<String> {
        match lost {
            [] => Ok("all are there".to_owned()),
            _ => Err(format!("these payments were acknowledged and are lost: {}", lost.join(" "))),
        }
    }
}

/// All drills. Those that take longest come first.
pub const NAMES: &[&str] = &[
    "platform-away",
    "job-silent",
    "slow-answers",
    "line-stands",
    "kafka-away",
    "overload-at-opening",
    "part-degraded",
    "events-unknown",
    "redis-unsafe",
    "log-growth",
    "wrong-clock",
    "cancellation-stuck",
    "holds-run-out",
    "memory-limit",
    "restore",
    "leaked-secret",
    "bots-and-nat",
    "all-not-ready",
    "redis-away",
    "instance-dead",
    "database-away",
    "disk-full",
    "failover",
    "messages-lost",
    "dead-letter",
    "deadlocks",
    "foreign-lock",
    "too-many-instances",
    "bad-release",
    "opened-early",
    "notice-unreachable",
    "books-in-doubt",
];

/// What a drill needs besides Postgres, Redis, HAProxy and Prometheus.
pub(crate) fn parts_of(name: &str) -> &'static [&'static str] {
    match name {
        "platform-away" | "kafka-away" | "part-degraded" | "messages-lost" => &["java", "maven", "kafka"],
        "log-growth" => &["sqlite3"],
        "wrong-clock" => &["faketime"],
        "leaked-secret" => &["openssl"],
        "notice-unreachable" => &["nginx"],
        // `ss` comes with it.
        "bots-and-nat" => &["iptables"],
        _ => &[],
    }
}

/// Whether a drill limits memory, and this machine has no means for it.
pub(crate) fn lacks_limits(name: &str) -> bool {
    name == "memory-limit" && lowerable().is_none()
}

/// Runs a drill by its name.
///
/// # Errors
/// If there is no such drill, or if it fails.
pub(crate) async fn run_named(name: &str, program: &Path, pace: Pace) -> Outcome<Report> {
    match name {
        "database-away" => run(database::Away, program, pace).await,
        "disk-full" => run(database::DiskFull, program, pace).await,
        "line-stands" => run(buyers::LineStands, program, pace).await,
        "all-not-ready" => run(buyers::AllNotReady, program, pace).await,
        "job-silent" => run(buyers::JobSilent::default(), program, pace).await,
        "holds-run-out" => run(buyers::HoldsRunOut::default(), program, pace).await,
        "cancellation-stuck" => run(cancelled::CancellationStuck::default(), program, pace).await,
        "failover" => run(database::Failover, program, pace).await,
        "wrong-clock" => run(database::WrongClock, program, pace).await,
        "redis-away" => run(redis::Away, program, pace).await,
        "redis-unsafe" => run(redis::Unsafe, program, pace).await,
        "kafka-away" => run(events::KafkaAway, program, pace).await,
        "part-degraded" => run(events::PartDegraded, program, pace).await,
        "events-unknown" => run(events::Unknown, program, pace).await,
        "dead-letter" => run(events::DeadLetter, program, pace).await,
        "instance-dead" => run(instances::Dead, program, pace).await,
        "too-many-instances" => run(instances::TooMany, program, pace).await,
        "foreign-lock" => run(locks::ForeignLock, program, pace).await,
        "deadlocks" => run(locks::Deadlocks, program, pace).await,
        "platform-away" => run(delivery::PlatformAway, program, pace).await,
        "messages-lost" => run(delivery::MessagesLost, program, pace).await,
        "slow-answers" => run(load::SlowAnswers, program, pace).await,
        "overload-at-opening" => run(load::Overload::default(), program, pace).await,
        "log-growth" => run(database::LogGrowth::default(), program, pace).await,
        "books-in-doubt" => run(database::BooksInDoubt, program, pace).await,
        "restore" => run(restore::Restore::new(), program, pace).await,
        "memory-limit" => run(memory::MemoryLimit::default(), program, pace).await,
        "leaked-secret" => run(secrets::LeakedSecret::new(), program, pace).await,
        "opened-early" => run(opened::OpenedEarly::default(), program, pace).await,
        "bad-release" => run(release::BadRelease, program, pace).await,
        "bots-and-nat" => run(bots::BotsAndNat::default(), program, pace).await,
        "notice-unreachable" => run(notice::NoticeUnreachable::default(), program, pace).await,
        _ => Err(format!("no drill is called {name}; there are {}", NAMES.join(", "))),
    }
}
