//! Calls that each write to one hot row: a lecture, a performance.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use super::beside::{Call, server};
use super::pgbench::Rival;
use super::scripts::{APPLICATION, PAYMENT, RESERVATION};
use crate::measure::Bench;
use crate::rows::crowd::{fill_wallets, hold, pay as payment, prepare, user};
use crate::rows::sale::{FLAGS, PRICE, seats};

/// Maximum number of applications, one per user.
const APPLICANTS: usize = 360_000;

/// Maximum number of holds. Each needs several calls to prepare.
const HOLDERS: usize = 60_000;

pub(super) fn application(bench: &mut Bench) -> Outcome<()> {
    let cluster = bench.cluster()?;
    let (server, database) = server(bench, &[], None)?;
    let lecture = server.stage.lecture(1_000_000)?;
    let application = |number: usize| {
        let body = format!(r#"{{"userId":"{}","lectureId":"{lecture}"}}"#, user(number));
        Request::post("/lectures/apply").json(body)
    };
    let call = Call {
        work: "lecture application",
        target: 2.0,
        aim: Some(4.0),
        supply: Arc::new(Supply::once((0..APPLICANTS).map(application))),
        expected: &[(201, "")],
        count: share_of(bench, APPLICANTS),
    };
    let rival = Rival::prepare(&cluster, APPLICATION.rows, APPLICATION.script)?;
    call.measure(bench, (server, database), rival)
}

pub(super) fn reservation(bench: &mut Bench) -> Outcome<()> {
    let (cluster, people) = (bench.cluster()?, bench.scale.crowd.min(HOLDERS));
    let (server, database) = server(bench, FLAGS, None)?;
    let seats = seats(&server, people)?;
    let call = Call {
        work: "reservation of a free seat",
        target: 2.0,
        aim: Some(4.0),
        supply: Arc::new(Supply::once(seats.iter().map(|(token, performance, seat)| hold(token, performance, *seat)))),
        expected: &[(201, "")],
        count: share_of(bench, people),
    };
    let rival = Rival::prepare(&cluster, RESERVATION.rows, RESERVATION.script)?;
    call.measure(bench, (server, database), rival)
}

pub(super) fn pay(bench: &mut Bench) -> Outcome<()> {
    let (cluster, people) = (bench.cluster()?, bench.scale.crowd.min(HOLDERS));
    let (server, database) = server(bench, FLAGS, None)?;
    let seats = seats(&server, people)?;
    fill_wallets(&server, 0..people, PRICE)?;
    let holds = seats.iter().map(|(token, performance, seat)| hold(token, performance, *seat));
    let reservations = prepare(&server, holds, 201, "reservationId")?;
    let payments = seats.iter().zip(&reservations).map(|((token, _, _), reservation)| payment(token, reservation));
    let call = Call {
        work: "payment",
        target: 2.0,
        aim: Some(4.0),
        supply: Arc::new(Supply::once(payments)),
        expected: &[(201, "")],
        count: share_of(bench, people),
    };
    let rival = Rival::prepare(&cluster, PAYMENT.rows, PAYMENT.script)?;
    call.measure(bench, (server, database), rival)
}

/// Requests for one measurement, so that a fifth of the supply is left for the open loop.
fn share_of(bench: &Bench, people: usize) -> usize {
    people * 4 / 5 / bench.scale.rounds
}
