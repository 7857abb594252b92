//! The rush of README with few buyers: one build makes all of it, and it prints each step.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The example, as `cargo test` built it next to this test.
fn rush() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join("examples/rush");
    assert!(path.exists(), "build it first: cargo test -p onsale-load-generator --examples --test rush");
    path
}

#[test]
fn the_rush_sells_every_seat_and_prints_each_step() {
    let mut command = Command::new(rush());
    command.args(["--people", "60", "--seats", "5", "--seconds", "1"]).stdin(Stdio::null());
    // It builds nothing: neither Cargo nor a compiler can be found.
    let run = command.env("CARGO", "/nowhere/cargo").env("PATH", "/nowhere").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    let mut rest = said.as_str();
    for step in [
        "starting a server",
        "it listens on http://",
        "creating a concert with 5 seats",
        "60 buyers arrive within 1 s",
        "seats sold               5 of 5",
        "stopping the server",
        "auditing its database",
        "invariants hold",
    ] {
        let (_, after) =
            rest.split_once(step).unwrap_or_else(|| panic!("{step:?} is missing or printed too late: {said}"));
        rest = after;
    }
    assert!(String::from_utf8_lossy(&run.stderr).contains(" s  arrived "), "each second has a line");
}

#[test]
fn it_needs_no_crate_but_the_server_and_the_load_generator() {
    let tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "tree",
            "--offline",
            "--locked",
            "-p",
            "onsale-load-generator",
            "--prefix",
            "none",
            "-e",
            "normal,build,dev",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.lines().any(|line| line.starts_with("onsale-server ")), "{tree}");
    for needless in ["onsale-testing ", "onsale-bench ", "jsonschema ", "fancy-regex "] {
        assert!(!tree.lines().any(|line| line.starts_with(needless)), "{needless}: {tree}");
    }
}
