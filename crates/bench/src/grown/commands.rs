//! Commands on each database: how long they take, and how much memory they use.

use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use onsale_load_generator::{Histogram, Outcome};

use super::database::Database;
use super::pairs::{Pairs, in_seconds, seconds};
use crate::machine::Machine;
use crate::results::Figure;

/// How often the memory of a command is read.
const READ_MEMORY_EVERY: Duration = Duration::from_millis(10);

/// Lines of `onsale events` that one read of the log gives.
const PAGE: usize = 1_000;

/// Commands that read a bounded part of the data, whatever its size.
const BOUNDED: [&[&str]; 3] = [&["migrate"], &["events", "--last", "1000"], &["events", "--state", "dead"]];

/// Runs each command on the small database, then on the grown one.
pub(super) fn measure(machine: &Machine, both: &[Database<'_>; 2], pairs: &mut Pairs<'_>) -> Outcome<()> {
    for arguments in BOUNDED {
        let [small, grown] = [bounded(machine, &both[0], arguments)?, bounded(machine, &both[1], arguments)?];
        pairs.values(&format!("onsale {}", arguments.join(" ")), [small, grown].map(in_seconds), seconds);
    }
    event_pages(machine, both, pairs)?;
    let run = |database: &Database<'_>| timed(machine.program(), &["audit"], &database.url());
    let [small, grown] = [run(&both[0])?, run(&both[1])?];
    pairs.figures("onsale audit", [small.0, grown.0].map(|time| seconds(in_seconds(time))));
    pairs.figures("onsale audit: its memory", [small.1, grown.1].map(Figure::Megabytes));
    let share = |(time, _): &(Duration, f64), database: &Database<'_>| {
        in_seconds(*time) * 1e6 / database.size.all_reservations() as f64
    };
    let each = [share(&small, &both[0]), share(&grown, &both[1])];
    pairs.figures("onsale audit, for each reservation", each.map(|micros| Figure::Words(format!("{micros:.0} µs"))));
    Ok(())
}

/// The fastest of a few runs: the start of a process varies.
fn bounded(machine: &Machine, database: &Database<'_>, arguments: &[&str]) -> Outcome<Duration> {
    let runs = machine.scale.pick(3, 3, 1);
    let times = (0..runs).map(|_| Ok(timed(machine.program(), arguments, &database.url())?.0));
    Ok(times.collect::<Outcome<Vec<_>>>()?.into_iter().min().unwrap_or_default())
}

/// Reads the whole log. The time of a page is that between the last lines of two reads.
fn event_pages(machine: &Machine, both: &[Database<'_>; 2], pairs: &mut Pairs<'_>) -> Outcome<()> {
    let [small, grown] = [pages(machine, &both[0])?, pages(machine, &both[1])?];
    let sums = [&small, &grown].map(|pages| seconds(in_seconds(pages.iter().sum())));
    pairs.figures("onsale events --json, all of the log", sums);
    for (part, name) in ["begin", "middle", "end"].into_iter().enumerate() {
        let both = [&small, &grown].map(|pages| part_of(pages, part));
        pairs.latencies(&format!("event log, a page of 1,000 at the {name}"), 0, &both);
    }
    Ok(())
}

/// The times of a fifth of the pages: the first, the middle or the last one.
fn part_of(pages: &[Duration], part: usize) -> Histogram {
    let fifth = pages.len().div_ceil(5);
    let from = (pages.len() - fifth) * part / 2;
    let mut times = Histogram::default();
    pages[from..from + fifth].iter().for_each(|time| times.add(*time));
    times
}

/// The times of all full pages, in the order of the log.
fn pages(machine: &Machine, database: &Database<'_>) -> Outcome<Vec<Duration>> {
    let mut child =
        command(machine.program(), &["events", "--json"], &database.url()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("the command has no output")?;
    let read = times_of_pages(output);
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("onsale events ended with {status}").into());
    }
    read
}

fn times_of_pages(output: ChildStdout) -> Outcome<Vec<Duration>> {
    let mut reader = BufReader::with_capacity(1 << 16, output);
    let (mut times, mut lines) = (Vec::new(), 0);
    let mut line = Vec::new();
    let mut began = Instant::now();
    while reader.read_until(b'\n', &mut line)? > 0 {
        lines += 1;
        line.clear();
        if lines == PAGE {
            let now = Instant::now();
            times.push(now - began);
            (lines, began) = (0, now);
        }
    }
    // A log that is shorter than a page counts as one.
    if times.is_empty() {
        times.push(began.elapsed());
    }
    Ok(times)
}

fn command(program: &Path, arguments: &[&str], url: &str) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("ONSALE_DATABASE_URL", url).env("ONSALE_LOG", "warn").stdin(Stdio::null());
    command
}

/// Runs a command until it ends. Returns how long it took, and the most memory that it used, in megabytes.
fn timed(program: &Path, arguments: &[&str], url: &str) -> Outcome<(Duration, f64)> {
    let began = Instant::now();
    let mut output = tempfile::tempfile()?;
    let mut child: Child = command(program, arguments, url).stdout(output.try_clone()?).spawn()?;
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak = peak.max(most.unwrap_or(0.0) / 1024.0);
        std::thread::sleep(READ_MEMORY_EVERY);
    };
    let took = began.elapsed();
    if !status.success() {
        let mut text = String::new();
        output.rewind()?;
        output.read_to_string(&mut text)?;
        return Err(format!("onsale {} ended with {status}:\n{text}", arguments.join(" ")).into());
    }
    Ok((took, peak))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_first_the_middle_and_the_last_fifth() {
        let pages: Vec<Duration> = (1..=10).map(Duration::from_secs).collect();
        let longest = |part| part_of(&pages, part).permille(1_000).as_secs_f64().round();
        assert_eq!([0, 1, 2].map(longest), [2.0, 6.0, 10.0]);
        assert_eq!(part_of(&pages[..1], 2).total(), 1);
    }
}
