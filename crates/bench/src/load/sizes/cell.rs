//! The sizes that are measured.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use onsale_testing::Limits;

use super::super::sale::Deployment;

/// Limits of one process or of a server with its processes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size {
    pub(super) cpus: f64,
    /// MB of 1,048,576 bytes: the limit of memory; with Postgres its `shared_buffers`.
    pub(super) megabytes: u32,
}

/// One cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) deployment: Deployment,
    pub(super) instances: usize,
    /// Limits of each instance.
    pub(super) instance: Size,
    /// Milliseconds in which the processor time of an instance is given out.
    pub(super) period: u16,
    /// Processors of Postgres, and its shared buffers. Its memory is not limited: what it caches would decide the rate.
    pub(super) postgres: Option<Size>,
    /// Processors of Redis, whose memory is not limited either.
    pub(super) redis: Option<f64>,
    /// Whether the line is filled until memory ends, in place of a search for the knee.
    pub(super) is_line: bool,
}

/// The kernel's usual period, and a short one, in milliseconds.
const PERIOD: u16 = 100;
const PERIOD_SHORT: u16 = 10;

impl Cell {
    /// The limits of each instance.
    pub(super) fn limits(&self) -> Limits {
        let Size { cpus, megabytes } = self.instance;
        let period = Duration::from_millis(self.period.into());
        Limits { period, ..Limits::new(cpus, u64::from(megabytes) << 20) }
    }

    /// The period, if it is not the usual one.
    pub(super) fn odd_period(&self) -> Option<u16> {
        Some(self.period).filter(|period| *period != PERIOD)
    }
}

/// Memory of the instances, in MB.
const MEMORY: [u32; 4] = [32, 64, 128, 256];

/// What is left of the processors of a machine for the generator, the database and the kernel.
const LEFT_CPUS: f64 = 1.0;

/// Processors that an instance may have in this run.
fn cpus(of_machine: f64) -> impl Iterator<Item = f64> {
    [0.25, 0.5, 1.0, 2.0].into_iter().filter(move |cpus| *cpus <= (of_machine - LEFT_CPUS).max(1.0))
}

fn cell(deployment: Deployment, cpus: f64, megabytes: u32) -> Cell {
    Cell {
        deployment,
        instances: 1,
        instance: Size { cpus, megabytes },
        period: PERIOD,
        postgres: None,
        redis: None,
        is_line: false,
    }
}

/// All cells for a machine with this many processors, in the order of the tables.
pub(super) fn matrix(size: &str, of_machine: f64) -> Vec<Cell> {
    let (sqlite, shared) = (Deployment::Sqlite, Deployment::Shared);
    let line = |deployment, megabytes| Cell { is_line: true, ..cell(deployment, 1.0, megabytes) };
    match size {
        "tiny" => return vec![cell(sqlite, 0.5, 256), line(sqlite, 256)],
        "quick" => {
            let of_half = |deployment| [cell(deployment, 0.5, 64), cell(deployment, 1.0, 128)];
            return of_half(sqlite).into_iter().chain(of_half(shared)).chain([line(sqlite, 32)]).collect();
        }
        _ => {}
    }
    let mut cells = Vec::new();
    for deployment in [sqlite, shared] {
        for cpus in cpus(of_machine) {
            cells.extend(MEMORY.map(|megabytes| cell(deployment, cpus, megabytes)));
        }
    }
    // One part is limited at a time: the others have what they need.
    for cpus in [0.5, 1.0] {
        for megabytes in [64, 256] {
            cells.push(Cell { postgres: Some(Size { cpus, megabytes }), ..cell(shared, 1.0, 256) });
        }
    }
    cells.extend([0.25, 0.5].map(|cpus| Cell { redis: Some(cpus), ..cell(shared, 1.0, 256) }));
    // A process that used up its time waits for at most one period.
    cells.extend([0.25, 0.5].map(|cpus| Cell { period: PERIOD_SHORT, ..cell(sqlite, cpus, 128) }));
    // The same processors in more processes.
    for instances in [2_u8, 3] {
        cells.push(Cell { instances: instances.into(), ..cell(shared, 1.0 / f64::from(instances), 128) });
    }
    for deployment in [sqlite, shared] {
        cells.extend(MEMORY.map(|megabytes| line(deployment, megabytes)));
    }
    cells
}

impl Display for Cell {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let Size { cpus, megabytes } = self.instance;
        let what = if self.is_line { "line" } else { "knee" };
        write!(out, "{what} {} {} × {cpus:.2} CPU {megabytes} MB", self.deployment.name(), self.instances)?;
        if let Some(Size { cpus, megabytes }) = self.postgres {
            write!(out, ", Postgres {cpus:.2} CPU shared_buffers {megabytes} MB")?;
        }
        if let Some(cpus) = self.redis {
            write!(out, ", Redis {cpus:.2} CPU")?;
        }
        if let Some(period) = self.odd_period() {
            write!(out, ", period {period} ms")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_cell_has_a_name_of_its_own_and_leaves_a_processor_to_the_generator() {
        for size in ["full", "quick", "tiny"] {
            let cells = matrix(size, 2.0);
            let names: BTreeSet<String> = cells.iter().map(ToString::to_string).collect();
            assert_eq!(names.len(), cells.len(), "{size}");
            assert!(cells.iter().all(|cell| cell.instance.cpus * cell.instances as f64 <= 1.01), "{size}");
        }
        assert!(matrix("full", 4.0).iter().any(|cell| cell.instance.cpus > 1.9));
        assert_eq!(matrix("full", 1.0).len(), matrix("full", 2.0).len());
    }
}
