//! Where control groups are mounted, and which of them this process is in.
//!
//! A new group is made below the group of this process if the kernel allows it. So the limits of this process stay in force for
//! its children, and no other group is touched.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// The mounted control groups, and the groups of this process.
pub(super) struct Mounts {
    /// Lines of `/proc/self/mounts`.
    mounts: String,
    /// Lines of `/proc/self/cgroup`.
    groups: String,
}

/// The groups of version 1 in which this process is, by what they limit.
pub(super) struct First {
    pub(super) cpu: PathBuf,
    /// Counts processor time. Often the same folder as `cpu`.
    pub(super) cpuacct: PathBuf,
    pub(super) memory: PathBuf,
}

impl Mounts {
    /// Those of this process.
    pub(super) fn read() -> Self {
        let read = |file: &str| read_to_string(file).unwrap_or_default();
        Self { mounts: read("/proc/self/mounts"), groups: read("/proc/self/cgroup") }
    }

    /// The nearest group of version 2, from that of this process upwards, whose children have limits of processor and memory,
    /// and in which this process may make one.
    pub(super) fn second(&self) -> Option<PathBuf> {
        let mount = self.mount(|kind, _| kind == "cgroup2")?;
        let own = self.own(mount, "")?;
        own.ancestors().take_while(|group| group.starts_with(mount)).find(|group| hands_down(group)).map(Path::to_owned)
    }

    /// The groups of version 1, if this process may make children of each.
    pub(super) fn first(&self) -> Option<First> {
        let controlled = |controller: &str| {
            let mount = self.mount(|kind, options| kind == "cgroup" && options.split(',').any(|one| one == controller));
            self.own(mount?, controller).filter(|group| is_writable(group))
        };
        Some(First { cpu: controlled("cpu")?, cpuacct: controlled("cpuacct")?, memory: controlled("memory")? })
    }

    fn mount(&self, is_wanted: impl Fn(&str, &str) -> bool) -> Option<&Path> {
        self.mounts.lines().find_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let (mount, kind, options) = (words.get(1)?, words.get(2)?, words.get(3)?);
            is_wanted(kind, options).then(|| Path::new(*mount))
        })
    }

    /// The group of this process under a mount. Version 2 has no name of a controller.
    fn own(&self, mount: &Path, controller: &str) -> Option<PathBuf> {
        let group = self.groups.lines().find_map(|line| {
            let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|one| one == controller).then_some(group)
        })?;
        let own = mount.join(group.trim_start_matches('/'));
        // In a container the mount may show the container's own group as its root, and the path is that of the host.
        Some(if own.is_dir() { own } else { mount.to_owned() })
    }
}

/// Whether the children of a group of version 2 have limits of processor and memory, and this process may make one.
fn hands_down(group: &Path) -> bool {
    let controllers = read_to_string(group.join("cgroup.subtree_control")).unwrap_or_default();
    ["cpu", "memory"].iter().all(|wanted| controllers.split_whitespace().any(|one| one == *wanted))
        && is_writable(group)
}

/// Whether this process may make a group below this one.
fn is_writable(group: &Path) -> bool {
    let trial = group.join(format!("onsale-{}-trial-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir(&trial).is_ok() && std::fs::remove_dir(&trial).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with both versions, on which only version 1 has controllers.
    const MOUNTS: &str = "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
        cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
        cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";

    #[test]
    fn the_group_of_a_process_is_found_under_each_mount() {
        let groups = "4:memory:/a/b\n3:cpu,cpuacct:/c\n0::/d\n".to_owned();
        let mounts = Mounts { mounts: MOUNTS.to_owned(), groups };
        let controlled = |name: &str| mounts.mount(|kind, options| kind == "cgroup" && options.contains(name));
        assert_eq!(controlled("cpuacct"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
        assert_eq!(controlled("blkio"), None);
        assert_eq!(mounts.mount(|kind, _| kind == "cgroup2"), Some(Path::new("/sys/fs/cgroup/unified")));
        // A folder that exists everywhere stands for the mount; a group that is not in it is that of a host.
        let mounts = Mounts { groups: "4:memory:/self/fd\n3:cpu:/never\n0::/self\n".to_owned(), ..mounts };
        let own = |controller: &str| mounts.own(Path::new("/proc"), controller);
        assert_eq!(own("memory"), Some("/proc/self/fd".into()));
        assert_eq!((own("cpu"), own("")), (Some("/proc".into()), Some("/proc/self".into())));
        assert_eq!(own("blkio"), None);
    }
}
