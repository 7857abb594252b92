//! A disk that fails when told to, under the real program: a small library that is preloaded (`faults.c`).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::instance::Launch;
use crate::preload::library;

const SOURCE: &str = include_str!("faults.c");

/// The numbers of the control file, as `faults.c` counts them.
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
}

const NUMBERS: u64 = 10;

/// What a failing call says.
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

/// The switches of the disk under one launch's programs. All is well until one is thrown.
pub struct Faults {
    library: PathBuf,
    control_path: PathBuf,
    control: File,
}

impl Faults {
    /// Compiles the library into the launch's folder and puts it under what is launched.
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

    /// Every write fails.
    pub fn fail_writes(&self, fault: Fault) {
        self.put(Number::WriteErrno, fault.errno());
    }

    /// Every write fails halfway, as on a disk that fills up.
    pub fn tear_writes(&self, fault: Fault) {
        self.put(Number::WriteTorn, 1);
        self.put(Number::WriteErrno, fault.errno());
    }

    /// Every sync fails.
    pub fn fail_syncs(&self, fault: Fault) {
        self.put(Number::SyncErrno, fault.errno());
    }

    /// Every sync takes this much longer.
    pub fn slow_syncs(&self, millis: i32) {
        self.put(Number::SyncMillis, millis);
    }

    /// No sync comes back before [`Faults::mend`].
    pub fn stall_syncs(&self) {
        self.put(Number::SyncStalled, 1);
    }

    /// The files can only be opened to be read.
    pub fn read_only(&self) {
        self.put(Number::ReadOnly, 1);
    }

    /// The disk works again.
    pub fn mend(&self) {
        for number in [
            Number::WriteErrno,
            Number::WriteTorn,
            Number::SyncErrno,
            Number::SyncMillis,
            Number::SyncStalled,
            Number::ReadOnly,
        ] {
            self.put(number, 0);
        }
    }

    /// Writes that failed so far.
    pub fn writes_failed(&self) -> i32 {
        self.get(Number::WritesFailed)
    }

    /// Syncs that failed so far.
    pub fn syncs_failed(&self) -> i32 {
        self.get(Number::SyncsFailed)
    }

    /// Syncs that were held up so far.
    pub fn syncs_held(&self) -> i32 {
        self.get(Number::SyncsHeld)
    }

    /// Syncs that went well so far.
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
