//! A small size of the laboratory of a split payment, so that it keeps working: what must hold does, and what must fail is
//! seen to fail.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::process::Command;

use onsale_testing::without;

/// A file of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

#[test]
fn the_document_names_the_transaction_of_each_command() {
    let document = read("docs/design/services.md");
    let desk = ["command.rs", "staff_command.rs"].map(|file| read(&format!("crates/app/src/desk/{file}"))).concat();
    assert!(desk.contains("impl DeskCommand for staff::"), "the commands of staff are in neither file");
    let commands = desk.lines().filter_map(|line| line.strip_prefix("impl DeskCommand for ")?.strip_suffix(" {"));
    let commands: Vec<String> = commands
        .map(|path| path.rsplitn(3, "::").take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("::"))
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        assert!(document.contains(&format!("`{command}`")), "the document does not name the transaction of {command}");
    }
}

#[test]
fn a_split_payment_survives_crashes_and_one_without_recovery_does_not() {
    if without("postgres") {
        return;
    }
    // All sections but the one about distance, which is the load of the first with a proxy in between.
    let sections = ["rates", "window", "orders", "crashes", "kills", "away", "orphan", "planted"];
    let ran = Command::new(env!("CARGO_BIN_EXE_onsale-labs")).args(["split", "tiny"]).args(sections).output().unwrap();
    let (tables, errors) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
    // It fails if a way or the auditor does not behave as claimed, and names which.
    assert!(ran.status.success(), "{errors}\n{tables}");
    let lost = tables.lines().find(|line| line.contains("two, no recovery") && line.contains("| debited"));
    let lost = lost.expect("a row about a crash after the debit");
    assert!(lost.contains("buyers were debited without a sale"), "{lost}");
    for section in ["lost, repeated", "after each step", "random moments", "is away", "nothing resolves", "audit finds"]
    {
        assert!(tables.contains(section), "no table about {section}: {tables}");
    }
}
