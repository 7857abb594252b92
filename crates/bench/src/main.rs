//! The benchmark: the released program under load, compared with an empty handler on the same machine.
//!
//! `onsale-bench [postgres|room|reads|events|year] [quick] [profile] [row …]`, or `[…] list` for the rows; `audit FILE` checks the log
//! of a waiting room's answers against the contract. Run by `./bench`, which builds first. Exits with 1 if an answer was
//! wrong. A missed target is shown in the table only, because noise can cause it.

mod empty;
mod events;
mod machine;
mod measure;
mod metrics;
mod postgres;
mod profile;
mod raw;
mod reads;
mod room;
mod rows;
mod table;
mod year;

use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use onsale_load_generator::Outcome;
use onsale_testing::auditor;

use measure::{Bench, Scale};
use rows::{ROWS, Row};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Groups of rows, by the argument that selects them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// No argument: the program alone.
    Alone,
    /// `postgres`.
    Postgres,
    /// `room`.
    Room,
    /// `reads`.
    Reads,
    /// `events`.
    Events,
    /// `year`.
    Year,
}

impl Part {
    fn named(word: &str) -> Option<Self> {
        match word {
            "postgres" => Some(Self::Postgres),
            "room" => Some(Self::Room),
            "reads" => Some(Self::Reads),
            "events" => Some(Self::Events),
            "year" => Some(Self::Year),
            _ => None,
        }
    }

    fn rows(self) -> &'static [Row] {
        match self {
            Self::Alone => ROWS,
            Self::Postgres => postgres::ROWS,
            Self::Room => room::ROWS,
            Self::Reads => reads::ROWS,
            Self::Events => events::ROWS,
            Self::Year => year::ROWS,
        }
    }
}

/// The command line.
struct Wish {
    part: Part,
    quick: bool,
    profile: bool,
    rows: Vec<&'static Row>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ran = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [empty::ARGUMENT] => empty::serve().map(|()| true),
        [room::incr::ARGUMENT, url] => room::incr::serve(url).map(|()| true),
        ["audit", path] => audit(Path::new(path)),
        ["list"] => list(ROWS).map(|()| true),
        [part, "list"] if let Some(part) = Part::named(part) => list(part.rows()).map(|()| true),
        _ => wish(&arguments).and_then(|wish| run(&wish)),
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Audits a log of answers. Returns `false` if some contradict each other.
fn audit(path: &Path) -> Outcome<bool> {
    let report = auditor::audit(&auditor::Log::read(path)?);
    write!(stdout(), "{report}")?;
    Ok(report.is_sound())
}

fn list(rows: &[Row]) -> Outcome<()> {
    for Row { name, about, .. } in rows {
        writeln!(stdout(), "{name:<18} {about}")?;
    }
    Ok(())
}

fn wish(arguments: &[String]) -> Outcome<Wish> {
    let is_word = |word: &&String| Part::named(word).is_some() || matches!(word.as_str(), "quick" | "profile");
    let (words, filters): (Vec<_>, Vec<_>) = arguments.iter().partition(is_word);
    let said = |wanted: &str| words.iter().any(|word| *word == wanted);
    let part = words.iter().find_map(|word| Part::named(word)).unwrap_or(Part::Alone);
    let all = part.rows();
    let wanted = |row: &&Row| filters.is_empty() || filters.iter().any(|filter| row.name.contains(filter.as_str()));
    let rows: Vec<&'static Row> = all.iter().filter(wanted).collect();
    let unknown = filters.iter().find(|filter| !all.iter().any(|row| row.name.contains(filter.as_str())));
    match unknown {
        Some(unknown) => Err(format!("no row is called {unknown}; see: ./bench list").into()),
        None => Ok(Wish { part, quick: said("quick"), profile: said("profile"), rows }),
    }
}

/// Runs the rows and prints the table. Returns `false` if an answer was wrong.
fn run(wish: &Wish) -> Outcome<bool> {
    let machine = machine::describe()?;
    writeln!(stdout(), "{machine}\n")?;
    let scale = if wish.quick { Scale::QUICK } else { Scale::FULL };
    let mut bench = Bench::open(scale, wish.profile)?;
    if wish.part != Part::Alone {
        bench.table = table::Table::beside();
        let about = bench.cluster()?.about()?;
        writeln!(stdout(), "{about}\n")?;
    }
    for row in &wish.rows {
        writeln!(stderr(), "--- {}: {}", row.name, row.about)?;
        if let Err(error) = (row.run)(&mut bench) {
            writeln!(stderr(), "!!! {} FAILED: {error}", row.name)?;
            bench.table.failed(row.name, &error.to_string());
        }
    }
    writeln!(stdout(), "{}", bench.table)?;
    let notes = match wish.part {
        Part::Alone => bench.notes(),
        Part::Postgres => postgres::NOTES.to_owned(),
        Part::Room => room::NOTES.to_owned(),
        Part::Reads => reads::NOTES.to_owned(),
        Part::Events => events::NOTES.to_owned(),
        Part::Year => year::NOTES.to_owned(),
    };
    writeln!(stdout(), "{notes}")?;
    Ok(bench.table.is_sound())
}
