//! Limits of the operating system on processes: open files of this one, processor and memory of those that it starts.
//!
//! [`Limited::start`] takes the first means that this machine has: control groups of version 2 or 1, systemd, Docker, or else
//! whole processors by `taskset`. A process enters its group before its program begins, so that each page it uses counts.
//! Modules: [`means`] chooses, [`mounts`] finds the group of this process, [`group`] has the files of a group, [`systemd`] and
//! [`docker`] have groups that another program makes.

mod docker;
mod group;
mod means;
mod mounts;
mod open_files;
mod systemd;

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use group::Group;

pub use means::Means;
pub use open_files::allow_open_files;

/// What a group of processes may use at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Processors: 0.5 is half of the time of one. At least 0.01.
    pub cpus: f64,
    /// Memory in bytes: anonymous memory, files in the page cache, and the kernel's part. There is no swap beyond it.
    pub memory: u64,
    /// The interval in which the processor time is given out: 1 ms to 1 s. A group that used up its share waits for the next one.
    pub period: Duration,
}

impl Limits {
    /// Limits with the kernel's usual period of 100 ms.
    pub fn new(cpus: f64, memory: u64) -> Self {
        Self { cpus, memory, period: Duration::from_millis(100) }
    }

    /// Processor time of each period.
    fn quota(&self) -> Duration {
        self.period.mul_f64(self.cpus)
    }
}

/// What a group has used, as the kernel counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its processes, also of those that have ended.
    pub cpu: Duration,
    /// Periods in which a process of the group ran.
    pub periods: u64,
    /// Periods in which it used up its share and had to wait.
    pub throttled: u64,
    /// The time for which it waited, summed over processors.
    pub throttled_time: Duration,
    /// Anonymous memory now, in bytes: without files in the page cache, which the kernel takes back when it needs to.
    pub anonymous: u64,
    /// All memory now, in bytes.
    pub memory: u64,
    /// The most memory so far, in bytes.
    pub peak: u64,
    /// Processes that were killed because the limit of memory was reached.
    pub oom_kills: u64,
}

impl Usage {
    /// What was used between an earlier reading and this one. Memory is that of this reading.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            periods: self.periods.saturating_sub(before.periods),
            throttled: self.throttled.saturating_sub(before.throttled),
            throttled_time: self.throttled_time.saturating_sub(before.throttled_time),
            oom_kills: self.oom_kills.saturating_sub(before.oom_kills),
            ..*self
        }
    }
}

/// A group of processes under limits. When it is dropped, its processes are killed and the group is removed.
#[derive(Debug)]
pub struct Limited(Kind);

#[derive(Debug)]
enum Kind {
    Group(Group),
    Systemd(systemd::Slice),
    Docker(docker::Container),
    /// The numbers of the processors, from 0 on.
    Processors(u32),
}

impl Limited {
    /// A new, empty group, by the first means that this machine has.
    ///
    /// # Errors
    /// If the system refuses to make it.
    pub fn start(limits: Limits) -> io::Result<Self> {
        Self::by(Means::first(), limits)
    }

    /// A new, empty group by this means.
    ///
    /// # Errors
    /// If the system refuses to make it, or does not have this means.
    pub fn by(means: Means, limits: Limits) -> io::Result<Self> {
        static GROUPS: AtomicU32 = AtomicU32::new(0);
        // Only the number has to differ, so no order of memory matters.
        let name = format!("onsale-{}-{}", std::process::id(), GROUPS.fetch_add(1, Ordering::Relaxed));
        Ok(Self(match means {
            Means::Cgroup2 | Means::Cgroup1 => Kind::Group(Group::create(means, &name, &limits)?),
            Means::Systemd => Kind::Systemd(systemd::Slice::create(&name, &limits)?),
            Means::Docker => Kind::Docker(docker::Container::new(name, limits)),
            Means::Taskset => Kind::Processors(whole_processors(limits.cpus)),
        }))
    }

    /// The words to put in front of a command line, so that its program runs in the group. They end by becoming that program,
    /// with the same process id; except with Docker, where the process is Docker's client.
    pub fn prefix(&self) -> Vec<String> {
        match &self.0 {
            Kind::Group(group) => group.prefix(),
            Kind::Systemd(slice) => slice.prefix(),
            Kind::Docker(container) => container.prefix(),
            Kind::Processors(count) => words(&["taskset", "--cpu-list", &format!("0-{}", count - 1)]),
        }
    }

    /// A program in the group, to which arguments can be added.
    pub fn command(&self, program: &str) -> Command {
        let mut prefix = self.prefix().into_iter();
        let mut command = Command::new(prefix.next().unwrap_or_default());
        command.args(prefix).arg(program);
        command
    }

    /// The folder with the files of the group for memory (`memory.max`, or `memory.limit_in_bytes`). `None` if the group is not
    /// made of files.
    pub fn memory_folder(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Group(group) => Some(group.memory_folder()),
            _ => None,
        }
    }

    /// Moves running processes into the group, and so all that they start later. Memory that they use already does not count.
    ///
    /// # Errors
    /// `Unsupported` with Docker; or if a process has ended.
    pub fn adopt(&self, processes: &[u32]) -> io::Result<()> {
        match &self.0 {
            Kind::Group(group) => group.adopt(processes),
            Kind::Systemd(slice) => slice.group().adopt(processes),
            Kind::Docker(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "Docker cannot take in a process")),
            Kind::Processors(count) => processes.iter().try_for_each(|process| {
                let list = format!("0-{}", count - 1);
                let mut taskset = Command::new("taskset");
                taskset.args(["--all-tasks", "--cpu-list", "--pid", &list, &process.to_string()]);
                succeeds(&mut taskset).map(drop)
            }),
        }
    }

    /// Changes the limit of memory, in bytes.
    ///
    /// # Errors
    /// `Unsupported` if the group is not made of files; or if the system refuses.
    pub fn limit_memory(&self, bytes: u64) -> io::Result<()> {
        match &self.0 {
            Kind::Group(group) => group.limit_memory(bytes),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "this means cannot change a limit")),
        }
    }

    /// What the group has used so far.
    ///
    /// # Errors
    /// `Unsupported` with `taskset`; or if a file of the group cannot be read.
    pub fn usage(&self) -> io::Result<Usage> {
        match &self.0 {
            Kind::Group(group) => group.usage(),
            Kind::Systemd(slice) => slice.group().usage(),
            Kind::Docker(container) => container.usage(),
            Kind::Processors(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "taskset counts nothing")),
        }
    }
}

/// `taskset` gives whole processors only: at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range before")]
fn whole_processors(cpus: f64) -> u32 {
    cpus.ceil().clamp(1.0, 1_024.0) as u32
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Runs a command to its end, and returns its standard output.
///
/// # Errors
/// If it cannot be started, or fails: with its standard error.
fn succeeds(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{} ended with {}: {reason}", command.get_program().display(), output.status)))
}
