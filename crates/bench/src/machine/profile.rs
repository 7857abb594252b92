//! Profiles during a row: `perf` records the server, or all processes if several do the work.

use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use onsale_load_generator::Outcome;

/// A recording of `perf` that runs.
pub(crate) struct Recording {
    perf: Child,
    file: PathBuf,
}

impl Recording {
    /// Starts to record a process, or all processes if none is given, for a while.
    pub(crate) fn start(folder: &Path, name: &str, process: Option<u32>, time: Duration) -> Outcome<Self> {
        let file = folder.join(format!("{name}.perf"));
        let perf = Command::new("perf")
            .args(["record", "--quiet", "--freq=1999", "-g"])
            .arg(process.map_or_else(|| "--all-cpus".to_owned(), |process| format!("--pid={process}")))
            .arg("--output")
            .arg(&file)
            .args(["--", "sleep", &format!("{:.1}", time.as_secs_f64())])
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("perf cannot be run (package linux-perf): {error}"))?;
        Ok(Self { perf, file })
    }

    /// Waits for its end, and prints how to view it.
    pub(crate) fn finish(mut self) -> Outcome<()> {
        self.perf.wait()?;
        writeln!(stderr(), "    perf report --no-children -g caller -i {}", self.file.display())?;
        Ok(())
    }
}
