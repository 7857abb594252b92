//! Refunds by buyers and by staff, next to payments in the same seconds.

use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{ClosedLoop, Histogram, Outcome, Request, Run, Supply, closed_loop};
use serde_json::json;

use super::sale::{FLAGS, Seats};
use crate::machine::{Machine, Server};
use crate::measure::{CREATED, Measured, median, median_ratio, per_answer, slice_of};
use crate::results::Target;
use crate::row::Work;

const CONNECTIONS: usize = 256;

/// What is measured, in turns. The first is the reference of the others.
const WORKS: [&str; 3] = [
    "payment, reference of the next two lines",
    "refund by the buyer, beside payments",
    "refund by staff, beside payments",
];

/// The rates of one kind of work, in order of the rounds, with its latencies and the processor time of the server.
#[derive(Default)]
struct Sums {
    rates: Vec<f64>,
    times: Histogram,
    cpu: Duration,
}

impl Sums {
    /// Sends these requests once. Returns the run.
    fn run(&mut self, machine: &Machine, server: &Server, requests: impl Iterator<Item = Request>) -> Outcome<Run> {
        let supply = Arc::new(Supply::once(requests));
        let how = ClosedLoop { keep: Some("paymentId"), ..slice_of(machine, CONNECTIONS) };
        let before = server.program.process_time()?;
        let run = closed_loop(server.program.address(), &supply, &how)?;
        run.tally.expect(CREATED)?;
        self.cpu += server.program.process_time()?.saturating_sub(before);
        self.rates.push(run.rate());
        self.times.merge(&run.tally.times);
        Ok(run)
    }
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

pub(crate) fn refund(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut server = machine.server(FLAGS, &[])?;
    let seats = Seats::prepare(&server, machine.scale.users)?;
    let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 10}]}).to_string();
    for performance in seats.performances() {
        let request = Request::patch(&format!("/admin/performances/{performance}")).json(policy.clone());
        server.admin.call(&server.admin.authorize(request))?;
    }
    let mut payments = seats.payments(&server)?;
    Ok(Box::new(move |results| {
        let mut sums: [Sums; 3] = Default::default();
        let each = payments.len() / machine.scale.rounds;
        for _ in 0..machine.scale.rounds {
            let paid = sums[0].run(machine, &server, payments.drain(..each))?;
            // Those at even places by their buyers, the rest by staff.
            let paid = paid.tally.kept.iter().map(|(_, payment)| &**payment);
            let (buyers, staff): (Vec<_>, Vec<_>) = paid.enumerate().partition(|(index, _)| index % 2 == 0);
            sums[1].run(machine, &server, buyers.into_iter().map(|(_, payment)| by_buyer(payment)))?;
            sums[2].run(machine, &server, staff.into_iter().map(|(_, payment)| by_staff(&server, payment)))?;
        }
        let references = sums[0].rates.clone();
        for (index, (work, Sums { rates, times, cpu })) in WORKS.into_iter().zip(sums).enumerate() {
            let measured = Measured {
                connections: CONNECTIONS,
                ratio: median_ratio(&rates, &references),
                reference: median(references.clone()),
                rate: median(rates),
                cpu: per_answer(cpu, times.total()),
                times,
            };
            let line = measured.line(work);
            results.add(if index == 0 { line } else { line.judged(target, measured.ratio) });
        }
        server.finish()
    }))
}
