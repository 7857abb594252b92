//! Admission of many users at once: from the moment at which the room may admit them to the moment at which the last of them
//! learns of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_load_generator::{Closed, Connection, Outcome, Request, Supply, closed};
use serde_json::json;

use super::parts::{Home, Parts, configure, room};
use crate::measure::{Bench, Server, median};
use crate::rows::crowd::tokens;
use crate::table::{Line, Verdict};

/// Number of users admitted at once.
const ADMITTED: usize = 10_000;

const TARGET: Duration = Duration::from_millis(100);

/// Maximum duration.
const PATIENCE: Duration = Duration::from_secs(30);

/// Polls for one token until it is active.
fn until_active(server: &Server, token: &str) -> Outcome<()> {
    let request = Request::get("/queue/token").token(token).to_bytes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = server.program.address();
    let polling = async {
        let mut connection = Connection::open(address).await?;
        while connection.exchange(&request).await?.text("status") != Some("ACTIVE") {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        Ok::<_, std::io::Error>(())
    };
    let polled = runtime.block_on(async { tokio::time::timeout(PATIENCE, polling).await });
    Ok(polled.map_err(|_| "they were never admitted")??)
}

/// Duration from the change of the settings, and from its answer.
fn once(server: &Server) -> Outcome<(Duration, Duration)> {
    let concert = server.stage.concert(&room(1, 1_000_000))?;
    tokens(server, &concert, 0..1)?;
    let line = tokens(server, &concert, 1..ADMITTED + 1)?;
    let began = Instant::now();
    let (whole, answered) = std::thread::scope(|scope| -> Outcome<_> {
        // Places are handed out in order of arrival, so the last answer's place is among the last.
        let last = scope.spawn(|| line.last().map(|token| until_active(server, token)));
        configure(server, &concert, &json!({"maxActive": ADMITTED + 1}))?;
        let answered = Instant::now();
        last.join().map_err(|_| "a thread panicked")?.ok_or("the line is empty")??;
        until_all_run(server, &concert)?;
        Ok((began.elapsed(), answered.elapsed()))
    })?;
    let supply = Arc::new(Supply::once(line.iter().map(|token| Request::get("/queue/token").token(token))));
    let how = Closed { keep: Some("activeUntil"), ..Closed::all(64) };
    let polls = closed(server.program.address(), &supply, &how)?;
    if polls.tally.kept.len() != ADMITTED {
        return Err(format!("{} of {ADMITTED} polls show an active turn", polls.tally.kept.len()).into());
    }
    Ok((whole, answered))
}

/// The first polled user may not be the very last in line.
fn until_all_run(server: &Server, concert: &str) -> Outcome<()> {
    while server.stage.line(concert)?.0 > 0 {}
    Ok(())
}

pub(super) fn at_once(bench: &mut Bench) -> Outcome<()> {
    for home in Home::BOTH {
        let parts = Parts::start(bench, home, 1)?;
        let rounds = if bench.scale.rounds == 1 { 1 } else { 5 };
        let recording = bench.record(parts.first(), "room-admission")?;
        let mut took = Vec::new();
        for _ in 0..rounds {
            took.push(once(parts.first())?);
        }
        recording.map(crate::profile::Recording::finish).transpose()?;
        let millis = |all: Vec<Duration>| median(all.iter().map(|time| time.as_secs_f64() * 1e3).collect());
        let whole = millis(took.iter().map(|(whole, _)| *whole).collect());
        let after = millis(took.iter().map(|(_, after)| *after).collect());
        let target = (home == Home::Redis).then(|| format!("≤ {} ms", TARGET.as_millis()));
        let verdict = Verdict::of(whole <= TARGET.as_secs_f64() * 1e3);
        bench.table.add(Line {
            rate: format!("{whole:.1} ms"),
            empty: format!("{after:.1} ms after the answer"),
            verdict: if target.is_some() { verdict } else { Verdict::Told },
            target: target.unwrap_or_default(),
            ..Line::new(format!("10,000 admitted at once, room on {}", home.name()), Verdict::Told)
        });
        parts.finish()?;
    }
    Ok(())
}
