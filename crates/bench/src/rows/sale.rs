//! Reservations and payments.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Supply};

use super::crowd::{everyone_is_active, fill_wallets, hold, pay as payment, prepare, tokens};
use super::{Writes, open_room, share_of};
use crate::measure::{Bench, Server};
use crate::raw::Kind;

/// The maximum number of seats of a performance.
const SEATS: u32 = 100_000;

pub(crate) const PRICE: u32 = 1_000;

/// Long enough for everything between hold and payment.
pub(crate) const FLAGS: &[&str] = &["--hold-seconds", "3600"];

/// For each seat: its holder's token, its performance, its number.
pub(crate) type Seats = Vec<(String, String, usize)>;

pub(crate) fn seats(server: &Server, people: usize) -> Outcome<Seats> {
    let concert = server.stage.concert(&open_room())?;
    let per_house = usize::try_from(SEATS)?;
    let mut performances = Vec::new();
    for day in 0..people.div_ceil(per_house) {
        performances.push(server.stage.performance(&concert, SEATS, PRICE.into(), i64::try_from(day)?)?.id);
    }
    let tokens = tokens(server, &concert, 0..people)?;
    everyone_is_active(server, &concert, people)?;
    let seat =
        |(number, token): (usize, String)| (token, performances[number / per_house].clone(), number % per_house + 1);
    Ok(tokens.into_iter().enumerate().map(seat).collect())
}

pub(crate) fn reserve(bench: &mut Bench) -> Outcome<()> {
    let people = bench.scale.crowd;
    let server = bench.server(FLAGS)?;
    let seats = seats(&server, people)?;
    let writes = Writes {
        work: "reservation of a free seat",
        target: Some(0.15),
        supply: Arc::new(Supply::once(seats.iter().map(|(token, performance, seat)| hold(token, performance, *seat)))),
        expected: &[(201, "")],
        count: share_of(bench, people),
        at_half: true,
        raw: Some(Kind::Reservation),
    };
    writes.measure(bench, server)
}

pub(crate) fn pay(bench: &mut Bench) -> Outcome<()> {
    let people = bench.scale.crowd;
    let server = bench.server(FLAGS)?;
    let seats = seats(&server, people)?;
    fill_wallets(&server, 0..people, PRICE)?;
    let holds = seats.iter().map(|(token, performance, seat)| hold(token, performance, *seat));
    let reservations = prepare(&server, holds, 201, "reservationId")?;
    let payments = seats.iter().zip(&reservations).map(|((token, _, _), reservation)| payment(token, reservation));
    let writes = Writes {
        work: "payment (aim 0.13)",
        target: Some(0.08),
        supply: Arc::new(Supply::once(payments)),
        expected: &[(201, "")],
        count: share_of(bench, people),
        at_half: true,
        raw: Some(Kind::Payment),
    };
    writes.measure(bench, server)
}
