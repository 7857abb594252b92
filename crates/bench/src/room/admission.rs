//! Admission of many users at once: from the moment at which the room may admit them to the moment at which the last of them
//! has a turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_load_generator::{ClosedLoop, Connection, Outcome, Supply, closed_loop};
use serde_json::json;

use super::deployment::{Deployment, Issuer, configure, room};
use crate::machine::{Machine, Recording, Server};
use crate::measure::median;
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::users::{poll, tokens};

/// Number of users admitted at once.
const ADMITTED: usize = 10_000;

/// Maximum duration of one admission.
const PATIENCE: Duration = Duration::from_secs(30);

/// Interval of the polls that wait for it.
const POLL_EVERY: Duration = Duration::from_micros(500);

/// How long one admission took, in milliseconds.
struct Took {
    /// From the request that changed the settings.
    whole: f64,
    /// From the answer to that request.
    after_answer: f64,
}

/// Polls for one token until it has a turn.
fn poll_until_active(server: &Server, token: &str) -> Outcome<()> {
    let request = poll(token).to_bytes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = server.program.address();
    let polling = async {
        let mut connection = Connection::open(address).await?;
        while connection.exchange(&request).await?.text("status") != Some("ACTIVE") {
            tokio::time::sleep(POLL_EVERY).await;
        }
        Ok::<_, std::io::Error>(())
    };
    let polled = runtime.block_on(async { tokio::time::timeout(PATIENCE, polling).await });
    Ok(polled.map_err(|_| format!("no turn within {PATIENCE:?}"))??)
}

/// Admits this many users of a new room at once.
fn admit(server: &Server, users: usize) -> Outcome<Took> {
    let concert = server.admin.concert(&room(1, 1_000_000))?;
    tokens(server, &concert, 0..1)?;
    let line = tokens(server, &concert, 1..users + 1)?;
    let last = line.last().ok_or("the line is empty")?;
    let began = Instant::now();
    let took = std::thread::scope(|scope| -> Outcome<_> {
        // Places are handed out in order of arrival, so the place of the last answer is among the last.
        let polling = scope.spawn(|| poll_until_active(server, last));
        configure(server, &concert, &json!({"maxActive": users + 1}))?;
        let answered = Instant::now();
        polling.join().map_err(|_| "a thread panicked")??;
        // The user who was polled for may not be the very last in line.
        while server.admin.line(&concert)?.0 > 0 {}
        let millis = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
        Ok(Took { whole: millis(began), after_answer: millis(answered) })
    })?;
    let supply = Arc::new(Supply::once(line.iter().map(|token| poll(token))));
    let how = ClosedLoop { keep: Some("activeUntil"), ..ClosedLoop::all(64) };
    let polls = closed_loop(server.program.address(), &supply, &how)?;
    if polls.tally.kept.len() != users {
        return Err(format!("{} of {users} polls show a turn", polls.tally.kept.len()).into());
    }
    Ok(took)
}

pub(super) fn at_once(machine: &Machine, target: Target, issuer: Issuer) -> Outcome<Work<'_>> {
    let deployment = Deployment::start(machine, issuer, 1)?;
    Ok(Box::new(move |results| {
        let recording = machine.record(deployment.first(), "room-admission")?;
        let mut all = Vec::new();
        for _ in 0..machine.scale.pick(5, 1, 1) {
            all.push(admit(deployment.first(), machine.scale.at_most(ADMITTED))?);
        }
        recording.map(Recording::finish).transpose()?;
        let whole = median(all.iter().map(|took| took.whole).collect());
        let after = median(all.iter().map(|took| took.after_answer).collect());
        let line = Line {
            result: Figure::Millis(whole),
            reference: Figure::Words(format!("{after:.1} ms after the answer")),
            ..Line::new(format!("10,000 admitted at once, room on {}", issuer.name()))
        };
        results.add(line.judged(target, whole));
        deployment.finish()
    }))
}
