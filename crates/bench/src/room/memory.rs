//! Memory of a waiting user, in Redis and in the process, and of an event stream.

use onsale_load_generator::Outcome;
use onsale_testing::allow_open_files;

use super::deployment::{Deployment, Issuer};
use crate::machine::Machine;
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::server::connections::open_stream;
use crate::users::{enter_all, still_room, tokens};

/// Number of users whose memory is measured.
const USERS: usize = 100_000;

/// Number of event streams open at once.
const STREAMS: usize = 4_000;

/// The process may use only the slack of the allocator, and nothing per user.
const SLACK: Target = Target::at_most(20.0).unit("bytes");

pub(super) fn waiting_user(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let users = machine.scale.at_most(USERS);
    let deployment = Deployment::start(machine, Issuer::Redis, 1)?;
    let concert = deployment.first().admin.concert(&still_room())?;
    // The first users fill the buffers that any number of users needs.
    enter_all(deployment.first(), &concert, 0..users + 1)?;
    Ok(Box::new(move |results| {
        let server = deployment.first();
        let bytes = || -> Outcome<(f64, f64)> {
            let process = server.program.kilobytes("RssAnon")? as f64 * 1_024.0;
            Ok((deployment.redis_info("memory", "used_memory")? as f64, process))
        };
        let before = bytes()?;
        enter_all(server, &concert, users + 1..2 * users + 1)?;
        let after = bytes()?;
        let (redis, process) = ((after.0 - before.0) / users as f64, (after.1 - before.1) / users as f64);
        for (work, bytes, target) in [
            ("a waiter in Redis, of 100,000 more", redis, target),
            ("a waiter in the process (anonymous memory)", process, SLACK),
        ] {
            results.add(Line { result: Figure::Bytes(bytes), ..Line::new(work) }.judged(target, bytes));
        }
        deployment.finish()
    }))
}

pub(super) fn listener(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let count = machine.scale.at_most(STREAMS);
    allow_open_files(2 * count as u64 + 1_000);
    let deployment = Deployment::start(machine, Issuer::Redis, 1)?;
    let concert = deployment.first().admin.concert(&still_room())?;
    let tokens = tokens(deployment.first(), &concert, 0..count + 1)?;
    Ok(Box::new(move |results| {
        let program = &deployment.first().program;
        let before = program.kilobytes("RssAnon")?;
        // The first user has a turn. The streams of users who wait stay open.
        let open = tokens.iter().skip(1).map(|token| open_stream(program.address(), token));
        let streams = open.collect::<Outcome<Vec<_>>>()?;
        let each = program.kilobytes("RssAnon")?.saturating_sub(before) as f64 / streams.len() as f64;
        let line = Line {
            connections: streams.len(),
            result: Figure::Kilobytes(each),
            ..Line::new("a listener of server-sent events (anonymous memory)")
        };
        results.add(line.judged(target, each));
        drop(streams);
        deployment.finish()
    }))
}
