//! The benchmark: the released program under load, beside an empty handler as the measure of the machine.
//!
//! `onsale-bench [postgres] [quick] [profile] [row …]`, or `[postgres] list` for the rows; `audit FILE` holds the log of
//! a waiting room's answers against the contract. Run by `./bench`, which builds first. Ends with 1 where an answer was wrong; a target that is missed is told in the table, as noise alone may miss
//! one.

mod empty;
mod machine;
mod measure;
mod postgres;
mod profile;
mod raw;
mod rows;
mod table;

use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use onsale_testing::auditor;
use onsale_testing::traffic::Outcome;

use measure::{Bench, Scale};
use rows::{ROWS, Row};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What was asked for on the command line.
struct Wish {
    postgres: bool,
    quick: bool,
    profile: bool,
    rows: Vec<&'static Row>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ran = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [empty::ARGUMENT] => empty::serve().map(|()| true),
        ["audit", path] => audit(Path::new(path)),
        ["list"] => list(ROWS).map(|()| true),
        ["postgres", "list"] => list(postgres::ROWS).map(|()| true),
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

/// Audits a log of answers; `false` where some contradict each other.
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
    let (words, filters): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|word| matches!(word.as_str(), "postgres" | "quick" | "profile"));
    let said = |wanted: &str| words.iter().any(|word| *word == wanted);
    let all = if said("postgres") { postgres::ROWS } else { ROWS };
    let wanted = |row: &&Row| filters.is_empty() || filters.iter().any(|filter| row.name.contains(filter.as_str()));
    let rows: Vec<&'static Row> = all.iter().filter(wanted).collect();
    let unknown = filters.iter().find(|filter| !all.iter().any(|row| row.name.contains(filter.as_str())));
    match unknown {
        Some(unknown) => Err(format!("no row is called {unknown}; see: ./bench list").into()),
        None => Ok(Wish { postgres: said("postgres"), quick: said("quick"), profile: said("profile"), rows }),
    }
}

/// Runs the rows and prints the table; `false` where an answer was wrong.
fn run(wish: &Wish) -> Outcome<bool> {
    let machine = machine::describe()?;
    writeln!(stdout(), "{machine}\n")?;
    let scale = if wish.quick { Scale::QUICK } else { Scale::FULL };
    let mut bench = Bench::open(scale, wish.profile)?;
    if wish.postgres {
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
    writeln!(stdout(), "{}", if wish.postgres { postgres::NOTES.to_owned() } else { bench.notes() })?;
    Ok(bench.table.is_sound())
}
