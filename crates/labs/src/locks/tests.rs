//! A small size of the laboratory, so that it keeps working. Runs have a number of requests, not a duration, and a collision is
//! planned step by step: nothing here depends on the speed of the machine.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::sync::Arc;

use onsale_testing::postgres::Setup;
use onsale_testing::without;

use super::bed::Bed;
use super::controls::{CONTROLS, Claim, Control, Needs, control, lines};
use super::faults::{FAULTS, Fault};
use super::harness::{Load, Span, Spread, run};
use super::lane::BATCH_MAX;
use super::scene::{Constraints, Op};
use super::session::{Between, Pause, Session, Shared};
use super::tables::{self, Size};
use super::verdict::{Answers, Verdict};
use super::{law, traps, truth, units};

fn charges(requests: i64) -> Load {
    Load {
        wallets: 1,
        spread: Spread::Even,
        connections: 8,
        span: Span::Requests(requests),
        initial: 0,
        amount: 1,
        constraints: Constraints::Off,
        rate: None,
        pause: Pause::Random,
        batch_max: BATCH_MAX,
    }
}

async fn bed() -> Bed {
    Bed::start(Setup::unsynced()).await.unwrap()
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
        let before = source.split_once(&format!("fn {test}(")).map_or("", |(before, _)| before);
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        // Or it is given to a macro that makes a test of it for each database.
        let is_test = attributes.contains("test") || source.contains(&format!("on_each_database!({test});"));
        assert!(is_test, "{file} has no test {test}");
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
fn lines_of_code_are_those_that_an_engineer_writes() {
    let source = "//! A control.\n\nuse a::{\n    B,\n};\npub(super) const WORDS: &str = \"BEGIN;\nCOMMIT;\";\n\n\
        const READ: &str = \"SELECT 1\";\n// Why.\nfn apply() {\n    read();\n}\n";
    assert_eq!(lines(source), 4);
}

#[test]
fn each_claim_fails_in_one_experiment_or_none() {
    for claim in CONTROLS.iter().map(|control| control.claim) {
        let failing = FAULTS.iter().filter(|fault| fault.must_fail(claim)).count();
        assert_eq!(failing, usize::from(claim != Claim::Holds), "{claim:?}");
    }
    assert!(Fault::None.must_fail(Claim::FailsAtOnce), "without a control the harness must see it");
}

/// Charges from eight clients, then more clients than places. Each decision has to be right.
async fn holds(bed: &Bed, control: &'static Control) {
    let figures = run(bed, control, charges(40)).await.unwrap();
    assert_eq!((figures.won, figures.refused), (40, 0), "{}: {figures:?}", control.name);
    assert!(figures.verdict.holds(), "{}: {}", control.name, figures.verdict);
    let last = Load { initial: 3, amount: -1, constraints: Constraints::On, ..charges(24) };
    let figures = run(bed, control, last).await.unwrap();
    assert_eq!((figures.won, figures.refused), (3, 21), "{}: {figures:?}", control.name);
    assert!(figures.verdict.holds(), "{}: {}", control.name, figures.verdict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_that_must_hold_does() {
    if without("postgres") || without("redis") {
        return;
    }
    let bed = bed().await;
    // A Redis lock ends while its holder is stopped, so on a busy machine it may fail here. The planned collision shows that.
    let must_hold = |control: &&Control| !matches!(control.claim, Claim::FailsAtOnce | Claim::FailsIfStopped);
    for control in CONTROLS.iter().filter(must_hold).filter(|control| control.needs != Needs::Kafka) {
        holds(&bed, control).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_consumer_of_a_partition_decides_right() {
    if without("postgres") || without("redis") || without("kafka") {
        return;
    }
    holds(&bed().await, control("P").unwrap()).await;
}

/// What is done to Redis between the read and the write of the first client, before the second client's change.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meanwhile {
    Nothing,
    /// The lock of the first client ends, as if it were stopped for longer than that lives.
    LockEnds,
    /// Redis loses its data.
    Emptied,
}

/// Two clients of different processes use one wallet: the second makes its whole change between the first one's read and
/// write.
async fn collision(bed: &Arc<Bed>, control: &'static Control, meanwhile: Meanwhile) -> Verdict {
    let initial = 10;
    bed.prepare(control, 1, initial, Constraints::Off).await.unwrap();
    let open = async |seed| {
        let mutexes = vec![tokio::sync::Mutex::new(())];
        let shared = Shared { mutexes, lane: None, sqlite: None, partition: None };
        Session::open(&bed.servers(control), Arc::new(shared), seed).await.unwrap()
    };
    let (mut first, mut second) = (open(1).await, open(2).await);
    let [own, other] = [1, 2].map(|id| Op { id, wallet: 0, amount: -1 });
    let bed_between = bed.clone();
    let between: Between = Box::new(move || {
        Box::pin(async move {
            if meanwhile != Meanwhile::Nothing {
                bed_between.empty_redis().unwrap();
            }
            assert!((control.apply)(&mut second, &other).await.unwrap(), "{}: there is enough for both", control.name);
        })
    });
    first.between = Some(between);
    assert!((control.apply)(&mut first, &own).await.unwrap(), "{}: there is enough for both", control.name);
    assert!(first.between.is_none(), "{}: the clients did not meet", control.name);
    let shared = first.shared.clone();
    bed.settle(control, &shared).await.unwrap();
    bed.audit(initial, &Answers { won: vec![own, other], unknown: Vec::new() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_that_must_fail_is_seen_to_fail() {
    if without("postgres") || without("redis") {
        return;
    }
    let bed = Arc::new(bed().await);
    let planned = [
        ("A", Meanwhile::Nothing, false),
        ("B", Meanwhile::Nothing, true),
        ("G", Meanwhile::Nothing, true),
        ("H", Meanwhile::Nothing, true),
        ("J", Meanwhile::Nothing, true),
        ("M", Meanwhile::LockEnds, false),
        ("N", Meanwhile::LockEnds, true),
        ("O", Meanwhile::Nothing, true),
        ("O", Meanwhile::Emptied, false),
        ("Q", Meanwhile::Nothing, false),
    ];
    for (letter, meanwhile, must_hold) in planned {
        let verdict = collision(&bed, control(letter).unwrap(), meanwhile).await;
        assert_eq!(verdict.holds(), must_hold, "{letter}, {meanwhile:?}: {verdict}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_truth_table_knows_a_lost_update() {
    if without("postgres") || without("redis") {
        return;
    }
    let bed = bed().await;
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
    let mut bed = bed().await;
    let measured = [
        tables::contention(&bed, Size::TINY).await.unwrap(),
        tables::connections(&bed, Size::TINY).await.unwrap(),
        tables::last_places(&bed, Size::TINY).await.unwrap(),
        law::law(&mut bed, Size::TINY).await.unwrap(),
    ];
    for part in &measured {
        assert_eq!(part.alarms, Vec::<String>::new());
        let named = |control: &Control| part.text.contains(&tables::title(control));
        let missing = Size::TINY.controls().filter(|control| !named(control) && control.needs != Needs::Sqlite);
        assert_eq!(missing.count(), 0, "{}", part.text);
    }
    let charts: Vec<String> = measured.iter().flat_map(|part| &part.charts).map(|(_, chart)| chart.svg()).collect();
    assert!(charts.len() == 3 && charts.iter().all(|chart| chart.contains("<polyline")), "{charts:?}");
    let sold = units::table(&bed, 64).await.unwrap();
    assert_eq!(sold.alarms, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_is_seen_to_fail_and_its_remedy_to_hold() {
    if without("postgres") || without("redis") {
        return;
    }
    let part = traps::table(&bed().await, Size::TINY).await.unwrap();
    for seen in ["**paid", "refused", "**the reader got 1 of 2 rows**", "the reader got 2 of 2 rows"] {
        assert!(part.text.contains(seen), "{seen}: {}", part.text);
    }
}
