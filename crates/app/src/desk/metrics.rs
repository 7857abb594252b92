//! The metrics of the desk.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Counts and times of all lanes.
#[derive(Debug)]
pub struct Metrics {
    /// Number of commands in a batch.
    pub batch_size: Histogram,
    /// From the queue to the start of the batch, in seconds.
    pub wait: Histogram,
    /// From the first load to the commit, in seconds.
    pub unit: Histogram,
    /// Save and commit, in seconds.
    pub commit: Histogram,
    /// Commands refused because the lane was full.
    pub shed: Counter,
    /// Batches that failed and ran again, together or one by one.
    pub rerun: Counter,
    /// Commands that failed because the database failed.
    pub failed: Counter,
    /// Answers returned again from an idempotency key.
    pub replayed: Counter,
    /// Requests refused because their user keeps as many answers as one user may.
    pub keys_used_up: Counter,
    /// Commands that wait for a lock which another session holds.
    pub parked: Gauge,
    /// Commands that waited for a lock of another session as long as a command may, and failed.
    pub locked_out: Counter,
    /// 1 after a failed unit of work, 0 after the next one that was written.
    pub troubled: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_1, 2.0, 17));
        Self {
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            wait: seconds(),
            unit: seconds(),
            commit: seconds(),
            shed: Counter::default(),
            rerun: Counter::default(),
            failed: Counter::default(),
            replayed: Counter::default(),
            keys_used_up: Counter::default(),
            parked: Gauge::default(),
            locked_out: Counter::default(),
            troubled: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Registers all metrics with the prefix `desk_`.
    pub fn register(&self, registry: &mut Registry) {
        let desk = registry.sub_registry_with_prefix("desk");
        desk.register("batch_size", "Commands per batch", self.batch_size.clone());
        desk.register_with_unit(
            "wait",
            "Time from the submission of a command to the start of its batch",
            Unit::Seconds,
            self.wait.clone(),
        );
        desk.register_with_unit(
            "unit",
            "Time of a unit of work, from loading rows to the end of the commit",
            Unit::Seconds,
            self.unit.clone(),
        );
        desk.register_with_unit(
            "commit",
            "Time to write the rows of a unit of work and commit them",
            Unit::Seconds,
            self.commit.clone(),
        );
        desk.register(
            "shed",
            "Commands refused with 503 overloaded because the queue of their lane was full",
            self.shed.clone(),
        );
        desk.register("batches_rerun", "Batches that failed and ran again command by command", self.rerun.clone());
        desk.register("commands_failed", "Commands that failed because of the database", self.failed.clone());
        desk.register("answers_replayed", "Answers replayed for a repeated idempotency key", self.replayed.clone());
        let help = "Requests refused with 429 because their user used up the idempotency keys of 24 hours";
        desk.register("keys_used_up", help, self.keys_used_up.clone());
        let help = "Commands that wait for a lock that another database session holds";
        desk.register("commands_parked", help, self.parked.clone());
        let help = "Commands that failed because another database session held a lock too long";
        desk.register("commands_locked_out", help, self.locked_out.clone());
        desk.register("troubled", "1 while units of work fail because of the database", self.troubled.clone());
    }
}
