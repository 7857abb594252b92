//! Memory of the server.

use std::time::Duration;

use onsale_load_generator::{Outcome, Request};

use crate::machine::{Machine, Server};
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::users::{enter_all, still_room};

/// Number of users in line.
const LINE: usize = 100_000;

/// The target of the memory that a line takes.
const MORE: Target = Target::at_most(15.0).unit("MB");

/// How long the server is idle before its memory is measured again.
const IDLE: Duration = Duration::from_secs(10);

/// Resident memory in megabytes.
#[derive(Clone, Copy)]
struct Memory {
    all: f64,
    /// The part that is not backed by a file.
    anonymous: f64,
}

impl Memory {
    fn of(server: &Server) -> Outcome<Self> {
        let megabytes = |name: &str| server.program.kilobytes(name).map(|kilobytes| kilobytes as f64 / 1_024.0);
        Ok(Self { all: megabytes("VmRSS")?, anonymous: megabytes("RssAnon")? })
    }

    fn since(self, before: Self) -> Self {
        Self { all: self.all - before.all, anonymous: self.anonymous - before.anonymous }
    }

    fn line(self, work: &str, target: Target) -> Line {
        let line = Line {
            result: Figure::Megabytes(self.all),
            reference: Figure::Words(format!("anon {:.1}", self.anonymous)),
            ..Line::new(work)
        };
        line.judged(target, self.all)
    }
}

pub(crate) fn lines(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut server = machine.server(&[], &[])?;
    server.admin.call(&Request::get("/healthz"))?;
    Ok(Box::new(move |results| {
        results.add(Memory::of(&server)?.line("memory, idle", target));
        let concert = server.admin.concert(&still_room())?;
        let before = Memory::of(&server)?;
        enter_all(&server, &concert, 0..machine.scale.at_most(LINE) + 1)?;
        results.add(Memory::of(&server)?.since(before).line("    more, once 100,000 are in line", MORE));
        std::thread::sleep(machine.scale.pick(IDLE, IDLE, Duration::ZERO));
        results.add(Memory::of(&server)?.since(before).line("    more, 10 seconds later", Target::NONE));
        server.finish()
    }))
}
