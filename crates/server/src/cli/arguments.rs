//! Commands and flags. Flags for settings are made from the table of settings.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::{Outcome, print_bytes};
use crate::settings::TABLE;

const ABOUT: &str = "A first-come, first-served booking server: exactly right about who got it";

const LEARN: &str = "\
Start here:
  onsale serve --demo        serves with sample lectures, concerts and points; prints what to paste next
  onsale audit               checks every invariant of the sale, while it runs
  onsale events --follow     shows every change as it is told to others

Each command takes every setting as a flag, before or after the command's name (onsale serve --help lists them).
Settings come from flags, then ONSALE_… in the environment, then onsale.toml, then defaults:
  --database-url URL  =  ONSALE_DATABASE_URL=URL  =  database_url = \"URL\"
In the environment, ONSALE_…_FILE names a file that holds the value.";

/// The whole command line. Each command takes every setting as a flag, before its name and after it.
pub(super) fn command() -> Command {
    with_settings(Command::new("onsale"), true)
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(LEARN)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(configured("serve", "Serve the API, the pages and the background work").arg(
            switch("demo").help("Fill an empty database with samples, and print a fresh admin key if none is set"),
        ))
        .subcommand(configured("migrate", "Make the database, or bring its schema up to date"))
        .subcommand(configured("seed", "Fill an empty database with samples"))
        .subcommand(configured("audit", "Check every invariant on the live data; exit 1 if one is broken"))
        .subcommand(events())
        .subcommand(configured("relay", "Relay events from the database to Kafka, and nothing else"))
        .subcommand(configured(
            "consume",
            "Deliver events to the data platform: from Kafka, or without it from the database",
        ))
        .subcommand(configured("health", "Ask the server that listens here whether it lives; exit 1 if it does not"))
        .subcommand(Command::new("openapi").about("Print the OpenAPI document"))
        .subcommand(
            Command::new("completions")
                .about("Print completions for a shell")
                .arg(Arg::new("shell").required(true).value_parser(value_parser!(Shell))),
        )
}

fn events() -> Command {
    let instant = |name: &'static str| Arg::new(name).long(name).value_name("INSTANT");
    configured("events", "Show the event log: state, id, type, subject, age, reason")
        .arg(switch("follow").short('f').help("Show the last ten events, then new ones as they come"))
        .arg(switch("from-start").requires("follow").help("With --follow: show the whole log first"))
        .arg(switch("json").help("One CloudEvent in JSON a line"))
        .arg(
            Arg::new("state")
                .long("state")
                .value_name("STATE")
                .value_parser(["pending", "sent", "dead"])
                .help("Only events in this state"),
        )
        .subcommand(
            configured("retry", "Put dead letters back, to be sent again").arg(
                Arg::new("id")
                    .long("id")
                    .value_name("ID")
                    .action(ArgAction::Append)
                    .help("Only the event of this id; may be given several times"),
            ),
        )
        .subcommand(
            configured("replay", "Send events again, with the same ids")
                .arg(instant("since").required(true).help("From this instant on, in RFC 3339")),
        )
}

/// A command that reads settings.
fn configured(name: &'static str, about: &'static str) -> Command {
    with_settings(Command::new(name).about(about), false)
}

fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

/// Adds a flag for each setting. They are not `global` arguments of clap: it lets the last of two values win, and does not
/// tell where a value stood. [`super::flags`] reads them at all levels and refuses a second one.
fn with_settings(command: Command, hidden: bool) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .hide(hidden)
        .help("Read settings from this file instead of onsale.toml");
    TABLE.iter().fold(command.arg(config), |command, setting| {
        let default = setting.default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
        let help = format!("{} [{}]{default}", setting.help, setting.variable());
        command.arg(
            Arg::new(setting.name)
                .long(setting.name)
                .value_name(setting.value)
                .help(help)
                .help_heading("Settings")
                .hide(hidden)
                .hide_default_value(true),
        )
    })
}

pub(super) fn completions(given: &ArgMatches) -> Outcome {
    let mut script = Vec::new();
    if let Some(shell) = given.get_one::<Shell>("shell") {
        // Generated in memory first: the generator panics if a write fails, such as on a closed pipe.
        clap_complete::generate(*shell, &mut command(), "onsale", &mut script);
    }
    print_bytes(&script)
}
