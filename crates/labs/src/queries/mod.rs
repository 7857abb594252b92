//! Statements and indexes: which statements a sale sends and what they cost, what each index is worth, and what it costs.

mod caches;
mod codes;
mod cost;
mod counted;
mod data;
mod draws;
mod indexes;
mod inventory;
mod office;
mod probes;
mod reads;
mod refunds;
mod refused;
mod rush;
mod source;
mod staff;
mod stage;
mod tickets;
mod unsent;

use std::io::{Write, stderr, stdout};
use std::path::PathBuf;

use onsale_load_generator::Outcome;
use onsale_testing::allow_open_files;

use rush::Crowd;
use stage::Stage;

/// The sections, by the words that select them, in the order of the document.
const SECTIONS: [&str; 7] = ["inventory", "indexes", "cost", "refused", "reads", "uncached", "caches"];

/// How much is measured, and with which program.
pub(crate) struct Size {
    program: PathBuf,
    crowd: Crowd,
    /// Whether commits wait for the disk.
    is_synced: bool,
    /// Ledger entries of the sections about indexes; the other tables have rows in proportion.
    rows: u64,
    /// Clients of a stampede.
    clients: usize,
    /// Seconds of each closed loop.
    seconds: f64,
}

impl Size {
    const FULL_CROWD: Crowd = Crowd { at_once: 64, buyers: 10_000, seats: 6_000 };
    const QUICK_CROWD: Crowd = Crowd { at_once: 32, buyers: 1_000, seats: 600 };
    const TINY_CROWD: Crowd = Crowd { at_once: 8, buyers: 24, seats: 20 };

    fn full(program: PathBuf) -> Self {
        Self { program, crowd: Self::FULL_CROWD, is_synced: true, rows: 500_000, clients: 1_000, seconds: 3.0 }
    }

    fn quick(self) -> Self {
        Self { crowd: Self::QUICK_CROWD, rows: 100_000, clients: 300, seconds: 0.5, ..self }
    }

    /// For the test that keeps the laboratory working.
    fn tiny(self) -> Self {
        Self { crowd: Self::TINY_CROWD, is_synced: false, rows: 10_000, clients: 20, seconds: 0.05, ..self }
    }
}

/// Text and charts of a section.
#[derive(Default)]
pub(crate) struct Part {
    text: String,
    /// SVG files by name.
    charts: Vec<(&'static str, String)>,
    /// What is wrong with the measurement itself.
    alarms: Vec<String>,
}

/// What to measure, from the command line.
struct Wanted {
    size: Size,
    documents: Vec<PathBuf>,
    sections: Vec<&'static str>,
}

fn wanted(arguments: &[&str]) -> Outcome<Wanted> {
    let mut size = Size::full(std::env::current_exe()?.with_file_name("onsale"));
    let (mut documents, mut sections) = (Vec::new(), Vec::new());
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let mut value = |what: &str| rest.next().copied().ok_or(format!("{word} needs {what}"));
        match *word {
            "quick" => size = size.quick(),
            "tiny" => size = size.tiny(),
            "--rows" => size.rows = value("a number")?.replace('_', "").parse()?,
            "--program" => size.program = PathBuf::from(value("a file")?),
            "--doc" => documents.push(PathBuf::from(value("a file")?)),
            word => match SECTIONS.into_iter().find(|section| *section == word) {
                Some(section) => sections.push(section),
                None => {
                    let known = SECTIONS.join(", ");
                    return Err(format!("{word} is none of quick, tiny, --rows, --doc, --program, {known}").into());
                }
            },
        }
    }
    if !size.program.exists() {
        return Err(format!("{} is missing; build it: cargo build --workspace --bins", size.program.display()).into());
    }
    if sections.is_empty() {
        sections.extend(SECTIONS);
    }
    Ok(Wanted { size, documents, sections })
}

/// Runs the laboratory: prints its tables. With `--doc FILE`, which may be given several times, also fills them into each of
/// these documents that has the section, and writes the charts to the folder next to it that has the document's name. Returns
/// `false` if a statement is unknown or was never sent, or an index has no use.
pub(crate) fn run(arguments: &[&str]) -> Outcome<bool> {
    let Wanted { size, documents, sections } = wanted(arguments)?;
    allow_open_files(4_096);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured: Outcome<bool> = runtime.block_on(async {
        let mut is_sound = true;
        let mut filled: Option<Stage> = None;
        for section in sections {
            writeln!(stderr(), "--- {section}")?;
            let part = measure(section, &size, &mut filled).await?;
            writeln!(stdout(), "{}", part.text)?;
            keep(&documents, section, &part)?;
            for alarm in &part.alarms {
                writeln!(stderr(), "!!! {alarm}")?;
            }
            is_sound &= part.alarms.is_empty();
        }
        Ok(is_sound)
    });
    measured.map_err(|error| with_causes(&*error).into())
}

/// An error with its causes: the driver's own text only names the kind.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Measures a section. Those about indexes and reads share one filled sale.
async fn measure(section: &str, size: &Size, filled: &mut Option<Stage>) -> Outcome<Part> {
    match section {
        "inventory" => return inventory::part(size).await,
        "caches" => return caches::part(&Stage::start(&size.program, size.is_synced).await?, size).await,
        _ => {}
    }
    if filled.is_none() {
        let stage = Stage::start(&size.program, size.is_synced).await?;
        data::fill(&stage.sql, size.rows).await?;
        *filled = Some(stage);
    }
    let stage = filled.as_ref().ok_or("no sale")?;
    match section {
        "indexes" => indexes::part(stage, size).await,
        "cost" => cost::part(stage, size).await,
        "refused" => refused::part(stage, size).await,
        "reads" => reads::part(stage, size).await,
        _ => reads::uncached(stage, size).await,
    }
}

/// The values of a probe with what depends on the number of rows.
fn with_rows(values: &str, rows: u64) -> String {
    // Nine in ten events were sent; the instant of the last twentieth of them.
    let (sent, recently) = ((rows * 9 / 10) << 16, 1_700_000_000_000 + rows * 90);
    values.replace("$SENT", &sent.to_string()).replace("$RECENTLY", &recently.to_string())
}

/// Fills a section into the documents that have it, and writes its charts.
fn keep(documents: &[PathBuf], section: &str, part: &Part) -> Outcome<()> {
    let mut is_kept = documents.is_empty();
    for document in documents {
        if !std::fs::read_to_string(document)?.contains(&format!("<!-- begin {section} -->")) {
            continue;
        }
        is_kept = true;
        onsale_report::fill(document, section, &part.text)?;
        let folder = document.with_extension("");
        for (name, chart) in &part.charts {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(name), chart)?;
        }
    }
    if is_kept { Ok(()) } else { Err(format!("no document has a section {section}").into()) }
}
