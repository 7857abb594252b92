//! The command line.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};
use onsale_load_generator::Outcome;

use crate::load::sizes::{self, Sizes};
use crate::load::{self, Load};
use crate::row::Row;
use crate::scale::Scale;
use crate::suite::Suite;

/// What to do, from the command line.
pub(crate) enum Plan {
    /// Measures rows.
    Measure(Measure),
    /// Prints the names of the rows of a suite.
    List(Suite),
    /// Fills the page of measurements from the raw output that is there.
    Page(PathBuf),
    /// Checks a log of a waiting room's answers.
    Audit(PathBuf),
    /// Runs, lists or shows the scenarios of the load test.
    Load(Load),
    /// Measures instances under limits of processor and memory.
    Sizes(Sizes),
    /// Serves a reference handler, for another process of this program.
    ServeEmpty,
    /// Serves the reference handler that awaits one `INCR` on the Redis with this URL.
    ServeIncr(String),
}

/// Rows to measure.
pub(crate) struct Measure {
    pub(crate) suite: Suite,
    pub(crate) scale: Scale,
    pub(crate) is_profiled: bool,
    pub(crate) rows: Vec<&'static Row>,
    /// The page of measurements to fill in.
    pub(crate) document: Option<PathBuf>,
    /// The program to measure, if it is not the one next to this one.
    pub(crate) program: Option<PathBuf>,
}

fn command() -> Command {
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    let factor = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("NUMBER").value_parser(value_parser!(f64)).help(help)
    };
    Command::new("onsale-bench")
        .about("Measures the released program next to references on the same machine")
        .after_help(
            "Exits with 1 if an answer was wrong. A missed target is shown in the table only, because noise can cause it.",
        )
        .arg(
            Arg::new("words").value_name("WORD").num_args(0..).help(
                "A suite (postgres, staff, room, opening, reads, events, grown; without one: the program alone), a size (quick), profile, \
                 list, or part of the name of a row. Also: page, audit FILE, load [list|quick|page] [SCENARIO..] \
                 [sqlite|shared] [rust|gatling], and sizes [list|quick|page] [knee|line] [sqlite|shared]",
            ),
        )
        .arg(file("doc", "Write the raw output next to this page, and fill in its tables and charts"))
        .arg(file("program", "The program to measure [default: onsale, in the folder of this program]"))
        .arg(factor("scale", "load: factor of rates, seats and admissions [default: that of the size]"))
        .arg(factor("stretch", "load: factor of durations [default: that of the size]"))
        .arg(factor("knee", "load: whole purchases per second that the machine can do [default: as measured, or assumed]"))
        .arg(Arg::new("tiny").long("tiny").action(ArgAction::SetTrue).hide(true))
}

/// Reads the command line of this process. With `--help`, prints the help and ends the process.
///
/// # Errors
/// If a word names no row.
pub(crate) fn read() -> Outcome<Plan> {
    let mut matches = command().get_matches();
    let words: Vec<String> = matches.remove_many("words").unwrap_or_default().collect();
    let document: Option<PathBuf> = matches.remove_one("doc");
    if let Some((load::SUITE, rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let [scale, stretch, knee] = ["scale", "stretch", "knee"].map(|name| matches.remove_one(name));
        let (program, is_tiny) = (matches.remove_one("program"), matches.get_flag("tiny"));
        let factors = load::Factors { scale, stretch, knee };
        return load::read(rest, is_tiny, (factors, document, program)).map(Plan::Load);
    }
    if let Some((sizes::SUITE, rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let (program, is_tiny) = (matches.remove_one("program"), matches.get_flag("tiny"));
        return sizes::read(rest, is_tiny, document, program).map(Plan::Sizes);
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [crate::machine::references::EMPTY] => return Ok(Plan::ServeEmpty),
        [crate::machine::references::INCR, url] => return Ok(Plan::ServeIncr(url.to_owned())),
        ["audit", file] => return Ok(Plan::Audit(file.into())),
        ["page"] => return document.map(Plan::Page).ok_or_else(|| "page needs --doc FILE".into()),
        _ => {}
    }
    let is_keyword =
        |word: &&String| Suite::named(word).is_some() || ["quick", "profile", "list"].contains(&word.as_str());
    let (keywords, filters): (Vec<_>, Vec<_>) = words.iter().partition(is_keyword);
    let has = |wanted: &str| keywords.iter().any(|word| *word == wanted);
    let suite = keywords.iter().find_map(|word| Suite::named(word)).unwrap_or(Suite::Server);
    if has("list") {
        return Ok(Plan::List(suite));
    }
    let matching = |row: &Row, filter: &str| row.name.contains(filter);
    let all = suite.rows();
    if let Some(unknown) = filters.iter().find(|filter| !all.iter().any(|row| matching(row, filter))) {
        return Err(format!("no row of this suite is called {unknown}; ./bench list prints the names").into());
    }
    if document.is_some() && !filters.is_empty() {
        return Err("--doc needs all rows of a suite, because it replaces the raw output of all of them".into());
    }
    let is_wanted = |row: &&Row| filters.is_empty() || filters.iter().any(|filter| matching(row, filter));
    let scale = match (matches.get_flag("tiny"), has("quick")) {
        (true, _) => Scale::TINY,
        (false, true) => Scale::QUICK,
        (false, false) => Scale::FULL,
    };
    let (is_profiled, program) = (has("profile"), matches.remove_one("program"));
    Ok(Plan::Measure(Measure {
        suite,
        scale,
        is_profiled,
        rows: all.iter().filter(is_wanted).collect(),
        document,
        program,
    }))
}
