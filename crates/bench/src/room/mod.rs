//! The suite of the waiting room: places handed out by Redis and by the database, over several instances. An auditor checks
//! the answers.

mod admission;
mod deployment;
mod enter;
mod memory;
mod open;
mod poll;
mod redis_killed;
mod visitors;
mod wait;

use crate::results::Target;
use crate::row::{Row, row};
pub(crate) use deployment::{Deployment, Issuer};
pub(crate) use visitors::answer_of;

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("room-poll-redis", "status poll with 10, 100,000 and 1,000,000 in line; Redis", POLL, |machine, target| {
        poll::poll(machine, target, Issuer::Redis)
    }),
    row("room-poll-postgres", "status poll with 10 and 100,000 in line; Postgres", POLL, |machine, target| {
        poll::poll(machine, target, Issuer::Database)
    }),
    row(
        "room-enter-redis",
        "entries on Redis, and a handler that awaits one INCR on the same Redis",
        Target::at_least(0.7),
        |machine, target| enter::enter(machine, target, Issuer::Redis),
    ),
    row("room-enter-postgres", "entries on Postgres, and the empty handler", Target::NONE, |machine, target| {
        enter::enter(machine, target, Issuer::Database)
    }),
    row(
        "room-admission-redis",
        "10,000 admitted at once; Redis",
        Target::at_most(100.0).unit("ms"),
        |machine, target| admission::at_once(machine, target, Issuer::Redis),
    ),
    row("room-admission-postgres", "10,000 admitted at once; Postgres", Target::NONE, |machine, target| {
        admission::at_once(machine, target, Issuer::Database)
    }),
    row(
        "room-memory",
        "memory of a waiting user, in Redis and in the process",
        Target::at_most(150.0).unit("bytes"),
        memory::waiting_user,
    ),
    row("room-listeners", "memory of each of 4,000 event streams", Target::at_most(24.0).unit("KB"), memory::listener),
    row(
        "room-open-redis",
        "50,000 in line, 2,000 entries and 10,000 polls per second; Redis",
        OPEN,
        |machine, target| open::open(machine, target, Issuer::Redis),
    ),
    row(
        "room-open-postgres",
        "50,000 in line, 2,000 entries and 10,000 polls per second; Postgres",
        Target::NONE,
        |machine, target| open::open(machine, target, Issuer::Database),
    ),
    row("room-wait", "what users in line are told of their wait; Redis", Target::at_least(0.5), |machine, target| {
        wait::told_and_true(machine, target, Issuer::Redis)
    }),
    row(
        "room-scene",
        "100,000 users over three instances, Redis killed in the middle",
        Target::words("all, in order"),
        redis_killed::scene,
    ),
];

const POLL: Target = Target::at_least(0.7);

const OPEN: Target = Target::p99_millis(15.0).unit("ms, 0 errors");

/// The notes below the table.
pub(crate) const NOTES: &str = "\
reference: what the empty handler, or for entries on Redis the handler that awaits one INCR, answers in the same seconds over
as many connections; medians of measurements in turns. Latencies of closed loops are those of a saturated server. cpu: of one
instance, per answer. All processes, also the load generator, share the cores of the machine.";
