//! Watches whether the log can be moved into the file, and whether it fills the disk.
//!
//! SQLite keeps in the log what an open read transaction may still need. A read transaction of another process that never ends,
//! such as one of a forgotten shell, makes the log grow with every commit until the disk is full.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onsale_app::conditions::Conditions;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

use super::Shared;

/// If no page could be moved for this long, a reader holds the log back.
const HELD_BACK_AFTER: Duration = Duration::from_secs(5);

/// The part and the condition on the board.
const PART: &str = "database";
const CONDITION: &str = "log-growth";

const MIB: u64 = 1_048_576;

/// The state of the log's growth.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// The number of moved pages when it last grew, and when that was.
    stuck: Option<(i64, Instant)>,
    is_held_back: bool,
}

impl Growth {
    /// Notes a checkpoint: how many pages of the log are moved, and whether many are left.
    pub(super) fn note(&mut self, shared: &Shared, moved: i64, is_long: bool) {
        if !is_long {
            self.stuck = None;
            return self.let_go(shared);
        }
        match self.stuck {
            Some((before, since)) if moved <= before => {
                if since.elapsed() >= HELD_BACK_AFTER {
                    self.hold_back(shared);
                }
            }
            _ => {
                self.stuck = Some((moved, Instant::now()));
                self.let_go(shared);
            }
        }
    }

    /// Whether a reader holds the log back.
    pub(super) fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    fn hold_back(&mut self, shared: &Shared) {
        self.is_held_back = true;
        let free = free_bytes(&shared.path);
        let is_scarce = free.is_some_and(|free| free < shared.reserve_bytes.load(Ordering::Relaxed));
        shared.is_disk_scarce.store(is_scarce, Ordering::Release);
        let Some(conditions) = shared.conditions.get() else { return };
        // Rounded to powers of two: a reason is logged when it changes, so with every doubling only.
        let log = (log_bytes(&shared.path) / MIB).max(1);
        let at_least = 1_u64 << log.ilog2();
        let what = "another process has had a read transaction open for long, so the log cannot be moved into the file";
        let next = "end that transaction (`fuser` with the name of the file lists the processes)";
        let reason = match is_scarce {
            false => format!("the log has more than {at_least} MiB and grows with every write: {what}; {next}"),
            true => format!("writes are refused, as the log has nearly filled the disk: {what}; {next}"),
        };
        conditions.raise(PART, CONDITION, reason);
    }

    fn let_go(&mut self, shared: &Shared) {
        if std::mem::take(&mut self.is_held_back) {
            shared.is_disk_scarce.store(false, Ordering::Release);
            clear(shared);
        }
    }
}

/// Clears the condition on the board.
pub(super) fn clear(shared: &Shared) {
    if let Some(conditions) = shared.conditions.get() {
        conditions.clear(PART, CONDITION);
    }
}

/// Sets the board of conditions, and how many MiB of the disk the log must leave free.
pub(super) fn report_to(shared: &Shared, conditions: &Arc<Conditions>, reserve_mib: u32) {
    let _ = shared.conditions.set(conditions.clone());
    shared.reserve_bytes.store(u64::from(reserve_mib) * MIB, Ordering::Relaxed);
    clear(shared);
}

fn log_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Length of the log's file in bytes. The file is overwritten and not truncated, so most of it may be moved already.
fn log_bytes(database: &Path) -> u64 {
    std::fs::metadata(log_path(database)).map_or(0, |file| file.len())
}

/// Free bytes for this process on the disk of the database; `None` if the system does not tell.
fn free_bytes(database: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(database).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The metric of the log's length, read from the disk at each scrape.
#[derive(Debug)]
pub(super) struct LogLength(pub(super) Arc<Shared>);

impl Collector for LogLength {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(i64::try_from(log_bytes(&self.0.path)).unwrap_or(i64::MAX));
        let help =
            "Size of SQLite's write-ahead log in bytes; it grows while another process keeps SQLite from truncating it";
        gauge.encode(encoder.encode_descriptor("sqlite_log_bytes", help, None, gauge.metric_type())?)
    }
}

/// The default of `reserve_bytes`.
pub(super) fn default_reserve() -> AtomicU64 {
    AtomicU64::new(256 * MIB)
}
