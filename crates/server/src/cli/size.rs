//! `onsale size`: which size a sale needs. It reads no setting and no database.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{Failed, Outcome, print};
use crate::size::{Basis, Demand, Plan};

/// What to print for a person who has the numbers.
const LEARN: &str = "\
Example: a hall of 5,000 seats, wanted by 50,000 persons, to be sold within half an hour:
  onsale size --seats 5000 --crowd 50000 --minutes 30

`onsale size --figures` prints the measurement or assumption on which each figure rests.
docs/measurements/sizes.md explains the calculation; docs/measurements/size.html is the same as a page.";

/// The command with its arguments.
pub(super) fn command() -> Command {
    let number = |name: &'static str, most: i64, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .value_parser(value_parser!(i64).range(1..=most))
            .required_unless_present("figures")
            .help(help)
    };
    let switch =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("size")
        .about("Print the rates of a sale, and the processors and memory that it needs")
        .after_help(LEARN)
        .arg(number("seats", 10_000_000, "Seats on sale, 1 to 10000000"))
        .arg(number("crowd", 100_000_000, "Persons who want one, 1 to 100000000"))
        .arg(number("minutes", 1_440, "Minutes within which all seats are to be sold, 1 to 1440"))
        .arg(switch("figures", "Print the figures of the calculation, and what each rests on"))
        .arg(switch("json", "Print JSON"))
}

/// Prints the plan, or the figures.
pub(super) fn run(given: &ArgMatches) -> Outcome {
    let is_json = given.get_flag("json");
    if given.get_flag("figures") {
        return print(&if is_json { json(&Basis::ALL)? } else { Basis::ALL.to_string() });
    }
    // At most 100,000,000, so a float holds it exactly.
    let number = |name: &str| given.get_one::<i64>(name).map_or(1.0, |number| *number as f64);
    let plan = Plan::of(Demand { seats: number("seats"), crowd: number("crowd"), minutes: number("minutes") });
    print(&if is_json { json(&plan)? } else { plan.to_string() })
}

fn json(value: &impl serde::Serialize) -> Result<String, Failed> {
    Ok(serde_json::to_string_pretty(value)?)
}
