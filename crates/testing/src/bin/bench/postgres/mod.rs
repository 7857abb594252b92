//! The program on a real Postgres, beside pgbench on the same one.

mod beside;
mod cluster;
mod desk;
mod pgbench;
mod points;
mod scripts;

use crate::rows::{Row, row};

pub(crate) use cluster::Cluster;

/// Connections of the closed loops.
const CONNECTIONS: usize = 64;

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("pg-charge-many", "charges of 10,000 users, beside pgbench on random rows", points::charge_many),
    row("pg-charge-hot", "charges of one user, beside pgbench on one row", points::charge_hot),
];

/// What is told beneath the table.
pub(crate) const NOTES: &str = "\
beside it: what pgbench -M prepared commits a second, in brackets with how many clients; medians of looks in turns.
Times of closed loops are those of a saturated server. cpu, database: processor time of the program and of all
processes of Postgres, for each answer. batch: commands that are decided together, on average, by /metrics.";
