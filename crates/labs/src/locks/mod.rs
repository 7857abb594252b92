//! Ways to control concurrency, compared on one scenario: same schema, rule, durability, connections, machine and minute.

mod alarm;
mod batch;
mod bed;
mod controls;
mod distance;
mod faults;
mod harness;
mod lane;
mod law;
mod partition;
mod scene;
mod session;
mod tables;
#[cfg(test)]
mod tests;
mod traps;
mod truth;
mod units;
mod verdict;
pub(crate) mod worker;

use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::time::Instant;

use onsale_load_generator::Outcome;

use bed::Bed;
use controls::{CONTROLS, Claim};
use faults::{FAULTS, Times};
use onsale_report::Table;
use onsale_testing::postgres::Setup;
use scene::Constraints;
use tables::{Part, Size, title};

/// The sections, by the words that select them, in the order of the document.
const SECTIONS: [&str; 9] =
    ["controls", "truth", "faults", "contention", "connections", "places", "units", "law", "traps"];

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
        let (mut bed, mut sound) = (None, true);
        for section in SECTIONS.into_iter().filter(|section| wanted.is_empty() || wanted.contains(section)) {
            writeln!(stderr(), "--- {section}")?;
            let part = match section {
                "controls" => list(),
                _ => {
                    let bed = match &mut bed {
                        Some(bed) => bed,
                        none => none.insert(Bed::start(Setup::durable()).await?),
                    };
                    measure(bed, section, is_quick).await?
                }
            };
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

/// Fills a section into a document with links to its charts, and writes the charts.
fn keep(document: &Path, section: &str, part: &Part) -> Outcome<()> {
    let folder = document.with_extension("");
    let name = folder.file_name().and_then(|name| name.to_str()).ok_or("a document has a name")?;
    let mut text = part.text.clone();
    for (file, chart) in &part.charts {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(file), chart.svg())?;
        text.push_str(&format!("![{}]({name}/{file})\n\n", chart.title));
    }
    Ok(onsale_report::fill(document, section, &text)?)
}

/// Measures a section, and adds by which command and where.
async fn measure(bed: &mut Bed, section: &str, is_quick: bool) -> Outcome<Part> {
    let began = Instant::now();
    let (size, times) = if is_quick { (Size::QUICK, Times::QUICK) } else { (Size::FULL, Times::FULL) };
    let mut part = match section {
        "truth" => truth_table(bed).await?,
        "faults" => fault_tables(bed, times).await?,
        "contention" => tables::contention(bed, size).await?,
        "connections" => tables::connections(bed, size).await?,
        "places" => tables::last_places(bed, size).await?,
        "units" => units::table(bed, units::SEATS).await?,
        "law" => law::law(bed, size).await?,
        _ => traps::table(bed, size).await?,
    };
    let (quick, seconds) = (if is_quick { "quick " } else { "" }, began.elapsed().as_secs());
    let (cores, versions) = (std::thread::available_parallelism()?, bed.versions().await?);
    let by = format!("`./bench locks {quick}{section}` in {seconds} s on {cores} cores, with {versions}");
    part.text.push_str(&format!("Printed by {by}.\n\n"));
    Ok(part)
}

/// What each control is: its statements, and its size.
fn list() -> Part {
    let mut table = Table::new(["control", "lines of code", "round trips", "of them while locked", "claim"]);
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
        table.row([title(control), control.lines().to_string(), control.trips.to_owned(), trips, claim.to_owned()]);
        words.push_str(&format!("**{} {}**\n\n```sql\n{}\n```\n\n", control.letter, control.name, control.words));
    }
    Part::of(format!("### The controls\n\n{table}\n{words}"))
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
async fn fault_tables(bed: &Bed, times: Times) -> Outcome<Part> {
    let mut part = Part::default();
    for constraints in [Constraints::Off, Constraints::On] {
        let results = faults::run(bed, constraints, times).await?;
        let names = FAULTS.map(faults::Fault::name);
        let mut table = Table::new(["control"].into_iter().chain(names).chain(["longest wait, s"]));
        for control in CONTROLS {
            let own = || results.iter().filter(|result| result.control.letter == control.letter);
            let cell = |fault| {
                own().find(|result| result.fault == fault).map_or("–".to_owned(), |result| result.verdict.cell())
            };
            let wait = own().find(|result| result.fault == faults::Fault::Stopped);
            let wait = wait.map_or("–".to_owned(), |result| format!("{:.1}", result.longest_wait.as_secs_f64()));
            let cells = [title(control)].into_iter();
            table.row(cells.chain(FAULTS.map(cell)).chain([wait]));
        }
        let schema = if constraints == Constraints::On { "with constraints" } else { "without constraints" };
        part.text.push_str(&format!("### What goes wrong, {schema} in the schema\n\n{table}\n"));
        let odd = results.iter().filter(|result| !result.is_as_claimed());
        part.alarms.extend(odd.map(|result| format!("not as claimed, {schema}: {result}")));
    }
    Ok(part)
}
