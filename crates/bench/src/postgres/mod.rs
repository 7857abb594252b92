//! The suite of the program on Postgres, next to pgbench on the same server.

mod calls;
mod connections;
mod in_turns;
mod instances;
mod pgbench;
pub(crate) mod points;
mod scripts;
mod snapshot;

pub(crate) use in_turns::OnPostgres;

use crate::results::Target;
use crate::row::{Row, row};

/// What a batch of one command may cost, compared with a plain transaction that writes the same rows.
const COST: f64 = 1.2;

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row(
        "pg-charge-many",
        "charges of 10,000 users, and pgbench on random rows",
        Target::at_least(2.5).unit("× (aim 4)"),
        points::charge_many,
    ),
    row(
        "pg-charge-hot",
        "charges of one user, and pgbench on one row",
        Target::at_least(10.0).unit("× (aim 20)"),
        points::charge_hot,
    ),
    row("pg-application", "lecture applications of different users", CALL, calls::application),
    row("pg-reservation", "reservations of free seats", CALL, calls::reservation),
    row("pg-payment", "payments", CALL, calls::pay),
    row(
        "pg-contention",
        "5,000 buyers on 50 seats, 20 performances one after another",
        Target::at_least(0.25).unit("of empty"),
        connections::contention,
    ),
    row(
        "pg-instances",
        "one instance and three of them on the same cores",
        Target::at_least(0.8).unit("of one"),
        instances::one_and_three,
    ),
    row(
        "pg-one",
        "charges over one connection, and a transaction that writes the same rows",
        Target::at_least(1.0 / COST).unit("(costs ≤ 1.2 ×)"),
        connections::single,
    ),
    row(
        "pg-crowd",
        "1,000 connections for 2 lanes and 2 readers",
        Target::words("no hang, only 503"),
        connections::thousand,
    ),
    row(
        "pg-snapshot",
        "charges of one user while a snapshot is open",
        Target::at_least(0.7).unit("of before"),
        snapshot::hot_row,
    ),
    row("pg-lanes", "1, 2 and 4 lanes: charges, many buyers on few seats", Target::NONE, instances::lanes),
];

/// The target of a call that each user sends once.
const CALL: Target = Target::at_least(2.0).unit("× (aim 4)");

/// The notes below the table.
pub(crate) const NOTES: &str = "\
reference: what pgbench -M prepared commits per second, in brackets with how many clients; medians of measurements in turns.
Latencies of closed loops are those of a saturated server. cpu, database: processor time of the program and of all
processes of Postgres, per answer. batch: commands per batch, on average, by /metrics. WAL bytes: what Postgres writes to its
log per answer, with the whole pages after a checkpoint.";
