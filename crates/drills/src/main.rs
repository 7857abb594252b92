//! `onsale-drills list | all | NAME… [--doc] [--short]`, run by `./drill`, which builds first.
//!
//! Exits with 1 if a drill fails: its signal does not come, a command of its page prints something else, the end does not
//! come, or the books do not add up.

use std::io::{Write, stderr};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match onsale_drills::run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // A closed standard error is no reason to end otherwise.
            let _ = writeln!(stderr(), "drill: {error}");
            ExitCode::FAILURE
        }
    }
}
