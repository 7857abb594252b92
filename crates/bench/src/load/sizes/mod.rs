//! `./bench sizes`: instances under limits of processor and memory. `docs/measurements/sizes.md` is its page.
//!
//! Two questions for each size: at which rate of whole purchases does it reach its knee, and how many persons can wait before
//! memory ends? Modules in the order in which they build on each other: [`cell`], the sizes; [`knee`] and [`line`], which
//! measure one; [`finding`], what is kept; [`page`], the tables; [`words`], the command line.

mod cell;
mod finding;
mod knee;
mod line;
mod page;
mod words;

use std::io::{Write, stderr, stdout};

use onsale_load_generator::Outcome;
use onsale_testing::Means;

use super::words::program;
use crate::machine::{self, Machine};
use crate::scale::Scale;
use cell::Cell;
use finding::Finding;
use page::Page;
use words::Given;

pub(crate) use words::{SUITE, Sizes, read};

/// Measures, lists or shows what the command line wants. Returns `false` if an audit found a contradiction.
///
/// # Errors
/// If a program is missing, or a server cannot be started without limits.
pub(crate) fn sizes(given: &Sizes) -> Outcome<bool> {
    match given {
        Sizes::List(given) => {
            for cell in given.cells() {
                writeln!(stdout(), "{cell}")?;
            }
            Ok(true)
        }
        Sizes::Page(document) => Page::at(document).fill().map(|()| true),
        Sizes::Run(given) => run(given),
    }
}

fn run(given: &Given) -> Outcome<bool> {
    let means = Means::first();
    let scale = match given.size {
        "tiny" => Scale::TINY,
        "quick" => Scale::QUICK,
        _ => Scale::FULL,
    };
    let about = format!("{}\nlimits:  by {}\n", machine::describe(scale)?, means.name());
    writeln!(stdout(), "{about}")?;
    if !means.is_exact() {
        writeln!(
            stderr(),
            "!!! no control groups, systemd or Docker: whole processors by taskset, memory is not limited"
        )?;
    }
    let program = program(given.program.as_deref())?;
    // Cells without limits of Postgres share one server.
    let machine = Machine::open(scale, program, false)?;
    let (mut findings, mut is_sound) = (Vec::new(), true);
    for cell in given.cells() {
        writeln!(stderr(), "--- {cell}")?;
        let finding = match measure(&cell, given, (&machine, means)) {
            Ok(finding) => finding,
            Err(error) => {
                writeln!(stderr(), "!!! {error}")?;
                Finding::failed(&cell, means, &error.to_string())
            }
        };
        writeln!(stdout(), "{cell}: {}", finding.in_words())?;
        is_sound &= !finding.is_wrong();
        findings.push(finding);
    }
    writeln!(stdout(), "\n{}\n{}", page::knees(&findings), page::lines(&findings))?;
    if let Some(document) = &given.document {
        let page = Page::at(document);
        page.keep(&about, &findings)?;
        page.fill()?;
    }
    Ok(is_sound)
}

fn measure(cell: &Cell, given: &Given, (machine, means): (&Machine, Means)) -> Outcome<Finding> {
    if cell.is_line {
        return line::measure(cell, given.size, (machine, means));
    }
    match cell.postgres {
        Some(limits) => {
            let own = Machine::open(machine.scale, machine.program().to_owned(), false)?;
            let own = own.with_postgres(&format!("{}MB", limits.megabytes))?;
            knee::measure(cell, given.size, (&own, means))
        }
        None => knee::measure(cell, given.size, (machine, means)),
    }
}
