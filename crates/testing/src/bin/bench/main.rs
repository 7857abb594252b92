//! The benchmark: the released program under load, beside an empty handler as the measure of the machine.
//!
//! `onsale-bench [quick] [profile] [row …]`, or `list` for the rows. Run by `./bench`, which builds first. Ends with 1
//! where an answer was wrong; a target that is missed is told in the table, as noise alone may miss one.

mod empty;
mod machine;
mod measure;
mod profile;
mod raw;
mod rows;
mod table;

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use onsale_testing::traffic::Outcome;

use measure::{Bench, Scale};
use rows::{ROWS, Row};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What was asked for on the command line.
struct Wish {
    quick: bool,
    profile: bool,
    rows: Vec<&'static Row>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ran = match arguments.first().map(String::as_str) {
        Some(empty::ARGUMENT) => empty::serve().map(|()| true),
        Some("list") => list().map(|()| true),
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

fn list() -> Outcome<()> {
    for Row { name, about, .. } in ROWS {
        writeln!(stdout(), "{name:<18} {about}")?;
    }
    Ok(())
}

fn wish(arguments: &[String]) -> Outcome<Wish> {
    let (words, filters): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|word| matches!(word.as_str(), "quick" | "profile"));
    let wanted = |row: &&Row| filters.is_empty() || filters.iter().any(|filter| row.name.contains(filter.as_str()));
    let rows: Vec<&'static Row> = ROWS.iter().filter(wanted).collect();
    let unknown = filters.iter().find(|filter| !ROWS.iter().any(|row| row.name.contains(filter.as_str())));
    match unknown {
        Some(unknown) => Err(format!("no row is called {unknown}; see: ./bench list").into()),
        None => {
            let said = |wanted: &str| words.iter().any(|word| *word == wanted);
            Ok(Wish { quick: said("quick"), profile: said("profile"), rows })
        }
    }
}

/// Runs the rows and prints the table; `false` where an answer was wrong.
fn run(wish: &Wish) -> Outcome<bool> {
    let machine = machine::describe()?;
    writeln!(stdout(), "{machine}\n")?;
    let scale = if wish.quick { Scale::QUICK } else { Scale::FULL };
    let mut bench = Bench::open(scale, wish.profile)?;
    for row in &wish.rows {
        writeln!(stderr(), "--- {}: {}", row.name, row.about)?;
        if let Err(error) = (row.run)(&mut bench) {
            writeln!(stderr(), "!!! {} FAILED: {error}", row.name)?;
            bench.table.failed(row.name, &error.to_string());
        }
    }
    writeln!(stdout(), "{}", bench.table)?;
    writeln!(stdout(), "{}", bench.notes())?;
    Ok(bench.table.is_sound())
}
