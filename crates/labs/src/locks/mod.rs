//! Ways to control concurrency, compared on one scenario: same schema, rule, durability, connections, machine and minute.

mod bed;
mod controls;
mod faults;
mod harness;
mod lane;
mod scene;
mod session;
mod tables;
#[cfg(test)]
mod tests;
mod truth;
mod units;
mod verdict;
pub(crate) mod worker;

use std::io::{Write, stderr, stdout};
use std::path::Path;

use onsale_load_generator::Outcome;

use bed::Bed;
use controls::{CONTROLS, Claim};
use faults::FAULTS;
use onsale_report::Table;
use scene::Constraints;
use tables::{Part, Size};

/// The sections, by the words that select them, in the order of the document.
const SECTIONS: [&str; 8] = ["controls", "truth", "faults", "contention", "connections", "places", "units", "law"];

/// Runs the laboratory: prints its tables. With `--doc FILE`, also fills them into that document, and writes the charts to
/// the folder next to it that has the document's name. Returns `false` if a control did not behave as claimed.
pub(crate) fn run(arguments: &[&str]) -> Outcome<bool> {
    let (mut is_quick, mut document, mut wanted) = (false, None, Vec::new());
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match *word {
            "quick" => is_quick = true,
            "--doc" => document = Some(Path::new(*rest.next().ok_or("--doc needs a file")?)),
            section if SECTIONS.contains(&section) => wanted.push(section),
            other => return Err(format!("{other} is none of quick, --doc, {}", SECTIONS.join(", ")).into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut bed = Bed::start().await?;
        let mut sound = true;
        for section in SECTIONS.into_iter().filter(|section| wanted.is_empty() || wanted.contains(section)) {
            writeln!(stderr(), "--- {section}")?;
            let part = measure(&mut bed, section, is_quick).await?;
            writeln!(stdout(), "{}", part.text)?;
            if let Some(document) = document {
                keep(document, section, &part)?;
            }
            for alarm in &part.alarms {
                writeln!(stderr(), "!!! {alarm}")?;
            }
            sound &= part.alarms.is_empty();
        }
        Ok(sound)
    })
}

/// Fills a section into a document, and writes its charts.
fn keep(document: &Path, section: &str, part: &Part) -> Outcome<()> {
    onsale_report::fill(document, section, &part.text)?;
    let folder = document.with_extension("");
    for (name, chart) in &part.charts {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), chart.svg())?;
    }
    Ok(())
}

async fn measure(bed: &mut Bed, section: &str, is_quick: bool) -> Outcome<Part> {
    let size = if is_quick { Size::QUICK } else { Size::FULL };
    match section {
        "controls" => Ok(list()),
        "truth" => truth_table(bed).await,
        "faults" => fault_tables(bed, if is_quick { 0.4 } else { 1.5 }).await,
        "contention" => tables::contention(bed, size).await,
        "connections" => tables::connections(bed, size).await,
        "places" => tables::last_places(bed, size).await,
        "units" => units::table(bed).await,
        _ => tables::law(bed, size).await,
    }
}

/// What each control is: its statements, and its size.
fn list() -> Part {
    let mut table = Table::new(["control", "lines of code", "round trips while locked", "claim"]);
    let mut words = String::new();
    for control in CONTROLS {
        let claim = match control.claim {
            Claim::Holds => "holds",
            Claim::FailsAtOnce => "fails as soon as two clients meet",
            Claim::FailsIfStopped => "fails if a client is stopped for longer than the lock lives",
            Claim::FailsIfRedisIsEmptied => "fails if Redis loses its data",
            Claim::FailsInTwoProcesses => "fails with two processes",
        };
        let trips = control.trips_locked.map_or("–".to_owned(), |trips| trips.to_string());
        table.row([
            format!("{} {}", control.letter, control.name),
            control.lines().to_string(),
            trips,
            claim.to_owned(),
        ]);
        words.push_str(&format!("**{} {}**\n\n```sql\n{}\n```\n\n", control.letter, control.name, control.words));
    }
    Part { text: format!("### The controls\n\n{table}\n{words}"), ..Part::default() }
}

async fn truth_table(bed: &Bed) -> Outcome<Part> {
    let mut part = Part::default();
    for anomaly in truth::ANOMALIES {
        let mut table = Table::new([anomaly.name, "interleavings", "what came of them"]);
        for script in anomaly.scripts {
            let tally = truth::tally(bed, anomaly, script).await?;
            table.row([script.name.to_owned(), tally.interleavings.to_string(), tally.verdict()]);
        }
        part.text.push_str(&format!("### {}: {}\n\n{table}\n", anomaly.name, anomaly.about));
    }
    Ok(part)
}

/// What came of each fault, without and with the constraints of the schema.
async fn fault_tables(bed: &Bed, seconds: f64) -> Outcome<Part> {
    let mut part = Part::default();
    for constraints in [Constraints::Off, Constraints::On] {
        let results = faults::run(bed, constraints, seconds).await?;
        let names = FAULTS.map(faults::Fault::name);
        let mut table = Table::new(["control"].into_iter().chain(names).chain(["longest wait, s"]));
        for control in CONTROLS {
            let own = || results.iter().filter(|result| result.control.letter == control.letter);
            let cell = |fault| {
                own().find(|result| result.fault == fault).map_or("–".to_owned(), |result| result.verdict.to_string())
            };
            let wait = own().find(|result| result.fault == faults::Fault::Stopped);
            let wait = wait.map_or("–".to_owned(), |result| format!("{:.1}", result.longest_wait.as_secs_f64()));
            let cells = [format!("{} {}", control.letter, control.name)].into_iter();
            table.row(cells.chain(FAULTS.map(cell)).chain([wait]));
        }
        let schema = if constraints == Constraints::On { "with constraints" } else { "without constraints" };
        part.text.push_str(&format!("### What goes wrong, {schema} in the schema\n\n{table}\n"));
        let odd = results.iter().filter(|result| !result.is_as_claimed());
        part.alarms.extend(odd.map(|result| format!("not as claimed, {schema}: {result}")));
    }
    Ok(part)
}
