//! From rates to the size of each part.

use serde::Serialize;

use super::costs::{INSTANCES, POSTGRES_SIZES, REDIS_SIZES, Tier, value};
use super::rates::Rates;
use super::{Demand, Part};

/// Bytes of a MB, as limits of containers count it.
const MEGABYTE: f64 = 1_048_576.0;

/// More instances than this are replaced by larger ones: each has connections to the database.
const INSTANCES_MAX: f64 = 4.0;

/// Instances on Postgres and Redis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shared {
    /// One more than the load needs, so that one may be lost.
    pub(crate) instances: Part,
    /// `ONSALE_CONNECTIONS_MAX` of each instance.
    pub(crate) connections_max: f64,
    pub(crate) postgres: Part,
    /// Connections of instances, relay, consumer and tools: at most `max_connections` of Postgres.
    pub(crate) database_connections: f64,
    pub(crate) redis: Part,
    /// Processors of all of these, and processor hours of the sale with its warm-up.
    pub(crate) cpus: f64,
    pub(crate) cpu_hours: f64,
}

/// Connections that fit into an instance of this size, next to this many MB of places.
fn connections_of(tier: Tier, places: f64) -> f64 {
    let left = tier.megabytes * value("memoryShare") - value("serverMegabytes") - places;
    (left * 1_024.0 / value("connectionKilobytes")).floor().max(0.0)
}

/// Instances of this size that the load needs. Infinite if a connection does not fit.
fn needed(tier: Tier, rates: &Rates, places: f64) -> f64 {
    let of_memory = (rates.connections / connections_of(tier, places)).ceil();
    of_memory.max((rates.instance_cpus / tier.cpus).ceil()).max(1.0)
}

/// One instance on SQLite: the smallest that is enough. Its writers share one processor, so it has at most one.
pub(super) fn sqlite(demand: Demand, rates: &Rates) -> Option<Part> {
    if rates.entries < rates.arriving {
        return None;
    }
    let places = demand.crowd * value("placeBytes") / MEGABYTE;
    let fits = |tier: &&Tier| tier.cpus <= 1.0 && needed(**tier, rates, places) <= 1.0;
    INSTANCES.iter().find(fits).map(|tier| Part { count: 1.0, cpus: tier.cpus, megabytes: tier.megabytes })
}

impl Shared {
    /// The sizes for these rates.
    pub(super) fn of(demand: Demand, rates: &Rates) -> Self {
        // The smallest size of which a few are enough, or else the largest one. Redis has the places.
        let with_spare = |tier: Tier| needed(tier, rates, 0.0) + 1.0;
        let last = INSTANCES[INSTANCES.len() - 1];
        let tier = INSTANCES.into_iter().find(|tier| with_spare(*tier) <= INSTANCES_MAX).unwrap_or(last);
        let instances = Part { count: with_spare(tier), cpus: tier.cpus, megabytes: tier.megabytes };
        let (postgres, redis) = (postgres(rates), redis(demand, rates));
        let cpus = instances.count * instances.cpus + postgres.cpus + redis.cpus;
        Self {
            instances,
            connections_max: connections_of(tier, 0.0),
            postgres,
            // Besides the instances: the relay, the consumer, and tools.
            database_connections: (instances.count + 3.0) * value("databaseConnections"),
            redis,
            cpus,
            cpu_hours: cpus * (demand.minutes + value("warmUpMinutes")) / 60.0,
        }
    }
}

fn postgres(rates: &Rates) -> Part {
    let micros = rates.charges * value("databaseChargeMicros")
        + rates.holds * value("databaseHoldMicros")
        + rates.payments * value("databasePayMicros");
    let needed = value("databaseIdleCpus") + micros / 1e6 / value("cpuShare");
    let last = POSTGRES_SIZES[POSTGRES_SIZES.len() - 1];
    let tier = POSTGRES_SIZES.into_iter().find(|tier| needed <= tier.cpus).unwrap_or(last);
    Part { count: 1.0, cpus: tier.cpus, megabytes: tier.megabytes }
}

fn redis(demand: Demand, rates: &Rates) -> Part {
    let cpus = rates.entries * value("redisEnterMicros") / 1e6 / value("cpuShare");
    let data = demand.crowd * value("redisPlaceBytes") * value("redisCopies") / MEGABYTE;
    let megabytes = (value("redisMegabytes") + data) / value("memoryShare");
    let fits = |tier: &Tier| cpus <= tier.cpus && megabytes <= tier.megabytes;
    // Beyond the largest size: its processors, and whole GB.
    let last = REDIS_SIZES[REDIS_SIZES.len() - 1];
    let beyond = Tier { megabytes: (megabytes / 1_024.0).ceil() * 1_024.0, ..last };
    let tier = REDIS_SIZES.into_iter().find(fits).unwrap_or(beyond);
    Part { count: 1.0, cpus: tier.cpus, megabytes: tier.megabytes }
}
