//! The figures that a size rests on: measured costs of calls, and assumptions about people.

use serde::Serialize;

/// A figure of the calculation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// Its name in the formula.
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    /// The unit, with what it counts.
    pub(crate) unit: &'static str,
    /// The document below `docs/` that it rests on.
    pub(crate) document: &'static str,
    /// A text in that document: the row of the measurement, or the sentence of the assumption.
    pub(crate) row: &'static str,
}

const SERVER: &str = "measurements/raw/server.txt";
const POSTGRES: &str = "measurements/raw/postgres.txt";
const ROOM: &str = "measurements/raw/room.txt";
const DEPLOY: &str = "guide/deploy.md";
const LOAD: &str = "measurements/load-test.md";
const SIZES: &str = "measurements/sizes.md";

const fn figure(
    name: &'static str,
    value: f64,
    unit: &'static str,
    document: &'static str,
    row: &'static str,
) -> Figure {
    Figure { name, value, unit, document, row }
}

/// All figures, in the order of the table in `docs/measurements/sizes.md`.
#[rustfmt::skip]
pub(crate) const FIGURES: [Figure; 29] = [
    figure("enterMicros", 45.0, "µs of an instance for an entry", SERVER, "place in line: half of that, open loop"),
    figure("pollMicros", 25.0, "µs of an instance for a poll", SERVER, "poll: half of that, open loop"),
    figure("readMicros", 40.0, "µs of an instance for dates or seats", SERVER, "seat list of 50"),
    figure("holdMicros", 135.0, "µs of an instance for a hold", SERVER, "reservation of a free seat: half of that, open loop"),
    figure("chargeMicros", 95.0, "µs of an instance for a charge", SERVER, "charge, 10,000 users: half of that, open loop"),
    figure("payMicros", 195.0, "µs of an instance for a payment", POSTGRES, "payment: half of that, open loop"),
    figure("databaseChargeMicros", 270.0, "µs of Postgres for a charge that is alone in its batch", POSTGRES, "charge, over one connection"),
    figure("databaseHoldMicros", 300.0, "µs of Postgres for a hold that is alone in its batch", SIZES, "A hold costs Postgres"),
    figure("databasePayMicros", 740.0, "µs of Postgres for a payment that is alone in its batch", SIZES, "a payment 2.7 times"),
    figure("databaseIdleCpus", 0.1, "processors of Postgres for steps, checkpoints and connections", SIZES, "Postgres needs 0.1 processors"),
    figure("redisEnterMicros", 17.0, "µs of Redis for an entry", ROOM, "enter, room on Redis, beside INCR"),
    figure("roomEntriesMax", 25_000.0, "entries a second of one room on Redis", ROOM, "enter, room on Redis, beside INCR"),
    figure("serverMegabytes", 64.0, "MB of an instance without connections", DEPLOY, "64 MB for the server"),
    figure("connectionKilobytes", 26.0, "KB of an instance for a connection", DEPLOY, "Plan 26 KB for each connection"),
    figure("placeBytes", 160.0, "bytes of an instance for a place in line", SERVER, "more, once 100,000 are in line"),
    figure("redisPlaceBytes", 53.0, "bytes of Redis for a place in line", ROOM, "a waiter in Redis, of 100,000 more"),
    figure("redisMegabytes", 64.0, "MB of Redis without places", SIZES, "Redis needs 64 MB"),
    figure("redisCopies", 2.0, "copies of its data while Redis rewrites its file", SIZES, "While Redis rewrites its file"),
    figure("memoryShare", 0.8, "of a limit of memory may be used", DEPLOY, "leave a fifth of the limit free"),
    figure("cpuShare", 0.5, "of a limit of processor time may be used", SIZES, "Half of the knee"),
    figure("openingShare", 0.5, "of the crowd arrives in the opening", LOAD, "half of the crowd"),
    figure("openingSeconds", 5.0, "seconds of the opening", LOAD, "in the worst 5 seconds"),
    figure("pollsPerSecond", 2_000.0, "polls a second of one room (ONSALE_QUEUE_POLLS_PER_SECOND)", LOAD, "polls: at most *P*"),
    figure("connectedShare", 0.2, "of the crowd has a connection to an instance at once", SIZES, "One person in five has a connection"),
    figure("turnsPerSeat", 1.2, "turns for each seat that is sold", SIZES, "One turn in six ends without a payment"),
    figure("triesPerTurn", 1.5, "reads of dates and of seats, and holds, in a turn", SIZES, "Every second buyer loses the first seat"),
    figure("turnSeconds", 120.0, "seconds of a turn", SIZES, "A purchase takes two minutes"),
    figure("databaseConnections", 10.0, "connections of an instance, relay, consumer or tools to Postgres", "guide/kubernetes.md", "plan 10 for each server, relay and"),
    figure("warmUpMinutes", 60.0, "minutes that everything runs before the sale", SIZES, "Everything runs an hour before"),
];

/// The value of a figure. A name that is not in the table is 0, which the tests of the formula find.
pub(super) fn value(name: &str) -> f64 {
    FIGURES.iter().find(|figure| figure.name == name).map_or(0.0, |figure| figure.value)
}

/// A size that a part may have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Tier {
    pub(crate) cpus: f64,
    pub(crate) megabytes: f64,
}

const fn tier(cpus: f64, megabytes: f64) -> Tier {
    Tier { cpus, megabytes }
}

/// Sizes of an instance, the smallest first.
pub(crate) const INSTANCES: [Tier; 5] =
    [tier(0.25, 128.0), tier(0.5, 256.0), tier(1.0, 512.0), tier(1.0, 1_024.0), tier(2.0, 2_048.0)];

/// Sizes of Postgres. A quarter of the memory is for `shared_buffers`.
pub(crate) const POSTGRES_SIZES: [Tier; 5] =
    [tier(0.5, 512.0), tier(1.0, 1_024.0), tier(2.0, 1_024.0), tier(4.0, 4_096.0), tier(8.0, 16_384.0)];

/// Sizes of Redis, which uses one processor for commands.
pub(crate) const REDIS_SIZES: [Tier; 4] = [tier(0.25, 256.0), tier(0.5, 512.0), tier(1.0, 512.0), tier(1.0, 2_048.0)];
