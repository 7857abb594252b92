//! The benchmark: the released program under load, next to references on the same machine.
//!
//! Run by `./bench`, which builds first; `./bench --help` lists the words. Modules in the order in which they build on each
//! other: [`results`] and [`machine`]; [`measure`]; the rows of each suite; [`suite`]; [`print`].

mod cli;
mod events;
mod grown;
mod load;
mod machine;
mod measure;
mod opening;
mod postgres;
mod print;
mod reads;
mod results;
mod room;
mod row;
mod scale;
mod server;
mod sqlite_batches;
mod staff;
mod suite;
mod users;

use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use onsale_load_generator::Outcome;
use onsale_testing::auditor;

use cli::{Measure, Plan};
use machine::{Machine, references};
use print::Page;
use results::Results;
use row::Row;
use suite::Suite;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let ran = cli::read().and_then(|plan| match plan {
        Plan::Measure(plan) => measure(&plan),
        Plan::List(suite) => list(suite.rows()).map(|()| true),
        Plan::Page(document) => Page::at(&document).fill().map(|()| true),
        Plan::Audit(log) => audit(&log),
        Plan::Load(given) => load::load(&given),
        Plan::Sizes(given) => load::sizes::sizes(&given),
        Plan::ServeEmpty => references::serve_empty().map(|()| true),
        Plan::ServeIncr(url) => references::serve_incr(&url).map(|()| true),
    });
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Audits a log of answers. Returns `false` if answers contradict each other.
fn audit(path: &Path) -> Outcome<bool> {
    let report = auditor::audit(&auditor::Log::read(path)?);
    write!(stdout(), "{report}")?;
    Ok(report.is_sound())
}

fn list(rows: &[Row]) -> Outcome<()> {
    for Row { name, about, target, .. } in rows {
        let target = if target.exists() { format!("; target {target}") } else { String::new() };
        writeln!(stdout(), "{name:<18} {about}{target}")?;
    }
    Ok(())
}

/// The output of a run: printed at once, and kept for the file of raw output.
#[derive(Default)]
struct Output(String);

impl Output {
    fn print(&mut self, text: &str) -> Outcome<()> {
        writeln!(stdout(), "{text}")?;
        self.0.push_str(text);
        self.0.push('\n');
        Ok(())
    }
}

/// Measures rows, and prints the table. Returns `false` if an answer was wrong.
fn measure(plan: &Measure) -> Outcome<bool> {
    let mut output = Output::default();
    output.print(&format!("{}\n", machine::describe(plan.scale)?))?;
    let machine = Machine::open(plan.scale, program(plan)?, plan.is_profiled)?;
    if plan.suite != Suite::Server {
        output.print(&format!("{}\n", machine.postgres()?.about()?))?;
    }
    let mut results = Results::default();
    for row in &plan.rows {
        writeln!(stderr(), "--- {}: {}", row.name, row.about)?;
        if let Err(error) = row.run(&machine, &mut results) {
            writeln!(stderr(), "!!! {} FAILED: {error}", row.name)?;
            results.fail(row.name, &error.to_string());
        }
        for remark in results.take_remarks() {
            output.print(&remark)?;
        }
    }
    output.print(&print::table(&results, plan.suite.heads()))?;
    output.print(plan.suite.notes())?;
    if !results.batches().is_empty() {
        output.print(&format!("\n{}", print::batches(results.batches())))?;
    }
    if let Some(document) = plan.document.as_deref().filter(|_| results.is_sound()) {
        let page = Page::at(document);
        page.keep(plan.suite.name(), &output.0)?;
        page.fill()?;
    }
    Ok(results.is_sound())
}

/// The program to measure: that of the command line, or the one next to this program.
fn program(plan: &Measure) -> Outcome<PathBuf> {
    match &plan.program {
        Some(program) => Ok(program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))?),
        None => Ok(std::env::current_exe()?.with_file_name("onsale")),
    }
}
