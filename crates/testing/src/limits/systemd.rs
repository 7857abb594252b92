//! A slice of systemd's manager: limits by its properties, figures from the files of its group.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::group::Group;
use super::{Limits, succeeds, words};
use crate::patience::PATIENCE;

/// A slice. When it is dropped, its processes are killed, and the manager removes it.
#[derive(Debug)]
pub(super) struct Slice {
    name: String,
    group: Group,
    /// A process that waits: the manager removes a slice without processes, and its figures with it.
    keeper: Child,
}

/// The manager of this user; as root that of the system.
fn manager() -> &'static str {
    if rustix::process::getuid().is_root() { "--system" } else { "--user" }
}

/// Whether a manager runs, and gives its slices limits of processor and memory.
pub(super) fn is_here() -> bool {
    std::path::Path::new("/run/systemd/system").exists()
        && Slice::create(&format!("onsale-{}-trial", std::process::id()), &Limits::new(0.5, 64 << 20)).is_ok()
}

impl Slice {
    /// Starts a slice with these limits.
    ///
    /// # Errors
    /// If there is no manager, it refuses, or it does not apply the limits.
    pub(super) fn create(name: &str, limits: &Limits) -> io::Result<Self> {
        // A dash in the name of a slice names its parent.
        let name = format!("{}.slice", name.replace('-', "_"));
        let mut keeper = Command::new("systemd-run");
        keeper.args([manager(), "--scope", "--quiet", "--collect", "--slice", &name, "--", "sleep", "infinity"]);
        let mut keeper = keeper.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let made = group_of(&keeper, &name).and_then(|group| limit(&name, limits).map(|()| group));
        match made {
            Ok(group) => Ok(Self { name, group: Group::of_other(group), keeper }),
            Err(error) => {
                let _ = keeper.kill();
                let _ = keeper.wait();
                Err(error)
            }
        }
    }

    pub(super) fn group(&self) -> &Group {
        &self.group
    }

    /// The words that start a program in the slice.
    pub(super) fn prefix(&self) -> Vec<String> {
        words(&["systemd-run", manager(), "--scope", "--quiet", "--collect", "--slice", &self.name, "--"])
    }
}

/// The folder of the slice: the parent of the keeper's group, as soon as the manager has moved it there.
fn group_of(keeper: &Child, slice: &str) -> io::Result<PathBuf> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", keeper.id()))?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let folder = PathBuf::from("/sys/fs/cgroup").join(own);
        if let Some(parent) = folder.ancestors().find(|parent| parent.ends_with(slice)) {
            return Ok(parent.to_owned());
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "systemd started no slice of version 2"))
}

fn limit(slice: &str, limits: &Limits) -> io::Result<()> {
    let mut set = Command::new("systemctl");
    set.args([manager(), "set-property", "--runtime", slice]);
    set.arg(format!("CPUQuota={:.2}%", limits.cpus * 100.0));
    set.arg(format!("CPUQuotaPeriodSec={}us", limits.period.as_micros()));
    set.arg(format!("MemoryMax={}", limits.memory)).arg("MemorySwapMax=0");
    succeeds(&mut set).map(drop)
}

impl Drop for Slice {
    fn drop(&mut self) {
        let mut stop = Command::new("systemctl");
        stop.args([manager(), "kill", "--signal=KILL", &self.name]);
        let _ = stop.output();
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let mut stop = Command::new("systemctl");
        let _ = stop.args([manager(), "stop", &self.name]).output();
    }
}
