//! `onsale copy`: moves a whole sale from one database to another, and audits both.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use onsale_adapters::copy::{Progress, copy};
use onsale_app::audit::audit;

use super::{Failed, Outcome, block_on, print};
use crate::sale;
use crate::settings::{DatabaseUrl, database};
use crate::size::grouped;

/// What to print for an operator who moves a sale.
const LEARN: &str = "\
Stop every onsale that works on the source first (serve, relay, consume), and start none until the copy has ended with
exit code 0. Then start them on the target, with the same settings but the new --database-url, and none on the source.

A URL with a password is better read from a file: --to @FILE takes the first line of FILE.

docs/guide/move.md has the steps, and what happens to the line on Redis and to delivered events.";

/// The command with its arguments.
pub(super) fn command() -> Command {
    let url =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).value_name("URL").required(true).help(help);
    Command::new("copy")
        .about("Copy a whole sale into another, empty database; audit both; exit 1 if anything is wrong")
        .after_help(LEARN)
        .arg(url("from", "The database of the sale: sqlite://FILE or postgres://USER@HOST/DATABASE. It is not changed"))
        .arg(url("to", "The new database, which must be empty"))
}

/// Copies, and prints a line for each table.
pub(super) fn run(given: &ArgMatches) -> Outcome {
    let (from, to) = (url(given, "from")?, url(given, "to")?);
    if from == to {
        return Err(Failed::Usage("--from and --to name the same database".to_owned()));
    }
    let named = |name: &str, url: &str| database(url).map_err(|problem| Failed::Usage(format!("--{name} {problem}")));
    let (from, to) = (named("from", &from)?, named("to", &to)?);
    block_on(async {
        let mut source = sale::copy_source(&from).await?;
        // After it was opened: nothing can change any more. A copy of a broken sale would be a broken one.
        check(&from, "the source is not copied").await?;
        let target = sale::copy_target(&to).await?;
        let rows = copy(&mut *source, target, |progress| report(&progress)).await;
        let rows = rows.map_err(|error| Failed::Error(format!("{to}: {error}")))?;
        check(&to, "the copy must not be used").await?;
        print(&format!("copied {} rows from {from} to {to}; both keep every invariant", grouped(rows)))
    })
}

/// The URL that an argument is, or that is in the file that it names.
fn url(given: &ArgMatches, name: &str) -> Result<String, Failed> {
    let value = given.get_one::<String>(name).cloned().unwrap_or_default();
    let Some(file) = value.strip_prefix('@') else { return Ok(value) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failed::Usage(format!("--{name} names the file {file}, which cannot be read: {error}")))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Audits a database.
///
/// # Errors
/// `Failed::Error` if an invariant is broken, with `consequence`.
async fn check(url: &DatabaseUrl, consequence: &str) -> Result<(), Failed> {
    let findings = audit(&*sale::audit_source(url).await?).await?;
    let broken: Vec<String> = findings.iter().filter(|finding| finding.broken > 0).map(super::audit::line).collect();
    if broken.is_empty() {
        return print(&format!("{url}: all {} invariants hold", findings.len())).map(|_| ());
    }
    print(&broken.join("\n"))?;
    Err(Failed::Error(format!("{url}: {} invariants are broken, so {consequence}", broken.len())))
}

/// A line for a table, or for a part of a long one. A closed standard output does not stop the copy.
fn report(progress: &Progress) {
    let Progress { table, rows, is_whole } = progress;
    let so_far = if *is_whole { "" } else { " so far" };
    let _: Result<ExitCode, Failed> = print(&format!("{table}: {} rows{so_far}", grouped(*rows)));
}
