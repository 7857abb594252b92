//! Processor time, memory and open files of groups of processes, and the pressure on the machine, from `/proc`.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;

/// Processes that are measured together.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) processes: Vec<u32>,
    /// Whether processes count that these started, also those that have ended.
    pub(crate) with_children: bool,
}

/// What a group has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    /// Processor time so far.
    pub(crate) cpu: Duration,
    /// Memory of its own, without shared pages and files, in KiB.
    pub(crate) memory: u64,
    pub(crate) files: u64,
}

/// One reading of all groups.
#[derive(Clone, Debug)]
struct Moment {
    at: Instant,
    groups: Vec<Use>,
    /// Microseconds in which some task waited for processor, disk, memory. `None` if the kernel does not count it.
    pressure: [Option<u64>; 3],
}

/// What was read during a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources {
    names: Vec<&'static str>,
    moments: Vec<Moment>,
}

/// Reads in a thread of its own.
pub(crate) struct Watch {
    groups: Arc<Mutex<Vec<Group>>>,
    /// Relaxed: the thread reads no other data for it.
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Resources>,
}

impl Watch {
    /// Starts to read these groups at this interval.
    pub(crate) fn start(groups: Vec<Group>, interval: Duration) -> Self {
        let (groups, stop) = (Arc::new(Mutex::new(groups)), Arc::new(AtomicBool::new(false)));
        let (of_thread, stopped) = (groups.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut resources = Resources::default();
            loop {
                let is_last = stopped.load(Ordering::Relaxed);
                let groups = of_thread.lock().unwrap_or_else(PoisonError::into_inner).clone();
                resources.names = groups.iter().map(|group| group.name).collect();
                resources.moments.push(Moment {
                    at: Instant::now(),
                    groups: groups.iter().map(used).collect(),
                    pressure: ["cpu", "io", "memory"].map(pressure),
                });
                if is_last {
                    return resources;
                }
                std::thread::sleep(interval);
            }
        });
        Self { groups, stop, thread }
    }

    /// Replaces the processes of a group, after they were started again.
    pub(crate) fn replace(&self, name: &str, processes: Vec<u32>) {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.iter_mut().find(|group| group.name == name) {
            group.processes = processes;
        }
    }

    /// Reads once more, and returns everything.
    ///
    /// # Errors
    /// If the thread panicked.
    pub(crate) fn stop(self) -> Outcome<Resources> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the thread that watches resources panicked".into())
    }
}

impl Resources {
    /// The names of the groups, in their order.
    pub(crate) fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// The average share of one core that a group used, from the first to the last reading. 1 is one whole core.
    pub(crate) fn cores(&self, name: &str) -> f64 {
        self.cores_until(name, None)
    }

    /// [`Resources::cores`] in the first part of the run.
    pub(crate) fn cores_until(&self, name: &str, time: Option<Duration>) -> f64 {
        let Some((index, first)) = self.index(name).zip(self.moments.first()) else { return 0.0 };
        let mut cpu = Duration::ZERO;
        let mut last = first;
        for moment in &self.moments {
            if time.is_some_and(|time| moment.at - first.at > time) {
                break;
            }
            // Less than before: the processes were started again.
            cpu += moment.groups[index].cpu.saturating_sub(last.groups[index].cpu);
            last = moment;
        }
        cpu.as_secs_f64() / (last.at - first.at).as_secs_f64().max(0.001)
    }

    /// The most memory of a group, in MB.
    pub(crate) fn peak_megabytes(&self, name: &str) -> f64 {
        let Some(index) = self.index(name) else { return 0.0 };
        let most = self.moments.iter().map(|moment| moment.groups[index].memory).max();
        most.unwrap_or(0) as f64 / 1_024.0
    }

    /// The most open files of a group.
    pub(crate) fn peak_files(&self, name: &str) -> u64 {
        let Some(index) = self.index(name) else { return 0 };
        self.moments.iter().map(|moment| moment.groups[index].files).max().unwrap_or(0)
    }

    /// Growth of a group's memory after the first tenth of the readings, in MB per hour.
    pub(crate) fn megabytes_per_hour(&self, name: &str) -> f64 {
        let after = &self.moments[self.moments.len() / 10..];
        let (Some(index), Some((first, last))) = (self.index(name), after.first().zip(after.last())) else {
            return 0.0;
        };
        let grown = last.groups[index].memory as f64 - first.groups[index].memory as f64;
        grown / 1_024.0 / (last.at - first.at).as_secs_f64().max(0.001) * 3_600.0
    }

    /// The share of the time in which some task waited for processor (0), disk (1) or memory (2). `None` if the kernel does not
    /// count it.
    pub(crate) fn pressure(&self, which: usize) -> Option<f64> {
        let (first, last) = self.moments.first().zip(self.moments.last())?;
        let waited = last.pressure[which]?.saturating_sub(first.pressure[which]?);
        Some(waited as f64 / 1e6 / (last.at - first.at).as_secs_f64().max(0.001))
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }
}

/// What a group uses now.
fn used(group: &Group) -> Use {
    let mut all: BTreeSet<u32> = group.processes.iter().copied().collect();
    if group.with_children {
        all.extend(children(&all));
    }
    let mut sum = Use::default();
    for id in all {
        let Some(Stat { own, waited_for, .. }) = stat(id) else { continue };
        let ticks = if group.with_children { own + waited_for } else { own };
        // A tick is 10 ms.
        sum.cpu += Duration::from_millis(ticks * 10);
        let status = read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let memory = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        sum.memory += memory.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
        sum.files += read_dir(format!("/proc/{id}/fd")).map_or(0, |files| files.count() as u64);
    }
    sum
}

/// Processes whose parents are among these.
fn children(parents: &BTreeSet<u32>) -> Vec<u32> {
    let processes = read_dir("/proc").into_iter().flatten();
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| stat(*id).is_some_and(|stat| parents.contains(&stat.parent))).collect()
}

/// A part of `/proc/…/stat`: times in ticks.
struct Stat {
    parent: u32,
    own: u64,
    /// Of children that have ended.
    waited_for: u64,
}

fn stat(id: u32) -> Option<Stat> {
    let stat = read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in brackets may contain anything. After it: state, parent, and as 12th to 15th word the times.
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |from: usize| Some(words.get(from..from + 2)?.iter().filter_map(|word| word.parse::<u64>().ok()).sum());
    Some(Stat { parent: words.get(1)?.parse().ok()?, own: ticks(11)?, waited_for: ticks(13)? })
}

fn pressure(of: &str) -> Option<u64> {
    let text = read_to_string(format!("/proc/pressure/{of}")).ok()?;
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.rsplit_once("total=")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_used_what_its_moments_show() {
        let began = Instant::now();
        let moment = |seconds: u64, cpu: u64, memory: u64| Moment {
            at: began + Duration::from_secs(seconds),
            groups: vec![Use { cpu: Duration::from_secs(cpu), memory, files: memory / 1_024 }],
            pressure: [Some(seconds * 500_000), Some(0), None],
        };
        let moments = vec![moment(0, 1, 1_024), moment(10, 6, 3_072), moment(20, 2, 2_048), moment(30, 8, 2_048)];
        let resources = Resources { names: vec!["onsale"], moments };
        // 5 s, then the processes were started again, then 6 s: within 30 s.
        assert!((resources.cores("onsale") - 11.0 / 30.0).abs() < 1e-9);
        assert!((resources.cores_until("onsale", Some(Duration::from_secs(10))) - 0.5).abs() < 1e-9);
        assert_eq!((resources.peak_megabytes("onsale"), resources.peak_files("onsale")), (3.0, 3));
        assert!((resources.megabytes_per_hour("onsale") - 120.0).abs() < 1e-9);
        assert_eq!((resources.pressure(0), resources.pressure(2), resources.cores("none")), (Some(0.5), None, 0.0));
    }

    #[test]
    fn this_process_uses_memory_and_files() {
        let group = Group { name: "self", processes: vec![std::process::id()], with_children: false };
        let Use { memory, files, .. } = used(&group);
        assert!(memory > 0 && files > 2, "{memory} {files}");
    }
}
