//! Check-ins at the doors of one performance. Each scan is on the disk before it is answered.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};
use serde_json::json;

use crate::machine::{Machine, Server};
use crate::measure::{Expected, compare, requests, requests_per_slice};
use crate::results::Target;
use crate::row::Work;
use crate::server::sale::{CONNECTIONS, FLAGS, SEATS, Seats};
use crate::users::send_all;

const WORK: &str = "check-in, every tenth scan a repeated one";

/// A ticket that is scanned again was checked in before, unless the first scan is still on its way.
const SCANNED: Expected = &[(201, ""), (409, "already-checked-in")];

/// Of ten scans, the last is of a ticket that was scanned before.
const REPEATED: usize = 10;

/// Scans between the first one of a ticket and the repeated one: more than are on their way at once.
const BEFORE: usize = 2 * CONNECTIONS;

pub(super) fn check_in(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut server = machine.server(FLAGS, &[])?;
    let sold = machine.scale.users.min(usize::try_from(SEATS)?);
    let seats = Seats::prepare(&server, sold)?;
    let performance = seats.performances().first().copied().ok_or("there is no seat")?.to_owned();
    let paid = send_all(&server, seats.payments(&server)?, 201, "paymentId")?;
    let lists = paid.iter().map(|payment| Request::get(&format!("/payments/{payment}/tickets")));
    let codes = send_all(&server, lists, 200, "code")?;
    let supply = Arc::new(Supply::once(scans(&server, &performance, &codes)));
    let count = requests_per_slice(machine, supply.left());
    Ok(Box::new(move |results| {
        let mut slices = [requests(machine, &server, &supply, count, SCANNED)];
        let measured = compare(machine, &server, WORK, CONNECTIONS, &mut slices)?;
        for measured in &measured {
            results.add(measured.line(WORK).judged(target, measured.rate));
        }
        server.finish()
    }))
}

/// Scans of all tickets in order, and after each nine a scan of one that was scanned before.
fn scans(server: &Server, performance: &str, codes: &[String]) -> Vec<Request> {
    let mut scans = Vec::with_capacity(codes.len() * REPEATED / (REPEATED - 1));
    let mut first = codes.iter();
    loop {
        let number = scans.len();
        let is_repeated = number % REPEATED == REPEATED - 1 && number > BEFORE;
        let code = if is_repeated { codes.get((number - BEFORE) / REPEATED) } else { first.next() };
        let Some(code) = code else { return scans };
        let now = "2026-11-22T11:12:13.000Z";
        let scan = json!({"performanceId": performance, "code": code, "device": format!("gate-{}", number % 16),
            "scanId": format!("scan-{number}"), "scannedAt": now, "deviceNow": now});
        scans.push(server.admin.authorize(Request::post("/check-ins")).json(scan.to_string()));
    }
}
