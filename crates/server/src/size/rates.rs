//! From a demand to rates.

use serde::Serialize;

use super::Demand;
use super::costs::value;

/// What arrives in each second of a sale, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rates {
    /// Persons who arrive in each second of the opening.
    pub(crate) arriving: f64,
    /// Of them those who get a place in that second. The others get 503 with `Retry-After`, and come again.
    pub(crate) entries: f64,
    /// Seconds until the persons of the opening have a place.
    pub(crate) entered_seconds: f64,
    /// At most, however many persons wait.
    pub(crate) polls: f64,
    /// `admitPerSecond` and `maxActive` of the room.
    pub(crate) admissions: f64,
    pub(crate) max_active: f64,
    pub(crate) reads: f64,
    pub(crate) holds: f64,
    pub(crate) charges: f64,
    pub(crate) payments: f64,
    /// Connections to all instances.
    pub(crate) connections: f64,
    /// Processors that all instances need together, with the share that stays free.
    pub(crate) instance_cpus: f64,
}

impl Rates {
    /// The rates of a demand.
    pub(super) fn of(demand: Demand) -> Self {
        let Demand { seats, crowd, minutes } = demand;
        let opening = crowd * value("openingShare");
        let arriving = opening / value("openingSeconds");
        let entries = arriving.min(value("roomEntriesMax"));
        let polls = crowd.min(value("pollsPerSecond"));
        let admissions = (seats * value("turnsPerSeat") / (minutes * 60.0)).ceil().max(1.0);
        let holds = admissions * value("triesPerTurn");
        let reads = 2.0 * holds;
        let micros = entries * value("enterMicros")
            + polls * value("pollMicros")
            + reads * value("readMicros")
            + holds * value("holdMicros")
            + admissions * value("chargeMicros")
            + admissions * value("payMicros");
        Self {
            arriving,
            entries,
            entered_seconds: opening / entries,
            polls,
            admissions,
            max_active: (admissions * value("turnSeconds")).ceil(),
            reads,
            holds,
            charges: admissions,
            payments: admissions,
            connections: (crowd * value("connectedShare")).ceil(),
            instance_cpus: micros / 1e6 / value("cpuShare"),
        }
    }
}
