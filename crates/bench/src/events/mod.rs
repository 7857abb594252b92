//! The suite of events: how fast they leave the outbox, their latency, and their cost to the sale. On one Postgres and one Kafka,
//! in one run.

mod broker;
mod latency;
mod outbox;
mod sale;

use crate::results::Target;
use crate::row::{Row, row};

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row(
        "events-relay",
        "a full outbox to Kafka, with nothing and with ten million events sent before",
        Target::at_least(20_000.0),
        outbox::relay,
    ),
    row(
        "events-latency",
        "2,000 changes per second: from the decision to the data platform",
        Target::words("p50 ≤ 50, p99 ≤ 250 ms"),
        latency::to_the_platform,
    ),
    row(
        "events-sale",
        "charges with the relay off and on, and at half of that also in the idle class",
        Target::at_least(0.6),
        sale::cost,
    ),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
All processes share the cores of the machine: program, Postgres, Kafka, consumer, data platform, load generator. The latency of
an event begins at its own instant (the decision, before the commit) and ends when the data platform receives it.";
