//! How the program batches commands, from its own metrics.

use std::fmt;
use std::net::SocketAddr;

use onsale_load_generator::Outcome;

use super::Metrics;

/// Sums since the program started, or between two readings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Batching {
    batches: f64,
    commands: f64,
    /// Seconds that all batches took, and the part of it from the first write to the end of the commit.
    unit: f64,
    commit: f64,
    /// Seconds that all commands waited for their batch.
    wait: f64,
}

impl Batching {
    /// Reads the current sums of a program.
    pub(crate) fn of(address: SocketAddr) -> Outcome<Self> {
        let metrics = Metrics::of(address)?;
        let number = |name: &str| metrics.number(&format!("desk_{name}"));
        Ok(Self {
            batches: number("batch_size_count")?,
            commands: number("batch_size_sum")?,
            unit: number("unit_seconds_sum")?,
            commit: number("commit_seconds_sum")?,
            wait: number("wait_seconds_sum")?,
        })
    }

    /// The sums since an earlier reading.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            batches: self.batches - before.batches,
            commands: self.commands - before.commands,
            unit: self.unit - before.unit,
            commit: self.commit - before.commit,
            wait: self.wait - before.wait,
        }
    }

    /// Adds the sums of another interval.
    pub(crate) fn add(&mut self, other: &Self) {
        self.batches += other.batches;
        self.commands += other.commands;
        self.unit += other.unit;
        self.commit += other.commit;
        self.wait += other.wait;
    }

    /// Average number of commands per batch.
    pub(crate) fn commands_per_batch(&self) -> f64 {
        self.commands / self.batches.max(1.0)
    }
}

impl fmt::Display for Batching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |seconds: f64, many: f64| seconds * 1000.0 / many.max(1.0);
        write!(
            f,
            "a batch: {:.1} commands, {:.2} ms, of which save and commit {:.2} ms; a command waits {:.2} ms",
            self.commands_per_batch(),
            millis(self.unit, self.batches),
            millis(self.commit, self.batches),
            millis(self.wait, self.commands)
        )
    }
}
