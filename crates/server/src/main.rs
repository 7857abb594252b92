//! onsale: a first-come, first-served booking server.

mod auth;
mod cli;
mod http;
mod pages;
#[cfg(test)]
mod properties;
mod sale;
mod settings;
mod telemetry;
mod token;
mod webhook;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
