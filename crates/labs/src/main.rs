//! Laboratories: experiments beside the product whose every number one command prints again.
//!
//! `onsale-labs locks|queries|split [quick] [section …] [--doc FILE]`. Run by `./bench locks`, `./bench queries` and
//! `./bench split`, which build first. Exits with 1 if something that must hold was seen to fail, or something that must fail
//! was not. For `queries`: a statement that the code does not have was sent, or one that it has was not.

mod locks;
mod queries;
mod split;

use std::io::{Write, stderr};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = match &words[..] {
        [locks::worker::ARGUMENT, rest @ ..] => locks::worker::run(rest),
        ["locks", rest @ ..] => locks::run(rest),
        ["queries", rest @ ..] => queries::run(rest),
        [split::worker::ARGUMENT, rest @ ..] => split::worker::run(rest),
        ["split", rest @ ..] => split::run(rest),
        _ => Err("usage: onsale-labs locks|queries|split [quick] [section …] [--doc FILE]".into()),
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(stderr(), "labs: {error}");
            ExitCode::FAILURE
        }
    }
}
