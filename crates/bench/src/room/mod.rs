//! The waiting room on the database and on Redis, with several instances and an auditor for their answers.

mod admission;
mod crowd;
mod enter;
pub(crate) mod incr;
mod memory;
mod open;
mod parts;
mod poll;
mod scene;

use crate::rows::{Row, row};

/// Connections of the closed loops.
const CONNECTIONS: usize = 64;

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("room-poll", "status poll with 10, 100,000 and 1,000,000 in line", poll::poll),
    row("room-enter", "places in line, beside a handler that awaits one INCR on the same Redis", enter::enter),
    row("room-admission", "10,000 admitted at once", admission::at_once),
    row("room-memory", "a waiter in Redis and in the process", memory::a_waiter),
    row("room-listeners", "4,000 event streams at once: what each takes", memory::a_listener),
    row(
        "room-open",
        "50,000 in line, 2,000 arriving and 10,000 polling a second, over three instances",
        open::open_loop,
    ),
    row("room-scene", "100,000 people over three instances, Redis killed in the middle", scene::scene),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
beside it: what the empty handler, or for entries the handler that awaits one INCR, answers in the same seconds over as
many connections; medians of looks in turns. Times of closed loops are those of a saturated server. cpu: of one instance,
for each answer. All parts, the load generator too, share the machine's cores.";
