//! The suite of what staff do during a sale, on SQLite and on Postgres.

mod cancellation;
mod check_in;
mod export;
mod figures;
mod live_view;
mod refund;

use onsale_load_generator::Outcome;

use crate::machine::{Machine, Server};
use crate::postgres::OnPostgres;
use crate::results::Target;
use crate::row::{Row, row};
use crate::server::sale::FLAGS;

const LIVE_VIEW: &str = "holds and payments with and without 20 viewers of live figures";
const ATTENDEES: &str = "the attendees of a performance as CSV, in rows per second";
const CANCELLATION: &str = "holds and payments while another performance is cancelled, and alone";

/// 20 viewers cost the sale less than 2 %.
const VIEWED: Target = Target::at_least(0.98).unit("of without");
const EXPORTED: Target = Target::at_least(200_000.0);
const BESIDE: Target = Target::at_least(0.8).unit("of alone");

/// Scans a second: a hall of 30,000 visitors within ten seconds, whatever the number of doors.
const CHECKED_IN: Target = Target::at_least(3_000.0).unit("a second");

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row(
        "refund",
        "refunds by buyers and by staff, each beside payments",
        Target::at_least(0.5).unit("of payments"),
        refund::refund,
    ),
    row("live-view", LIVE_VIEW, VIEWED, |machine, target| live_view::prepare(machine, sqlite(machine)?, target)),
    row("pg-live-view", LIVE_VIEW, VIEWED, |machine, target| live_view::prepare(machine, postgres(machine)?, target)),
    row(
        "figures",
        "live figures with 50 and with 50,000 seats sold",
        Target::at_least(0.95).unit("of few"),
        figures::few_and_many,
    ),
    row("attendees", ATTENDEES, EXPORTED, |machine, target| export::prepare(machine, sqlite(machine)?, target)),
    row("pg-attendees", ATTENDEES, EXPORTED, |machine, target| export::prepare(machine, postgres(machine)?, target)),
    row("cancellation", CANCELLATION, BESIDE, |machine, target| {
        cancellation::prepare(machine, sqlite(machine)?, target)
    }),
    row("pg-cancellation", CANCELLATION, BESIDE, |machine, target| {
        cancellation::prepare(machine, postgres(machine)?, target)
    }),
    row(
        "check-in",
        "check-ins into one performance, each durable, with 10 % repeated scans",
        CHECKED_IN,
        check_in::check_in,
    ),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
reference: payments, the sale without viewers, few seats sold, or the sale alone, measured in turns; medians. A sale
holds seats over 256 connections, then pays them. cpu: of the server, per answer.";

/// A server of a row, and what to do after its preparation.
struct Stage<'m> {
    server: Server,
    /// The name of its database.
    on: &'static str,
    settle: Box<dyn FnOnce() -> Outcome<()> + 'm>,
}

fn sqlite(machine: &Machine) -> Outcome<Stage<'_>> {
    Ok(Stage { server: machine.server(FLAGS, &[])?, on: "SQLite", settle: Box::new(|| Ok(())) })
}

fn postgres(machine: &Machine) -> Outcome<Stage<'_>> {
    let OnPostgres { server, postgres, database } = OnPostgres::start(machine, FLAGS, &[])?;
    Ok(Stage { server, on: "Postgres", settle: Box::new(move || postgres.settle(&database)) })
}
