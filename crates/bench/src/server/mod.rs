//! The suite of the program alone: on SQLite, in one process.

pub(crate) mod connections;
pub(crate) mod contention;
mod generator;
mod hall;
mod journey;
mod lecture;
mod memory;
mod points;
mod queue;
mod reads;
pub(crate) mod sale;
pub(crate) mod turns;

pub(crate) use journey::{Journeys, Step, StepTimes};

use crate::results::Target;
use crate::row::{Row, row};

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row(
        "generator",
        "the load generator and wrk, both on the empty handler",
        Target::at_least(0.9).unit("of wrk"),
        generator::next_to_wrk,
    ),
    row("poll", "status poll, with 10 and with 100,000 in line", Target::at_least(0.7), queue::poll),
    row("lists", "seat list of 50, dates", Target::at_least(0.6), reads::seats_and_dates),
    row("charge-hot", "charges of one user", Target::at_least(0.25), points::charge_hot),
    row("charge-many", "charges of 10,000 users", Target::at_least(0.15), points::charge_many),
    row("charge-hot-keys", "charges of one user, each with a key", Target::NONE, points::charge_hot_with_keys),
    row("charge-many-keys", "charges of 10,000 users, each with a key", Target::NONE, points::charge_many_with_keys),
    row("application", "lecture applications of different users", Target::at_least(0.2), lecture::apply),
    row("place", "entries into the line by different users", Target::at_least(0.2), queue::enter),
    row("reservation", "reservations of free seats", Target::at_least(0.15), sale::reserve),
    row("payment", "payments", Target::at_least(0.08), sale::pay),
    row(
        "contention",
        "5,000 buyers on 50 seats, 20 performances one after another",
        Target::at_least(0.3),
        contention::buyers,
    ),
    row("journey", "token, dates, seats, reserve, charge, pay", Target::at_least(0.03), journey::whole),
    row("memory", "idle, and with 100,000 in line", Target::at_most(30.0).unit("MB"), memory::lines),
    row(
        "connections",
        "memory of each open connection, by what it does",
        // Deployments compute the memory limit of an instance from this.
        Target::at_most(26.0).unit("KB"),
        connections::lines,
    ),
    row("hall", "10,000 listeners of one hall of 50,000 seats", Target::at_most(24.0).unit("KB"), hall::lines),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
ratio: to the empty handler in the same seconds, over as many connections; median of the rounds.
Latencies of closed loops are those of a saturated server. cpu: of the server, per answer.";
