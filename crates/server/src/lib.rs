//! onsale: a first-come, first-served booking server.

mod auth;
mod cli;
mod http;
mod pages;
#[cfg(test)]
mod properties;
mod sale;
mod secret;
mod settings;
mod size;
mod telemetry;
mod ticket;
mod token;

use std::process::ExitCode;

/// Runs the command that this process was started with, to its end. Reads the arguments and the environment.
pub fn run() -> ExitCode {
    cli::run()
}
