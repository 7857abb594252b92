//! Memory of the server.

use std::time::Duration;

use onsale_load_generator::{Outcome, Request};

use super::crowd::tokens;
use super::still_room;
use crate::measure::{Bench, Server};
use crate::table::{Line, Verdict};

const CROWD: usize = 100_000;

/// Idle time before the memory is measured again.
const REST: Duration = Duration::from_secs(10);

/// Megabytes in memory: all of it, and the part that is not backed by a file.
fn megabytes(server: &Server) -> Outcome<(f64, f64)> {
    let megabytes =
        |name: &str| Ok::<_, Box<dyn std::error::Error + Send + Sync>>(server.program.kilobytes(name)? as f64 / 1024.0);
    Ok((megabytes("VmRSS")?, megabytes("RssAnon")?))
}

pub(crate) fn lines(bench: &mut Bench) -> Outcome<()> {
    let mut server = bench.server(&[])?;
    server.stage.call(&Request::get("/healthz"))?;
    let line = |work: &str, (all, anonymous): (f64, f64), target: &str, verdict| Line {
        rate: format!("{all:.1} MB"),
        empty: format!("anon {anonymous:.1}"),
        target: target.to_owned(),
        ..Line::new(work, verdict)
    };
    let idle = megabytes(&server)?;
    bench.table.add(line("memory, idle", idle, "≤ 30 MB", Verdict::of(idle.0 <= 30.0)));
    let concert = server.stage.concert(&still_room())?;
    let before = megabytes(&server)?;
    tokens(&server, &concert, 0..CROWD + 1)?;
    let more = |now: (f64, f64)| (now.0 - before.0, now.1 - before.1);
    let entered = more(megabytes(&server)?);
    let verdict = Verdict::of(entered.0 <= 15.0);
    bench.table.add(line("    more, once 100,000 are in line", entered, "≤ 15 MB", verdict));
    std::thread::sleep(REST);
    let rested = more(megabytes(&server)?);
    bench.table.add(line("    more, 10 seconds later", rested, "", Verdict::Told));
    server.finish()
}
