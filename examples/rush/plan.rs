//! The command line of the rush.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, Command, value_parser};
use onsale_load_generator::Outcome;

/// What to do, from the command line.
pub(crate) struct Plan {
    pub(crate) buyers: u64,
    pub(crate) seats: u32,
    pub(crate) seconds: u64,
    /// A running server and its admin key. Without it, the rush starts its own.
    pub(crate) server: Option<(SocketAddr, String)>,
    /// The program to start as the server, if it is not the rush itself.
    pub(crate) program: Option<PathBuf>,
}

fn command() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("NUMBER").default_value(default).help(help)
    };
    Command::new("rush")
        .about("Sells seats to more buyers than there are seats, through the waiting room of a real server")
        .after_help("Exits with 1 if a call failed, a seat was not sold, or the audit finds a contradiction.")
        .arg(number("people", "20000", "Buyers").value_parser(value_parser!(u64).range(1..)))
        .arg(number("seats", "500", "Seats").value_parser(value_parser!(u32).range(1..)))
        .arg(
            number("seconds", "10", "Seconds within which all buyers arrive")
                .value_parser(value_parser!(u64).range(1..)),
        )
        .arg(
            Arg::new("server")
                .long("server")
                .value_name("HOST:PORT")
                .value_parser(|text: &str| text.trim_start_matches("http://").parse::<SocketAddr>())
                .requires("admin-key")
                .help("A running server [default: one in a temporary folder, started and audited by the rush]"),
        )
        .arg(Arg::new("admin-key").long("admin-key").value_name("KEY").help("The admin key of the running server"))
        .arg(
            Arg::new("program")
                .long("program")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .conflicts_with("server")
                .help("The program to start as the server [default: the server that is built into the rush]"),
        )
}

impl Plan {
    /// Reads the command line of this process. Prints help or what is wrong with it, and ends the process, if needed.
    ///
    /// # Errors
    /// None in practice: all values have defaults or are checked before.
    pub(crate) fn read() -> Outcome<Self> {
        let mut matches = command().get_matches();
        let admin_key = matches.remove_one::<String>("admin-key");
        Ok(Self {
            buyers: matches.remove_one("people").ok_or("--people has no value")?,
            seats: matches.remove_one("seats").ok_or("--seats has no value")?,
            seconds: matches.remove_one("seconds").ok_or("--seconds has no value")?,
            server: matches.remove_one("server").zip(admin_key),
            program: matches.remove_one("program"),
        })
    }
}
