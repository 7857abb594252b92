//! A payment over two databases, measured and broken in three ways: one database as today, two with a two-phase commit, two
//! with a saga. A fourth way without recovery must be seen to fail.
//!
//! A prototype beside the product: see docs/design/services.md.

mod audit;
mod away;
mod bed;
mod in_doubt;
mod kills;
mod load;
mod orders;
mod orphan;
mod planted;
mod rates;
mod saga;
mod session;
mod teller;
mod two_phase;
mod window;
pub(crate) mod worker;

use std::io::{Write, stderr, stdout};
use std::path::Path;

use onsale_load_generator::Outcome;

use bed::Bed;

/// The sections, by the words that select them, in the order of the document.
const SECTIONS: [&str; 9] = ["rates", "distance", "window", "orders", "crashes", "kills", "away", "orphan", "planted"];

/// How long the laboratory measures, and how often it kills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Seconds of each load.
    pub(crate) seconds: f64,
    /// Clients at a time, if each payment is a transaction of its own.
    pub(crate) clients: u16,
    /// Rounds of each closed loop; the median is shown.
    pub(crate) rounds: u32,
    /// Kinds of load, of which the first has one payment a transaction.
    pub(crate) kinds: usize,
    /// Kills of each way.
    pub(crate) kills: u32,
    /// How long a database is away.
    pub(crate) away_seconds: f64,
}

impl Size {
    const FULL: Self = Self { seconds: 1.5, clients: 16, rounds: 3, kinds: 2, kills: 200, away_seconds: 3.0 };
    const QUICK: Self = Self { seconds: 0.4, clients: 16, rounds: 1, kinds: 2, kills: 20, away_seconds: 1.0 };
    /// For the test that keeps the laboratory working.
    const TINY: Self = Self { seconds: 0.1, clients: 3, rounds: 1, kinds: 1, kills: 2, away_seconds: 0.2 };
}

/// A document part: Markdown, and charts by file name.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) charts: Vec<(&'static str, String)>,
    /// What did not behave as claimed.
    pub(crate) alarms: Vec<String>,
}

/// Runs the laboratory: prints its tables. With `--doc FILE`, also fills them into that document, and writes the charts to
/// the folder next to it that has the document's name. Returns `false` if a way did not behave as claimed.
pub(crate) fn run(arguments: &[&str]) -> Outcome<bool> {
    let (mut size, mut document, mut wanted) = (Size::FULL, None, Vec::new());
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match *word {
            "quick" => size = Size::QUICK,
            "tiny" => size = Size::TINY,
            "--doc" => document = Some(Path::new(*rest.next().ok_or("--doc needs a file")?)),
            section if SECTIONS.contains(&section) => wanted.push(section),
            other => return Err(format!("{other} is none of quick, tiny, --doc, {}", SECTIONS.join(", ")).into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut bed = Bed::start().await;
        let mut is_sound = true;
        for section in SECTIONS.into_iter().filter(|section| wanted.is_empty() || wanted.contains(section)) {
            writeln!(stderr(), "--- {section}")?;
            let part = Box::pin(measure(&mut bed, section, size)).await?;
            writeln!(stdout(), "{}", part.text)?;
            if let Some(document) = document {
                keep(document, section, &part)?;
            }
            for alarm in &part.alarms {
                writeln!(stderr(), "!!! {alarm}")?;
            }
            is_sound &= part.alarms.is_empty();
        }
        Ok(is_sound)
    })
}

/// Fills a section into a document, and writes its charts.
fn keep(document: &Path, section: &str, part: &Part) -> Outcome<()> {
    onsale_report::fill(document, section, &part.text)?;
    let folder = document.with_extension("");
    for (name, svg) in &part.charts {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), svg)?;
    }
    Ok(())
}

async fn measure(bed: &mut Bed, section: &str, size: Size) -> Outcome<Part> {
    match section {
        "rates" => rates::tables(bed, size).await,
        "distance" => rates::distance(bed, size).await,
        "window" => window::table(bed, size).await,
        "orders" => orders::table(bed, size).await,
        "crashes" => kills::crashes(bed, size).await,
        "kills" => kills::kills(bed, size).await,
        "away" => away::table(bed, size).await,
        "orphan" => orphan::table(bed, size).await,
        _ => planted::table(bed, size).await,
    }
}
