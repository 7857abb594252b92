//! The course of a drill: a sale at rest, the cause, the signal, the commands of the page, the end, the audit.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::incidents::Incident;
use crate::page::{Page, Step};
use crate::report::Report;
use crate::scene::{Pace, Scene};
use crate::shell::Ran;
use crate::timeline::Timeline;
use crate::traffic::{Tally, Traffic};

/// Buyers who have paid before the cause, and again after the end.
const SOLD: u64 = 5;

/// Longest time until the signal: the slowest alert needs a bit more than two minutes.
const SIGNAL_MAX: Duration = Duration::from_secs(300);

/// Longest time until a command prints what its page promises.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// Longest time until an action is done: some wait until an earlier one has its effect.
const ACTION_MAX: Duration = Duration::from_secs(180);

/// Longest time from the last action to the end.
const OVER_MAX: Duration = Duration::from_secs(180);

/// Interval of repeated looks.
const AGAIN: Duration = Duration::from_millis(500);

/// Runs one incident from its cause to its end.
///
/// # Errors
/// If the signal does not come, a command of the page fails or prints something else, the end does not come, buyers are not
/// served again, or an acknowledged payment is lost.
pub(crate) async fn run<I: Incident>(mut incident: I, program: &Path, pace: Pace) -> Outcome<Report> {
    let page = Page::read(I::NAME)?;
    let mut timeline = Timeline::of(I::NAME);
    let mut scene = Scene::start(program, &incident.stage(), pace).await?;
    incident.prepare(&mut scene).await;
    timeline.note("the parts run");
    let clients = scene.clients.clone();
    let traffic = Traffic::start(&scene.balancer.base(), clients, &scene.concert, &scene.performance);
    traffic.sells(SOLD).await?;
    timeline.note(format!("{SOLD} buyers have paid"));
    timeline.cause();
    let before = traffic.tally().await;
    incident.cause(&mut scene).await;
    timeline.note(incident.what());
    let went = follow(&mut incident, &page, &mut scene, (&traffic, &before), &mut timeline).await;
    match went {
        Ok((to_signal, to_end, during)) => {
            let seconds = traffic.sells(SOLD).await?;
            timeline.note(format!("{SOLD} more buyers have paid within {seconds:.1} s"));
            incident.end(&mut scene).await;
            let (all, lost) = traffic.finish().await?;
            let account = incident.accounts_for(&scene, &lost)?;
            timeline.note(format!("{} payments were acknowledged, and {account}", all.sold));
            Ok(Report { drill: I::NAME, signal: page.alert().unwrap_or("audit").to_owned(), to_signal, to_end, during })
        }
        // The buyers end with the runtime.
        Err(error) => {
            Err(format!("{error}\nbuyers: {}\n{}", traffic.tally().await.since(&before).line(), timeline.lines()))
        }
    }
}

/// From the signal to the end check. Returns the seconds to both, and what buyers saw until then.
async fn follow<I: Incident>(
    incident: &mut I,
    page: &Page,
    scene: &mut Scene,
    (traffic, before): (&Traffic, &Tally),
    timeline: &mut Timeline,
) -> Outcome<(f64, f64, Tally)> {
    match page.alert() {
        Some(alert) => fires(scene, alert, timeline).await?,
        None => {
            for step in page.steps("Signals") {
                prints(scene, &step, SIGNAL_MAX, timeline).await?;
            }
        }
    }
    let to_signal = timeline.seconds();
    let seen = traffic.tally().await.since(before);
    timeline.note(format!("signal; buyers so far: {} served, {} to retry", seen.good, seen.later));
    for step in page.steps("Look") {
        prints(scene, &step, LOOK_MAX, timeline).await?;
    }
    for step in page.steps("Do") {
        match &step {
            Step::Repair => {
                incident.repair(scene).await;
                timeline.note(incident.repaired());
            }
            Step::Command { .. } => performs(scene, &step, timeline).await?,
        }
    }
    let steps = page.steps("It is over when");
    let began = Instant::now();
    for step in &steps {
        prints(scene, step, OVER_MAX.saturating_sub(began.elapsed()), timeline).await?;
    }
    let to_end = timeline.seconds();
    timeline.note("over");
    Ok((to_signal, to_end, traffic.tally().await.since(before)))
}

/// Waits until the alert fires in Prometheus.
async fn fires(scene: &Scene, alert: &str, timeline: &mut Timeline) -> Outcome<()> {
    let began = Instant::now();
    loop {
        if let Some(firing) = scene.prometheus.firing(alert).await.first() {
            timeline.note(format!("{alert} fires: {}", firing["annotations"]["summary"].as_str().unwrap_or_default()));
            return Ok(());
        }
        if began.elapsed() > SIGNAL_MAX {
            return Err(format!("{alert} does not fire within {} s", SIGNAL_MAX.as_secs()));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Runs a command until it prints what the page promises.
async fn prints(scene: &Scene, step: &Step, at_most: Duration, timeline: &mut Timeline) -> Outcome<()> {
    again(scene, step, at_most, |ran, prints| ran.output.contains(prints), timeline).await
}

/// Runs a command until it ends with 0, too. An operator also repeats a command that was refused, such as one that came
/// before the balancer had noticed the repair.
async fn performs(scene: &Scene, step: &Step, timeline: &mut Timeline) -> Outcome<()> {
    again(scene, step, ACTION_MAX, |ran, prints| ran.is_done && ran.output.contains(prints), timeline).await
}

async fn again(
    scene: &Scene,
    step: &Step,
    at_most: Duration,
    is_enough: fn(&Ran, &str) -> bool,
    timeline: &mut Timeline,
) -> Outcome<()> {
    let Step::Command { line, prints } = step else { return Ok(()) };
    let began = Instant::now();
    loop {
        let ran = scene.shell.run(line).await;
        if is_enough(&ran, prints) {
            timeline.note(format!("$ {line}: {}", ran.line()));
            return Ok(());
        }
        if began.elapsed() > at_most {
            return Err(format!("{line}: never does its work or never prints {prints:?}, but: {}", ran.output));
        }
        tokio::time::sleep(AGAIN).await;
    }
}
