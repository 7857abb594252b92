//! A container of Docker's engine, for one process. It shares the machine's network and the folders that the program uses, so
//! that its figures can be compared with those of the other means.

use std::io;
use std::path::Path;
use std::process::Command;

use super::group::Group;
use super::{Limits, Usage, succeeds, words};

/// The image: any with glibc. It is never pulled: without it this machine counts as one without Docker.
const IMAGE: &str = "debian:stable-slim";

/// Runs a program in a container, with the variables of the product, its working folder, and the folder of the program. `$1` is
/// the name of the container, `$2` processors, `$3` bytes, `$4` the image, then the program with its arguments.
const RUN: &str = r#"name=$1 cpus=$2 memory=$3 program=$5; shift 3
for variable in $(env | sed -n 's/^\(ONSALE_[A-Z_]*\)=.*/\1/p'); do set -- --env "$variable" "$@"; done
case $program in */*) folder=$(dirname "$program"); set -- --volume "$folder:$folder:ro" "$@" ;; esac
exec docker run --rm --name "$name" --pull never --network host --cpus "$cpus" --memory "$memory" --memory-swap "$memory" \
  --user "$(id -u):$(id -g)" --volume "$PWD:$PWD" --workdir "$PWD" "$@""#;

/// The container of a process. When it is dropped, the container is removed.
#[derive(Debug)]
pub(super) struct Container {
    name: String,
    limits: Limits,
}

/// Whether an engine runs that has the image.
pub(super) fn is_here() -> bool {
    succeeds(Command::new("docker").args(["image", "inspect", "--format", "{{.Id}}", IMAGE])).is_ok()
}

impl Container {
    /// A container that its first process starts.
    pub(super) fn new(name: String, limits: Limits) -> Self {
        Self { name, limits }
    }

    /// The words that run a program in the container.
    pub(super) fn prefix(&self) -> Vec<String> {
        let (cpus, memory) = (format!("{:.3}", self.limits.cpus), self.limits.memory.to_string());
        words(&["sh", "-c", RUN, "enter", &self.name, &cpus, &memory, IMAGE])
    }

    /// What the container has used so far.
    ///
    /// # Errors
    /// If it does not run: the engine keeps no figures of an ended container.
    pub(super) fn usage(&self) -> io::Result<Usage> {
        let process = succeeds(Command::new("docker").args(["inspect", "--format", "{{.State.Pid}}", &self.name]))?;
        let groups = std::fs::read_to_string(format!("/proc/{process}/cgroup"))?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/"));
        let missing = || io::Error::new(io::ErrorKind::Unsupported, "the engine uses no control groups of version 2");
        Group::of_other(Path::new("/sys/fs/cgroup").join(own.ok_or_else(missing)?)).usage()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // There is none if no process was started, or if it has ended.
        let _ = Command::new("docker").args(["rm", "--force", &self.name]).output();
    }
}
