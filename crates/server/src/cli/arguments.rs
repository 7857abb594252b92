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

Settings come from flags, then ONSALE_… in the environment, then onsale.toml, then defaults:
  --database-url URL  =  ONSALE_DATABASE_URL=URL  =  database_url = \"URL\"
In the environment, ONSALE_…_FILE names a file that holds the value.";

pub(super) fn command() -> Command {
    Command::new("onsale")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(LEARN)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(
            Command::new("serve").about("Serve the API, the pages and the background work").arg(
                Arg::new("demo")
                    .long("demo")
                    .action(ArgAction::SetTrue)
                    .help("Fill an empty database with samples, and print a fresh admin key where none is set"),
            ),
        ))
        .subcommand(with_settings(Command::new("migrate").about("Make the database, or bring its schema up to date")))
        .subcommand(with_settings(Command::new("seed").about("Fill an empty database with samples")))
        .subcommand(with_settings(
            Command::new("audit").about("Check every invariant on the live data; exit 1 where one is broken"),
        ))
        .subcommand(with_settings(events()))
        .subcommand(with_settings(
            Command::new("relay").about("Relay events from the database to Kafka, and nothing else"),
        ))
        .subcommand(with_settings(
            Command::new("consume")
                .about("Deliver events to the data platform: from Kafka, or without it from the database"),
        ))
        .subcommand(with_settings(
            Command::new("health").about("Ask the server that listens here whether it lives; exit 1 where it does not"),
        ))
        .subcommand(Command::new("openapi").about("Print the OpenAPI document"))
        .subcommand(
            Command::new("completions")
                .about("Print completions for a shell")
                .arg(Arg::new("shell").required(true).value_parser(value_parser!(Shell))),
        )
}

fn events() -> Command {
    Command::new("events")
        .about("Show the event log: state, id, type, subject, age, reason")
        .arg(Arg::new("follow").long("follow").short('f').action(ArgAction::SetTrue).help("Wait for new events"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("One CloudEvent in JSON a line"))
        .arg(
            Arg::new("state")
                .long("state")
                .value_name("STATE")
                .value_parser(["pending", "sent", "dead"])
                .help("Only events in this state"),
        )
        .subcommand(with_settings(
            Command::new("retry").about("Put dead letters back, to be sent again").arg(
                Arg::new("id")
                    .long("id")
                    .value_name("ID")
                    .action(ArgAction::Append)
                    .help("Only the event of this id; several may be named"),
            ),
        ))
        .subcommand(with_settings(
            Command::new("replay").about("Send events again, with the same ids").arg(
                Arg::new("since")
                    .long("since")
                    .value_name("INSTANT")
                    .required(true)
                    .help("From this instant on, in RFC 3339"),
            ),
        ))
}

fn with_settings(command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
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
