//! The sale of other performances while one with many payments is cancelled, and the same sale alone, in turns.

use std::time::{Duration, Instant};

use onsale_load_generator::{Outcome, Request};
use onsale_report::number;
use serde_json::{Value, json};

use super::Stage;
use crate::machine::{Machine, Server};
use crate::measure::{median, neighbours};
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::server::sale::{CONNECTIONS, Seats};
use crate::server::turns::Turns;

/// Payments of the cancelled performance. Its refunds must take longer than the sale in the meantime.
const PAYMENTS: usize = 50_000;

/// Seats that are sold in each turn.
const SALES: usize = 12_000;

/// The longest time until all payments are refunded.
const DONE_WITHIN: Duration = Duration::from_secs(600);

/// The time between two questions for the state of a cancellation.
const ASK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn prepare<'m>(machine: &'m Machine, stage: Stage<'m>, target: Target) -> Outcome<Work<'m>> {
    let Stage { mut server, on, settle } = stage;
    let scale = machine.scale;
    let payments = scale.pick(PAYMENTS, PAYMENTS / 2, 120);
    let each = scale.pick(SALES, SALES / 4, 20);
    let buyers = each * (2 * scale.rounds + 1);
    let mut seats = Seats::prepare(&server, buyers)?;
    seats.fill_wallets(&server)?;
    // Other users, so that the sale never waits for the wallet of a refund.
    let sold = |_| Seats::of(&server, buyers..buyers + payments)?.sell_all(&server);
    let performances = (0..scale.rounds).map(sold).collect::<Outcome<Vec<_>>>()?;
    settle()?;
    Ok(Box::new(move |results| {
        let (mut alone, mut beside, mut refunds) = (Turns::default(), Turns::default(), Vec::new());
        let mut is_outlasted = true;
        alone.measure(&server, || seats.sell(&server, each))?;
        for performance in &performances {
            let began = Instant::now();
            cancel(&server, performance)?;
            beside.measure(&server, || seats.sell(&server, each))?;
            is_outlasted &= state(&server, performance)?["state"] == "RUNNING";
            wait_until_done(&server, performance, payments)?;
            refunds.push(payments as f64 / began.elapsed().as_secs_f64());
            alone.measure(&server, || seats.sell(&server, each))?;
        }
        let reference = alone.measured(CONNECTIONS, &alone.rates);
        results.add(reference.line(format!("sale (hold, pay) on {on} alone")));
        let measured = beside.measured(CONNECTIONS, &neighbours(&alone.rates));
        // The processor time contains that of the refunds.
        let line =
            Line { cpu_micros: None, ..measured.line(format!("sale on {on} during a cancellation, beside alone")) };
        let line = line.judged_if(target, target.is_reached_by(measured.ratio) && is_outlasted);
        let ended = if is_outlasted { "" } else { "; the refunds ended first" };
        results.add(Line { target: format!("{}{ended}", line.target), ..line });
        results.add(Line {
            result: Figure::PerSecond(median(refunds)),
            reference: Figure::Words(format!("{} payments", number(payments as f64))),
            ..Line::new(format!("    refunds of the cancelled performance on {on}"))
        });
        server.finish()
    }))
}

fn cancel(server: &Server, performance: &str) -> Outcome<()> {
    let request = Request::post(&format!("/admin/performances/{performance}/cancel"));
    let request = server.admin.authorize(request).json(json!({"reason": "the singer is ill"}).to_string());
    server.admin.call(&request).map(drop)
}

/// The cancellation of a performance, as the server shows it.
fn state(server: &Server, performance: &str) -> Outcome<Value> {
    let request = Request::get(&format!("/admin/performances/{performance}/cancellation"));
    server.admin.call(&server.admin.authorize(request))
}

/// Waits until this many payments are refunded, and no others are left.
///
/// # Errors
/// If that takes longer than 600 s, or another number is refunded.
fn wait_until_done(server: &Server, performance: &str, payments: usize) -> Outcome<()> {
    let began = Instant::now();
    loop {
        let shown = state(server, performance)?;
        if shown["state"] == "DONE" {
            let is_right = shown["paymentsRefunded"] == payments && shown["paymentsFailed"] == 0;
            return if is_right { Ok(()) } else { Err(format!("not {payments} payments: {shown}").into()) };
        }
        if began.elapsed() > DONE_WITHIN {
            return Err(format!("not done after {DONE_WITHIN:?}: {shown}").into());
        }
        std::thread::sleep(ASK_EVERY);
    }
}
