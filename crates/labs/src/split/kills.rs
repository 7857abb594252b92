//! Crashes: a worker that kills itself after each step, and many that are killed at random moments.

use std::collections::BTreeMap;
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_report::{Table, number};
use onsale_testing::Dice;

use super::audit::{self, Verdict};
use super::bed::Bed;
use super::teller::{WAYS, Way};
use super::worker::{Mode, Report, Task, Worker};
use super::{Part, Size};

/// Seats of a performance: few, so that clients compete for them.
const SEATS: u64 = 120;

/// From this many kills on, a way without recovery is certain enough to be caught.
const ENOUGH_KILLS: u32 = 100;

fn task(bed: &Bed, way: Way, number: i32, mode: Mode) -> Task {
    Task { way, places: bed.places(way), number, seats: SEATS, mode }
}

/// Crashes after each step of each way, with the audit before and after the recovery.
pub(crate) async fn crashes(bed: &Bed, _: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let mut table = Table::new(["way", "crash after", "audit before recovery", "recovery found", "audit after it"]);
    for way in WAYS {
        for step in way.steps() {
            let books = bed.reset(way).await?;
            let crashing = Worker::start(&task(bed, way, 1, Mode::CrashesAfter((*step).to_owned())))?;
            let report = crashing.ended().await?;
            // The server may still run a statement of the process that is gone.
            bed.until_quiet(way).await?;
            let before = audit::audit(&books, &report.paid).await?;
            let drained = Worker::start(&task(bed, way, 2, Mode::Drains))?.ended().await?;
            let after = audit::audit(&books, &report.paid).await?;
            let must_fail = way == Way::NoRecovery && *step == "debited";
            if after.holds() == must_fail && (must_fail || way != Way::NoRecovery) {
                part.alarms.push(format!("{} after {step}: {after}", way.name()));
            }
            table.row([way.name(), step, &before.to_string(), &found(&[drained]), &after.to_string()]);
        }
    }
    part.text = format!("### A crash after each step\n\n{table}\n");
    Ok(part)
}

/// What workers found in flight at their start, in words.
fn found(reports: &[Report]) -> String {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (what, count) in reports.iter().flat_map(|report| &report.found) {
        *sums.entry(what).or_default() += count;
    }
    let words = sums.iter().filter(|(_, count)| **count > 0).map(|(what, count)| format!("{what}: {count}"));
    let words: Vec<String> = words.collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// Kills workers at random moments, one after another on the same books.
pub(crate) async fn kills(bed: &Bed, size: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let mut table = Table::new([
        "way",
        "kills",
        "payments",
        "found in flight by the next process",
        "apart p99, ms",
        "longest apart, ms",
        "ledger entries of refunds",
        "audit",
    ]);
    for way in WAYS {
        let (reports, verdict) = kill_many(bed, way, size.kills).await?;
        let must_fail = way == Way::NoRecovery;
        let is_as_claimed = if must_fail { !verdict.holds() || size.kills < ENOUGH_KILLS } else { verdict.holds() };
        if !is_as_claimed || verdict.paid == 0 {
            part.alarms.push(format!("{} after {} kills: {verdict}", way.name(), size.kills));
        }
        table.row([
            way.name().to_owned(),
            size.kills.to_string(),
            verdict.paid.to_string(),
            found(&reports),
            number(verdict.apart.millis(990)),
            number(verdict.apart.millis(1_000)),
            verdict.refunds.to_string(),
            verdict.to_string(),
        ]);
    }
    part.text = format!("### `kill -9` at random moments\n\n{table}\n");
    Ok(part)
}

async fn kill_many(bed: &Bed, way: Way, kills: u32) -> Outcome<(Vec<Report>, Verdict)> {
    let books = bed.reset(way).await?;
    let (mut dice, mut reports) = (Dice::new(u64::from(kills)), Vec::new());
    let mut number = 0;
    for _ in 0..kills {
        number += 1;
        let worker = Worker::start(&task(bed, way, number, Mode::Works))?;
        // From its start, so that some are killed while they recover what the one before has left.
        tokio::time::sleep(Duration::from_millis(20 + dice.below(180))).await;
        reports.push(worker.kill().await?);
    }
    // One that works for a while in peace, then one that only finishes what is left.
    let worker = Worker::start(&task(bed, way, number + 1, Mode::Works))?;
    books.until_paid(number + 1).await?;
    reports.push(worker.finish().await?);
    reports.push(Worker::start(&task(bed, way, number + 2, Mode::Drains))?.ended().await?);
    let acknowledged: Vec<i64> = reports.iter().flat_map(|report| report.paid.iter().copied()).collect();
    let verdict = audit::audit(&books, &acknowledged).await?;
    Ok((reports, verdict))
}
