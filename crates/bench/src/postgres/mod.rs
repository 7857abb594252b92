//! The program on a real Postgres, compared with pgbench on the same server.

mod beside;
mod calls;
mod cluster;
mod desk;
mod many;
mod pgbench;
mod points;
mod rush;
mod scripts;
mod snapshot;

use crate::rows::{Row, row};

pub(crate) use cluster::Cluster;
pub(crate) use points::many as many_charges;

/// Connections of the closed loops.
const CONNECTIONS: usize = 64;

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("pg-charge-many", "charges of 10,000 users, beside pgbench on random rows", points::charge_many),
    row("pg-charge-hot", "charges of one user, beside pgbench on one row", points::charge_hot),
    row("pg-application", "lecture applications of unique users", calls::application),
    row("pg-reservation", "reservations of free seats", calls::reservation),
    row("pg-payment", "payments", calls::pay),
    row("pg-contention", "5,000 buyers on 50 seats, 20 performances one after another", rush::contention),
    row("pg-instances", "one instance and three of them on the same cores", many::instances),
    row("pg-one", "charges over one connection, beside a transaction that writes the same rows", rush::alone),
    row("pg-crowd", "1,000 connections for 2 lanes and 2 readers", rush::crowd),
    row("pg-snapshot", "charges of one user while a snapshot is open", snapshot::hot_row),
    row("pg-lanes", "1, 2 and 4 lanes: charges, the rush", many::lanes),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
beside it: what pgbench -M prepared commits a second, in brackets with how many clients; medians of looks in turns.
Times of closed loops are those of a saturated server. cpu, database: processor time of the program and of all
processes of Postgres, for each answer. batch: commands that are decided together, on average, by /metrics. log bytes:
what Postgres writes ahead for each answer, whole pages after a checkpoint included.";
