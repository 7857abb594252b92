//! Refunds by buyers and by staff, next to payments in the same seconds.

use std::sync::Arc;

use onsale_load_generator::{ClosedLoop, Outcome, Request, Run, Supply, closed_loop};
use serde_json::json;

use crate::machine::{Machine, Server};
use crate::measure::{CREATED, slice_of};
use crate::results::Target;
use crate::row::Work;
use crate::server::sale::{CONNECTIONS, FLAGS, Seats};
use crate::server::turns::Turns;

/// What is measured, in turns. The first is the reference of the others.
const WORKS: [&str; 3] = [
    "payment, reference of the next two lines",
    "refund by the buyer, beside payments",
    "refund by staff, beside payments",
];

/// Sends these requests once.
fn send(machine: &Machine, server: &Server, requests: impl Iterator<Item = Request>) -> Outcome<Run> {
    let supply = Arc::new(Supply::once(requests));
    let how = ClosedLoop { keep: Some("paymentId"), ..slice_of(machine, CONNECTIONS) };
    let run = closed_loop(server.program.address(), &supply, &how)?;
    run.tally.expect(CREATED)?;
    Ok(run)
}

/// A request for all seats of a payment, by its buyer.
fn by_buyer(payment: &str) -> Request {
    Request::post(&format!("/payments/{payment}/refunds")).json("{}")
}

/// A request for all seats of a payment, by staff.
fn by_staff(server: &Server, payment: &str) -> Request {
    let request = Request::post(&format!("/admin/payments/{payment}/refunds"));
    server.admin.authorize(request).json(json!({"reason": "the view is restricted"}).to_string())
}

pub(super) fn refund(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut server = machine.server(FLAGS, &[])?;
    let seats = Seats::prepare(&server, machine.scale.users)?;
    let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 10}]}).to_string();
    for performance in seats.performances() {
        let request = Request::patch(&format!("/admin/performances/{performance}")).json(policy.clone());
        server.admin.call(&server.admin.authorize(request))?;
    }
    let mut payments = seats.payments(&server)?;
    Ok(Box::new(move |results| {
        let mut turns: [Turns; 3] = Default::default();
        let each = payments.len() / machine.scale.rounds;
        for _ in 0..machine.scale.rounds {
            let paid = turns[0].measure(&server, || send(machine, &server, payments.drain(..each)))?;
            // Those at even places by their buyers, the rest by staff.
            let paid = paid.tally.kept.iter().map(|(_, payment)| &**payment);
            let (buyers, staff): (Vec<_>, Vec<_>) = paid.enumerate().partition(|(index, _)| index % 2 == 0);
            let buyers = buyers.into_iter().map(|(_, payment)| by_buyer(payment));
            turns[1].measure(&server, || send(machine, &server, buyers))?;
            let staff = staff.into_iter().map(|(_, payment)| by_staff(&server, payment));
            turns[2].measure(&server, || send(machine, &server, staff))?;
        }
        for (index, (work, of_work)) in WORKS.into_iter().zip(&turns).enumerate() {
            let measured = of_work.measured(CONNECTIONS, &turns[0].rates);
            let line = measured.line(work);
            results.add(if index == 0 { line } else { line.judged(target, measured.ratio) });
        }
        server.finish()
    }))
}
