//! The commands and their flags. The flags for settings come from the table of settings.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::events::LAST_MAX;
use super::{Outcome, print_bytes};
use crate::settings::{GROUPS, Setting, is_used_by};

const ABOUT: &str = "A first-come, first-served booking server: waiting room, seats, lectures and points";

const LEARN: &str = "\
Start here:
  onsale serve --demo      start with sample data; prints commands to paste
  onsale audit             check that every sale is consistent, also while servers run
  onsale events --follow   print events as they are committed

Settings, from highest to lowest precedence:
  flag            --database-url URL    before or after the command's name
  environment     ONSALE_DATABASE_URL=URL, or ONSALE_DATABASE_URL_FILE=FILE with the value in FILE
  onsale.toml     database_url = \"URL\"
  default
`onsale serve --help` lists all settings.

Exit codes: 0 success, 1 failure, 2 unusable setting or argument (nothing was started).";

const OTHERS: &str =
    "Settings that this command does not use are accepted as flags too; `onsale serve --help` lists all.";

/// The whole command line. Each command takes every setting as a flag, before its name and after it.
pub(super) fn command() -> Command {
    with_settings(Command::new("onsale"), |_| false)
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(LEARN)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(configured("serve", "Start the server: the API, the pages and the background tasks").arg(
            switch("demo").help("Fill an empty database with sample data; print a fresh admin key if none is set"),
        ))
        .subcommand(configured("migrate", "Create the database, or update its schema"))
        .subcommand(configured("seed", "Fill an empty database with sample data"))
        .subcommand(configured("audit", "Check every invariant on the live data; exit 1 if one is broken"))
        .subcommand(super::copy::command())
        .subcommand(events())
        .subcommand(configured("relay", "Publish events from the database to Kafka, without serving the API"))
        .subcommand(configured(
            "consume",
            "Deliver events to the data platform, from Kafka or (if no brokers are set) from the database",
        ))
        .subcommand(configured(
            "health",
            "Request /healthz of the server at --listen; exit 1 if it does not answer 200",
        ))
        .subcommand(Command::new("openapi").about("Print the OpenAPI document"))
        .subcommand(super::size::command())
        .subcommand(super::verify_draw::command())
        .subcommand(
            Command::new("completions").about("Print a shell's completion script").arg(
                Arg::new("shell").required(true).value_parser(value_parser!(Shell)).help("The shell to complete in"),
            ),
        )
}

fn events() -> Command {
    let instant = |name: &'static str| Arg::new(name).long(name).value_name("INSTANT");
    configured("events", "Print the event log, a line per event: state, id, type, subject, age, reason")
        .arg(switch("follow").short('f').help("Print the last 10 events, then new ones until Ctrl-C"))
        .arg(switch("from-start").requires("follow").help("With --follow: print the whole log first"))
        .arg(
            Arg::new("last")
                .long("last")
                .value_name("N")
                .value_parser(value_parser!(u16).range(1..=LAST_MAX))
                .conflicts_with("from-start")
                .help(
                    "Read only the last N events of the log, 1 to 1000, instead of all of them (with --follow: of 10)",
                ),
        )
        .arg(switch("json").help("Print each event as a CloudEvent in JSON"))
        .arg(
            Arg::new("state")
                .long("state")
                .value_name("STATE")
                .value_parser(["pending", "sent", "dead"])
                .help("Print only events in this state. For sent, the whole log is read: add --last N to bound that"),
        )
        .subcommand(
            configured("retry", "Send dead letters again; exit 1 if an event of --id is not one").arg(
                Arg::new("id")
                    .long("id")
                    .value_name("ID")
                    .action(ArgAction::Append)
                    .help("Only the event with this id. May be repeated"),
            ),
        )
        .subcommand(
            configured("replay", "Send events again that were sent before, with the same ids")
                .arg(instant("since").required(true).help("The first instant, in RFC 3339: 2026-11-25T09:00:00Z")),
        )
}

/// A command that reads settings. Its help lists those that it uses. Subcommands of `events` use what `events` uses.
fn configured(name: &'static str, about: &'static str) -> Command {
    let command = if matches!(name, "retry" | "replay") { "events" } else { name };
    let shown = with_settings(Command::new(name).about(about), |setting| is_used_by(command, setting.name));
    if name == "serve" { shown } else { shown.after_help(OTHERS) }
}

fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

/// Adds a flag for each setting, and shows in the help those that `is_shown` selects. They are not `global` arguments of
/// clap, which takes the last of two values without an error. [`super::flags`] reads them at all levels and refuses a second
/// one.
fn with_settings(mut command: Command, is_shown: impl Fn(&Setting) -> bool) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .hide(command.get_name() == "onsale")
        .help("Read settings from this file instead of onsale.toml");
    command = command.arg(config);
    for group in GROUPS {
        for setting in group.settings {
            // The variable and the default get a line of their own, so that no line break separates them.
            let default = setting.default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
            let help = format!("{}\n[{}]{default}", setting.help, setting.variable());
            command = command.arg(
                Arg::new(setting.name)
                    .long(setting.name)
                    .value_name(setting.value)
                    .help(help)
                    .help_heading(group.heading)
                    .hide(!is_shown(setting)),
            );
        }
    }
    command
}

/// Prints the completion script of a shell.
pub(super) fn completions(given: &ArgMatches) -> Outcome {
    let mut script = Vec::new();
    if let Some(shell) = given.get_one::<Shell>("shell") {
        // Generated in memory first: the generator panics if a write fails, as on a closed pipe.
        clap_complete::generate(*shell, &mut command(), "onsale", &mut script);
    }
    print_bytes(&script)
}
