//! A disk whose calls fail on demand, for the real program: a small library that is preloaded (`faults.c`).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::instance::Launch;
use crate::preload::library;

const SOURCE: &str = include_str!("faults.c");

/// The numbers in the control file, in the order of `faults.c`.
#[derive(Clone, Copy)]
enum Number {
    WriteErrno,
    WriteTorn,
    SyncErrno,
    SyncMillis,
    SyncStalled,
    ReadOnly,
    WritesFailed,
    SyncsFailed,
    SyncsHeld,
    SyncsDone,
    TemporaryErrno,
}

const NUMBERS: u64 = 11;

/// The error of a failing call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// `EIO`: the device is broken.
    Broken,
    /// `ENOSPC`: the disk is full.
    Full,
}

impl Fault {
    fn errno(self) -> i32 {
        match self {
            Self::Broken => 5,
            Self::Full => 28,
        }
    }
}

/// The fault switches of one launch's programs. All are off at first.
pub struct Faults {
    library: PathBuf,
    control_path: PathBuf,
    control: File,
}

impl Faults {
    /// Compiles the library into the launch's folder and preloads it into what is launched.
    ///
    /// # Panics
    /// If there is no C compiler.
    pub fn under(launch: Launch) -> (Self, Launch) {
        let folder = launch.folder();
        let library = library(folder, "faults", SOURCE);
        let control_path = folder.join("faults.control");
        let control = OpenOptions::new().create_new(true).read(true).write(true).open(&control_path);
        let control = control.expect("a control file");
        control.set_len(NUMBERS * 4).expect("a control file");
        let faults = Self { library, control_path, control };
        let launch = launch.preload(faults.library.clone());
        let launch = launch.set("FAULTS_CONTROL", faults.control_path.display());
        (faults, launch)
    }

    /// From now on every write fails with this fault.
    pub fn fail_writes(&self, fault: Fault) {
        self.put(Number::WriteErrno, fault.errno());
    }

    /// From now on every write to a file without a name fails with this fault: the disk of temporary files.
    pub fn fail_temporary_writes(&self, fault: Fault) {
        self.put(Number::TemporaryErrno, fault.errno());
    }

    /// Every write fails halfway, as on a disk that fills up.
    pub fn tear_writes(&self, fault: Fault) {
        self.put(Number::WriteTorn, 1);
        self.put(Number::WriteErrno, fault.errno());
    }

    /// From now on every sync fails with this fault.
    pub fn fail_syncs(&self, fault: Fault) {
        self.put(Number::SyncErrno, fault.errno());
    }

    /// Every sync takes this much longer.
    pub fn slow_syncs(&self, millis: i32) {
        self.put(Number::SyncMillis, millis);
    }

    /// No sync returns before [`Faults::mend`].
    pub fn stall_syncs(&self) {
        self.put(Number::SyncStalled, 1);
    }

    /// Files can only be opened for reading.
    pub fn read_only(&self) {
        self.put(Number::ReadOnly, 1);
    }

    /// Turns all faults off.
    pub fn mend(&self) {
        for number in [
            Number::WriteErrno,
            Number::WriteTorn,
            Number::SyncErrno,
            Number::SyncMillis,
            Number::SyncStalled,
            Number::ReadOnly,
            Number::TemporaryErrno,
        ] {
            self.put(number, 0);
        }
    }

    /// Number of failed writes so far.
    pub fn writes_failed(&self) -> i32 {
        self.get(Number::WritesFailed)
    }

    /// Number of failed syncs so far.
    pub fn syncs_failed(&self) -> i32 {
        self.get(Number::SyncsFailed)
    }

    /// Number of delayed syncs so far.
    pub fn syncs_held(&self) -> i32 {
        self.get(Number::SyncsHeld)
    }

    /// Number of successful syncs so far.
    pub fn syncs_done(&self) -> i32 {
        self.get(Number::SyncsDone)
    }

    fn put(&self, number: Number, value: i32) {
        self.control.write_all_at(&value.to_ne_bytes(), number as u64 * 4).expect("the control file takes a number");
    }

    fn get(&self, number: Number) -> i32 {
        let mut bytes = [0; 4];
        self.control.read_exact_at(&mut bytes, number as u64 * 4).expect("the control file has the number");
        i32::from_ne_bytes(bytes)
    }
}
