//! What clients in line are told of their wait, compared with the wait.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use onsale_load_generator::{Connection, Outcome, Request};

use super::deployment::{Deployment, Issuer, room};
use crate::machine::{Machine, Server};
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::users::{poll, tokens};

/// Users in line.
const USERS: usize = 400;

/// Turns at once, and admissions a second.
const ROOM: (u32, u32) = (20, 1_000);

/// A turn lasts this long, and up to as much longer.
const TURN: Duration = Duration::from_millis(800);

/// Maximum duration of the row.
const PATIENCE: Duration = Duration::from_secs(120);

/// Admissions from which on estimates are judged.
const JUDGED_FROM: u32 = 10;

/// The share of waits inside the bounds.
const INSIDE: Target = Target::at_least(0.8);

/// What one answer said, in seconds.
struct Told {
    at: Instant,
    seconds: f64,
    low: f64,
    high: f64,
    is_judged: bool,
}

/// A user in line.
struct Waiting {
    token: String,
    polls_at: Instant,
    told: Vec<Told>,
}

/// Answers that were right, and all.
#[derive(Default)]
struct Shares {
    close: (u32, u32),
    inside: (u32, u32),
}

impl Shares {
    /// Compares what a user was told with the admission. A client learns of it within a second.
    fn compare(&mut self, told: &[Told], called_at: Instant) {
        for Told { at, seconds, low, high, is_judged } in told {
            let waited = called_at.duration_since(*at).as_secs_f64();
            self.inside.0 += u32::from((*low..=*high).contains(&waited));
            self.inside.1 += 1;
            if *is_judged {
                self.close.0 += u32::from((seconds - waited).abs() <= (waited / 4.0).max(1.0));
                self.close.1 += 1;
            }
        }
    }
}

fn share((some, all): (u32, u32)) -> f64 {
    f64::from(some) / f64::from(all.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "small numbers of seconds")]
fn told(reply: &onsale_load_generator::Reply<'_>, is_judged: bool) -> Outcome<Told> {
    let number = |name: &str| reply.number(name).ok_or_else(|| format!("a place in line without {name}"));
    let [seconds, low, high] = [number("estimatedWaitSeconds")?, number("low")?, number("high")?].map(|it| it as f64);
    Ok(Told { at: Instant::now(), seconds, low, high, is_judged })
}

/// Users poll as they are told, and leave their turns after a while.
async fn wait(server: &Server, line: Vec<String>) -> Outcome<Shares> {
    let mut connection = Connection::open(server.program.address()).await?;
    let began = Instant::now();
    let mut waiting: Vec<Waiting> =
        line.into_iter().map(|token| Waiting { token, polls_at: began, told: Vec::new() }).collect();
    let mut turns: VecDeque<(Instant, String)> = VecDeque::new();
    let (mut called, mut shares) = (0_u32, Shares::default());
    while !waiting.is_empty() {
        if began.elapsed() > PATIENCE {
            return Err(format!("{} users are still in line after {PATIENCE:?}", waiting.len()).into());
        }
        let now = Instant::now();
        while turns.front().is_some_and(|(ends_at, _)| *ends_at <= now) {
            let Some((_, token)) = turns.pop_front() else { break };
            let leave = Request::new("DELETE", "/queue/token").token(&token).to_bytes();
            connection.exchange(&leave).await?;
        }
        let mut index = 0;
        while index < waiting.len() {
            if waiting[index].polls_at > now {
                index += 1;
                continue;
            }
            let request = poll(&waiting[index].token).to_bytes();
            let reply = connection.exchange(&request).await?;
            if reply.text("status") == Some("ACTIVE") {
                called += 1;
                let Waiting { token, told, .. } = waiting.swap_remove(index);
                shares.compare(&told, Instant::now());
                turns.push_back((Instant::now() + TURN + TURN * (called % 5) / 5, token));
                continue;
            }
            let told = told(&reply, called >= JUDGED_FROM)?;
            let after = reply.number("pollAfterSeconds").ok_or("a place in line without pollAfterSeconds")?;
            waiting[index].told.push(told);
            waiting[index].polls_at = Instant::now() + Duration::from_secs(after);
            index += 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(shares)
}

pub(super) fn told_and_true(machine: &Machine, target: Target, issuer: Issuer) -> Outcome<Work<'_>> {
    let deployment = Deployment::start(machine, issuer, 1)?;
    Ok(Box::new(move |results| {
        let server = deployment.first();
        let concert = server.admin.concert(&room(ROOM.0, ROOM.1))?;
        let line = tokens(server, &concert, 0..machine.scale.at_most(USERS))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Shares { close, inside } = runtime.block_on(wait(server, line))?;
        for (work, shares, target) in
            [("estimates within a quarter of the wait", close, target), ("waits between the bounds", inside, INSIDE)]
        {
            let (value, work) = (share(shares), format!("{work}, room on {}", issuer.name()));
            let result = Figure::Words(format!("{value:.2} of {}", shares.1));
            results.add(Line { result, ..Line::new(work) }.judged(target, value));
        }
        deployment.finish()
    }))
}
