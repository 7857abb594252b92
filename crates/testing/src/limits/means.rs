//! The ways in which a machine limits processes, and which of them this machine has.

use std::process::Command;

use super::mounts::Mounts;
use super::{docker, systemd};

/// A way in which a machine limits processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Control groups, version 2: files of the kernel, which this process may write.
    Cgroup2,
    /// Control groups, version 1: a file system for each kind of limit.
    Cgroup1,
    /// A slice of systemd's manager: that of the system, or that of this user.
    Systemd,
    /// A container. Its image must be here already: see `docker.rs`.
    Docker,
    /// Whole processors by `taskset`. Memory is not limited.
    Taskset,
}

impl Means {
    /// All means, in the order in which they are tried.
    pub const ALL: [Self; 5] = [Self::Cgroup2, Self::Cgroup1, Self::Systemd, Self::Docker, Self::Taskset];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroup2 => "cgroup v2",
            Self::Cgroup1 => "cgroup v1",
            Self::Systemd => "systemd",
            Self::Docker => "docker",
            Self::Taskset => "taskset",
        }
    }

    /// Whether it limits parts of a processor and memory, and counts both.
    pub fn is_exact(self) -> bool {
        self != Self::Taskset
    }

    /// Whether this machine has it. A group of control groups is made and removed again to find out.
    pub fn is_here(self) -> bool {
        match self {
            Self::Cgroup2 => Mounts::read().second().is_some(),
            Self::Cgroup1 => Mounts::read().first().is_some(),
            Self::Systemd => systemd::is_here(),
            Self::Docker => docker::is_here(),
            Self::Taskset => Command::new("taskset").arg("--version").output().is_ok(),
        }
    }

    /// The first means that this machine has.
    pub fn first() -> Self {
        Self::ALL.into_iter().find(|means| means.is_here()).unwrap_or(Self::Taskset)
    }
}
