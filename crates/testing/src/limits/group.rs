//! A control group: folders of the kernel's file system, one of version 2 or one for each controller of version 1.

use std::collections::BTreeSet;
use std::fs::{create_dir, read_dir, read_to_string, remove_dir, write};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::mounts::{First, Mounts};
use super::{Limits, Means, Usage, words};
use crate::processes::send;

/// Moves the shell into the groups whose files are named before `--`, and becomes the program that is named after it. A limit
/// that the kernel does not apply ends the shell.
const ENTER: &str = r#"while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec "$@""#;

/// A killed process has left its group within this time.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A group. When it is dropped, its processes are killed and it is removed.
#[derive(Debug)]
pub(super) struct Group {
    files: Files,
    /// Whether this process made the folders.
    is_own: bool,
}

#[derive(Debug)]
enum Files {
    Second(PathBuf),
    First { cpu: PathBuf, cpuacct: PathBuf, memory: PathBuf },
}

impl Group {
    /// Makes a group below the group of this process, and removes groups that processes left behind that were killed.
    ///
    /// # Errors
    /// If the system does not have this means, or refuses.
    pub(super) fn create(means: Means, name: &str, limits: &Limits) -> io::Result<Self> {
        let missing = || io::Error::new(io::ErrorKind::Unsupported, format!("this machine has no {}", means.name()));
        let mounts = Mounts::read();
        let below = |parent: &Path| {
            remove_left_behind(parent);
            parent.join(name)
        };
        let files = if means == Means::Cgroup2 {
            Files::Second(below(&mounts.second().ok_or_else(missing)?))
        } else {
            let First { cpu, cpuacct, memory } = mounts.first().ok_or_else(missing)?;
            Files::First { cpu: below(&cpu), cpuacct: below(&cpuacct), memory: below(&memory) }
        };
        // Dropped from here on if a step fails.
        let group = Self { files, is_own: true };
        group.folders().into_iter().try_for_each(create_dir)?;
        group.limit_processor(limits)?;
        group.limit_memory(limits.memory)?;
        Ok(group)
    }

    /// A group of version 2 that another program made, and removes.
    pub(super) fn of_other(folder: PathBuf) -> Self {
        Self { files: Files::Second(folder), is_own: false }
    }

    fn limit_processor(&self, limits: &Limits) -> io::Result<()> {
        let (quota, period) = (limits.quota().as_micros(), limits.period.as_micros());
        match &self.files {
            Files::Second(folder) => write(folder.join("cpu.max"), format!("{quota} {period}")),
            Files::First { cpu, .. } => {
                write(cpu.join("cpu.cfs_period_us"), period.to_string())?;
                write(cpu.join("cpu.cfs_quota_us"), quota.to_string())
            }
        }
    }

    /// Sets the limit of memory, without swap beyond it.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn limit_memory(&self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.to_string();
        match &self.files {
            Files::Second(folder) => {
                write(folder.join("memory.max"), bytes)?;
                if_there(&folder.join("memory.swap.max"), "0")
            }
            Files::First { memory, .. } => {
                write(memory.join("memory.swappiness"), "0")?;
                // Memory and swap together may not be limited below memory: whichever order fails, the other one works.
                let both = memory.join("memory.memsw.limit_in_bytes");
                if write(memory.join("memory.limit_in_bytes"), &bytes).is_err() {
                    if_there(&both, &bytes)?;
                    return write(memory.join("memory.limit_in_bytes"), &bytes);
                }
                if_there(&both, &bytes)
            }
        }
    }

    /// The folder with the files for memory.
    pub(super) fn memory_folder(&self) -> &Path {
        match &self.files {
            Files::Second(folder) | Files::First { memory: folder, .. } => folder,
        }
    }

    fn folders(&self) -> Vec<&Path> {
        match &self.files {
            Files::Second(folder) => vec![folder],
            // Often one folder counts and limits processor time, under two names.
            Files::First { cpu, cpuacct, memory } => {
                let folders: BTreeSet<PathBuf> = [cpu, cpuacct].into_iter().map(|path| real(path)).collect();
                let mut all = vec![cpu.as_path(), memory.as_path()];
                all.extend((folders.len() > 1).then_some(cpuacct.as_path()));
                all
            }
        }
    }

    /// The words that let a command enter the group.
    pub(super) fn prefix(&self) -> Vec<String> {
        let mut prefix = words(&["sh", "-c", ENTER, "enter"]);
        prefix.extend(self.folders().iter().map(|folder| folder.join("cgroup.procs").display().to_string()));
        prefix.push("--".to_owned());
        prefix
    }

    /// Moves running processes into the group.
    ///
    /// # Errors
    /// If one has ended, or the system refuses.
    pub(super) fn adopt(&self, processes: &[u32]) -> io::Result<()> {
        let entries = self.folders().into_iter().flat_map(|folder| processes.iter().map(move |id| (folder, id)));
        entries.into_iter().try_for_each(|(folder, id)| write(folder.join("cgroup.procs"), id.to_string()))
    }

    /// What the group has used so far.
    ///
    /// # Errors
    /// If a file of the group cannot be read.
    pub(super) fn usage(&self) -> io::Result<Usage> {
        match &self.files {
            Files::Second(folder) => usage_of_second(folder),
            Files::First { cpu, cpuacct, memory } => usage_of_first(cpu, cpuacct, memory),
        }
    }
}

fn usage_of_second(folder: &Path) -> io::Result<Usage> {
    let read = |name: &str| read_to_string(folder.join(name));
    let stat = read("cpu.stat")?;
    let memory = number(&read("memory.current")?);
    Ok(Usage {
        cpu: Duration::from_micros(value(&stat, "usage_usec")),
        periods: value(&stat, "nr_periods"),
        throttled: value(&stat, "nr_throttled"),
        throttled_time: Duration::from_micros(value(&stat, "throttled_usec")),
        anonymous: value(&read("memory.stat")?, "anon"),
        memory,
        // Kernels before 5.19 do not keep it.
        peak: read("memory.peak").map_or(memory, |text| number(&text)),
        oom_kills: value(&read("memory.events")?, "oom_kill"),
    })
}

fn usage_of_first(cpu: &Path, cpuacct: &Path, memory: &Path) -> io::Result<Usage> {
    // Time before periods: however long this thread is delayed in between, the periods are those of this time or more.
    let time = number(&read_to_string(cpuacct.join("cpuacct.usage"))?);
    let stat = read_to_string(cpu.join("cpu.stat"))?;
    let read = |name: &str| read_to_string(memory.join(name));
    Ok(Usage {
        cpu: Duration::from_nanos(time),
        periods: value(&stat, "nr_periods"),
        throttled: value(&stat, "nr_throttled"),
        throttled_time: Duration::from_nanos(value(&stat, "throttled_time")),
        anonymous: value(&read("memory.stat")?, "total_rss"),
        memory: number(&read("memory.usage_in_bytes")?),
        peak: number(&read("memory.max_usage_in_bytes")?),
        oom_kills: value(&read("memory.oom_control")?, "oom_kill"),
    })
}

/// The number after a name; 0 if there is none.
fn value(text: &str, name: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map_or(0, number)
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

/// Writes to a file of a feature that a kernel may not have.
fn if_there(file: &Path, text: &str) -> io::Result<()> {
    if file.exists() { write(file, text) } else { Ok(()) }
}

/// A folder without symbolic links. It may not exist yet; its parent does.
fn real(folder: &Path) -> PathBuf {
    let parent = folder.parent().and_then(|parent| parent.canonicalize().ok());
    parent.unwrap_or_default().join(folder.file_name().unwrap_or_default())
}

fn processes(folder: &Path) -> Vec<u32> {
    let text = read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Removes empty groups of processes that have ended: a killed process cannot remove its own. A group with processes is never
/// touched: the kernel refuses to remove it.
fn remove_left_behind(parent: &Path) {
    for entry in read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("onsale-")?.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            let _ = remove_dir(entry.path());
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_own {
            return;
        }
        let began = Instant::now();
        for folder in self.folders() {
            // A process may have started another one since the list was read. An ended process leaves when its parent knows it.
            while remove_dir(folder).is_err() && folder.exists() && began.elapsed() < ENDS_WITHIN {
                processes(folder).into_iter().for_each(|id| send(id, Signal::KILL));
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let text = "nr_periods 92\nnr_throttled 79\nthrottled_time 219358430\nanon_thp 5\nanon 7\n";
        assert_eq!((value(text, "nr_throttled"), value(text, "throttled_time")), (79, 219_358_430));
        assert_eq!((value(text, "anon"), value(text, "throttled"), number("max\n")), (7, 0, 0));
    }
}
