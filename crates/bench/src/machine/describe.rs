//! Facts about the machine: processor, kernel, commit, and the duration of an fsync.

use std::fmt::Write as _;
use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use onsale_load_generator::{Histogram, Outcome};

use crate::scale::Scale;

/// Describes the machine, and measures the disk of the temporary folder.
///
/// # Errors
/// If the temporary folder is in memory: an fsync there costs nothing and would prove nothing. The test of the benchmark may
/// run there all the same.
pub(crate) fn describe(scale: Scale) -> Outcome<String> {
    let cores = std::thread::available_parallelism()?;
    let cpu = read_to_string("/proc/cpuinfo")?;
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |pair| pair.1);
    let kernel = read_to_string("/proc/sys/kernel/osrelease")?;
    let load = read_to_string("/proc/loadavg")?;
    let load = load.split_whitespace().next().unwrap_or("?");
    let mut text =
        format!("machine: {cores} cores of {model}, Linux {}, load {load} before the start\n", kernel.trim());
    if read_to_string("/proc/sys/kernel/sched_autogroup_enabled").is_ok_and(|text| text.trim() == "1") {
        text.push_str(
            "         kernel.sched_autogroup_enabled is 1: the scheduler divides processors among sessions first, and priorities count only within a session\n",
        );
    }
    writeln!(text, "commit:  {}", commit())?;
    writeln!(text, "size:    {}", scale.name())?;

    let folder = std::env::temp_dir().canonicalize()?;
    let (kind, source) = file_system(&folder)?;
    if ["tmpfs", "ramfs"].contains(&kind.as_str()) && scale.name() != "tiny" {
        return Err(format!(
            "{} is {kind}, where an fsync costs nothing; set TMPDIR to a folder on a disk",
            folder.display()
        )
        .into());
    }
    writeln!(text, "disk:    {} on {kind} ({source})", folder.display())?;
    for (size, times) in [(4 * 1024, scale.pick(200, 200, 3)), (256 * 1024, scale.pick(100, 100, 3))] {
        let took = overwrite_and_sync(&folder, size, times)?;
        let (median, late, kilobytes) = (took.millis(500), took.millis(990), size / 1024);
        writeln!(text, "         overwrite {kilobytes} KiB + fdatasync: median {median:.2} ms, p99 {late:.2} ms")?;
    }
    Ok(text.trim_end().to_owned())
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["log", "-1", "--format=%h %s"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain"]) {
        Some(changes) if !changes.is_empty() => format!("{commit} (and {} files changed)", changes.lines().count()),
        _ => commit,
    }
}

/// File system type and source of a folder: those of its longest mount point.
fn file_system(folder: &Path) -> Outcome<(String, String)> {
    let mounts = read_to_string("/proc/self/mountinfo")?;
    let parse = |line: &str| {
        let (mount, system) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let mut system = system.split(' ');
        let (kind, source) = (system.next()?.to_owned(), system.next()?.to_owned());
        folder.starts_with(point).then_some((point.len(), kind, source))
    };
    // If one mount point has several mounts, the last one is visible.
    let longest = mounts.lines().filter_map(parse).max_by_key(|(length, _, _)| *length);
    longest
        .map(|(_, kind, source)| (kind, source))
        .ok_or_else(|| "the file system of the temporary folder is not in /proc/self/mountinfo".into())
}

fn overwrite_and_sync(folder: &Path, size: usize, times: u32) -> Outcome<Histogram> {
    let path = folder.join(format!("onsale-bench-sync-{}", std::process::id()));
    let measured = (|| {
        let file = File::create(&path)?;
        let bytes = vec![7_u8; size];
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        let mut took = Histogram::default();
        let began = Instant::now();
        for _ in 0..times {
            let before = Instant::now();
            file.write_all_at(&bytes, 0)?;
            file.sync_data()?;
            took.add(before.elapsed());
            if began.elapsed() > Duration::from_secs(10) {
                break;
            }
        }
        Ok(took)
    })();
    let _ = std::fs::remove_file(&path);
    measured
}
