//! A small size of the laboratory, so that it keeps working: controls that must hold do, and those that must fail are seen
//! to fail.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

use onsale_testing::without;

use super::bed::Bed;
use super::controls::{CONTROLS, Claim, Control};
use super::faults::{FAULTS, Fault};
use super::harness::{Figures, Load, Spread, run};
use super::scene::Constraints;
use super::tables::{self, Size};
use super::truth;

/// No run is longer than twice this, in seconds.
const SECONDS_MAX: f64 = 5.0;

fn charges(connections: usize) -> Load {
    Load {
        wallets: 1,
        spread: Spread::Even,
        connections,
        seconds: 0.2,
        initial: 0,
        amount: 1,
        constraints: Constraints::Off,
        rate: None,
    }
}

/// A file of the repository.
fn repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

#[test]
fn the_document_names_tests_that_exist_and_controls_as_they_are() {
    let document = std::fs::read_to_string(repository("docs/measurements/locks.md")).unwrap();
    let named: Vec<(&str, &str)> = document
        .split('`')
        .filter(|word| word.starts_with("crates/"))
        .filter_map(|word| word.split_once("::"))
        .collect();
    assert!(named.len() >= 15, "{named:?}");
    for (file, test) in named {
        let source = std::fs::read_to_string(repository(file)).unwrap_or_default();
        assert!(source.contains(&format!("fn {test}(")), "{file} has no test {test}");
    }
    let (_, controls) = document.split_once("<!-- begin controls -->").unwrap();
    let (controls, _) = controls.split_once("<!-- end controls -->").unwrap();
    assert_eq!(
        controls.trim(),
        super::list().text.trim(),
        "run: ./bench locks controls --doc docs/measurements/locks.md"
    );
}

#[test]
fn each_claim_fails_in_one_experiment_or_none() {
    for claim in CONTROLS.iter().map(|control| control.claim) {
        let failing = FAULTS.iter().filter(|fault| fault.must_fail(claim)).count();
        assert_eq!(failing, usize::from(claim != Claim::Holds), "{claim:?}");
    }
    assert!(FAULTS.iter().all(|fault| !fault.must_fail(Claim::Holds)));
    assert!(Fault::None.must_fail(Claim::FailsAtOnce), "without a control the harness must see it");
}

/// Runs a control for longer each time until something was decided and the figures are as wanted: a slow machine needs longer to
/// see a failure or to give all places away. A control that must hold must do so each time.
async fn run_until(bed: &Bed, control: &'static Control, load: Load, wanted: impl Fn(&Figures) -> bool) -> Figures {
    let mut seconds = load.seconds;
    loop {
        let figures = run(bed, control, Load { seconds, ..load }).await.unwrap();
        let is_broken = control.claim != Claim::FailsAtOnce && !figures.verdict.holds();
        if (figures.won > 0 && wanted(&figures)) || is_broken || seconds > SECONDS_MAX {
            return figures;
        }
        seconds *= 2.0;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_holds_or_is_seen_to_fail() {
    if without("postgres") || without("redis") {
        return;
    }
    let bed = Bed::start().await.unwrap();
    for control in CONTROLS {
        let holds = control.claim != Claim::FailsAtOnce;
        let figures = run_until(&bed, control, charges(8), |figures| figures.verdict.holds() == holds).await;
        assert!(figures.won > 0, "{}: nothing was decided: {figures:?}", control.name);
        assert_eq!(figures.verdict.holds(), holds, "{}: {}", control.name, figures.verdict);
        let last = Load { initial: 3, amount: -1, constraints: Constraints::On, ..charges(8) };
        let figures = run_until(&bed, control, last, |figures| figures.won == 3 || !holds).await;
        assert!(figures.verdict.holds() || !holds, "{}: {}", control.name, figures.verdict);
        assert!(figures.won == 3 || !holds, "{}: {} winners of 3 places", control.name, figures.won);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_truth_table_knows_a_lost_update() {
    if without("postgres") || without("redis") {
        return;
    }
    let bed = Bed::start().await.unwrap();
    let lost = &truth::ANOMALIES[0];
    for (script, is_right) in [("none", false), ("FOR UPDATE", true), ("REPEATABLE READ", true)] {
        let script = lost.scripts.iter().find(|known| known.name == script).unwrap();
        let tally = truth::tally(&bed, lost, script).await.unwrap();
        assert_eq!(tally.wrong == 0, is_right, "{}: {tally:?}", script.name);
        assert_eq!(tally.interleavings, 20, "3 of 6 steps");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_is_printed() {
    if without("postgres") || without("redis") {
        return;
    }
    let mut bed = Bed::start().await.unwrap();
    let parts = [
        tables::contention(&bed, Size::TINY).await.unwrap(),
        tables::connections(&bed, Size::TINY).await.unwrap(),
        tables::last_places(&bed, Size::TINY).await.unwrap(),
        tables::law(&mut bed, Size::TINY).await.unwrap(),
    ];
    for part in &parts {
        assert_eq!(part.alarms, Vec::<String>::new());
        assert!(CONTROLS.iter().filter(|control| part.text.contains(control.name)).count() > 10, "{}", part.text);
    }
    let charts = parts.iter().flat_map(|part| &part.charts);
    assert!(charts.into_iter().all(|(_, chart)| chart.svg().contains("<polyline")));
}
