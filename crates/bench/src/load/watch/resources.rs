//! Processor time, memory and open files of groups of processes, and the pressure on the machine, from `/proc`.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;

/// Processes that are measured together.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    name: &'static str,
    processes: Vec<u32>,
    /// Whether processes count that these started, also those that have ended.
    with_children: bool,
    /// Processor time of these processes that does not count.
    before: Duration,
}

impl Group {
    /// These processes without their children.
    pub(crate) fn new(name: &'static str, processes: Vec<u32>) -> Self {
        Self { name, processes, with_children: false, before: Duration::ZERO }
    }

    /// Counts processes that these started, also those that have ended.
    pub(crate) fn with_children(self) -> Self {
        Self { with_children: true, ..self }
    }
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
    /// The times in which persons arrived. Each begins with a moment.
    arriving: Vec<Range<Instant>>,
}

/// What is read, and what was read so far.
#[derive(Debug, Default)]
struct Readings {
    groups: Vec<Group>,
    resources: Resources,
}

impl Readings {
    /// Reads all groups. Returns when.
    fn read(&mut self) -> Instant {
        let at = Instant::now();
        let (groups, pressure) = (self.groups.iter().map(used).collect(), ["cpu", "io", "memory"].map(pressure));
        self.resources.moments.push(Moment { at, groups, pressure });
        at
    }

    fn replace(&mut self, name: &str, processes: Vec<u32>) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.name == name) {
            (group.processes, group.before) = (processes, Duration::ZERO);
            group.before = used(group).cpu;
        }
    }
}

/// Reads in a thread of its own.
pub(crate) struct Watch {
    /// Locked while something is read, so that moments are in order.
    readings: Arc<Mutex<Readings>>,
    /// Relaxed: the thread reads no other data for it.
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Starts to read these groups at this interval.
    pub(crate) fn start(groups: Vec<Group>, interval: Duration) -> Self {
        let names = groups.iter().map(|group| group.name).collect();
        let readings = Readings { groups, resources: Resources { names, ..Resources::default() } };
        let (readings, stop) = (Arc::new(Mutex::new(readings)), Arc::new(AtomicBool::new(false)));
        let (of_thread, stopped) = (readings.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            loop {
                let is_last = stopped.load(Ordering::Relaxed);
                of_thread.lock().unwrap_or_else(PoisonError::into_inner).read();
                if is_last {
                    return;
                }
                std::thread::sleep(interval);
            }
        });
        Self { readings, stop, thread }
    }

    /// Replaces the processes of a group, after they were started again. What they used before does not count.
    pub(crate) fn replace(&self, name: &str, processes: Vec<u32>) {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).replace(name, processes);
    }

    /// Persons arrive from now on, for this time, and these processes of this group send their requests.
    pub(crate) fn arrive(&self, time: Duration, (name, processes): (&str, Vec<u32>)) {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.replace(name, processes);
        let from = readings.read();
        readings.resources.arriving.push(from..from + time);
    }

    /// Reads once more, and returns everything.
    ///
    /// # Errors
    /// If the thread panicked.
    pub(crate) fn stop(self) -> Outcome<Resources> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the thread that watches resources panicked")?;
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut readings.resources))
    }
}

impl Resources {
    /// The names of the groups, in their order.
    pub(crate) fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// The average share of one core that a group used, from the first to the last reading. 1 is one whole core.
    pub(crate) fn cores(&self, name: &str) -> f64 {
        self.cores_if(name, |_| true)
    }

    /// [`Resources::cores`] while persons arrived: from the first person who was due to the last reading before the last one.
    pub(crate) fn cores_arriving(&self, name: &str) -> f64 {
        self.cores_if(name, |time| {
            self.arriving.iter().any(|arriving| arriving.start <= time.start && time.end <= arriving.end)
        })
    }

    /// [`Resources::cores`] in the times between two readings for which this is true.
    fn cores_if(&self, name: &str, counts: impl Fn(Range<Instant>) -> bool) -> f64 {
        let Some(index) = self.index(name) else { return 0.0 };
        let (mut cpu, mut time) = (Duration::ZERO, Duration::ZERO);
        for pair in self.moments.windows(2).filter(|pair| counts(pair[0].at..pair[1].at)) {
            // Less than before: the processes were replaced.
            cpu += pair[1].groups[index].cpu.saturating_sub(pair[0].groups[index].cpu);
            time += pair[1].at - pair[0].at;
        }
        cpu.as_secs_f64() / time.as_secs_f64().max(0.001)
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
    sum.cpu = sum.cpu.saturating_sub(group.before);
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
        let arrives = |from: u64, until: u64| began + Duration::from_secs(from)..began + Duration::from_secs(until);
        let arriving = vec![arrives(0, 15), arrives(20, 31)];
        let resources = Resources { names: vec!["onsale"], moments, arriving };
        // 5 s, then the processes were started again, then 6 s: within 30 s.
        assert!((resources.cores("onsale") - 11.0 / 30.0).abs() < 1e-9);
        // Only the first and the third of these times are within an arrival: 5 s and 6 s in 20 s.
        assert!((resources.cores_arriving("onsale") - 11.0 / 20.0).abs() < 1e-9);
        assert_eq!((resources.peak_megabytes("onsale"), resources.peak_files("onsale")), (3.0, 3));
        assert!((resources.megabytes_per_hour("onsale") - 120.0).abs() < 1e-9);
        assert_eq!((resources.pressure(0), resources.pressure(2), resources.cores("none")), (Some(0.5), None, 0.0));
    }

    #[test]
    fn this_process_uses_memory_and_files() {
        let Use { memory, files, .. } = used(&Group::new("self", vec![std::process::id()]));
        assert!(memory > 0 && files > 2, "{memory} {files}");
    }

    #[test]
    fn what_processes_used_before_they_were_named_does_not_count() {
        let own = Group::new("generator", vec![std::process::id()]);
        // The kernel counts in steps of 10 ms.
        while used(&own).cpu.is_zero() {}
        let cpu = used(&own).cpu;
        let mut readings = Readings { groups: vec![Group::new("generator", Vec::new())], ..Readings::default() };
        readings.replace("generator", own.processes.clone());
        let [named] = &readings.groups[..] else { unreachable!("one group") };
        assert!(named.before >= cpu && named.processes == own.processes, "{named:?} {cpu:?}");
        assert_eq!(used(&Group { before: Duration::MAX, ..own }).cpu, Duration::ZERO);
    }
}
