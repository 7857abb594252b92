//! Measurements of reservations and payments.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use crate::machine::{Machine, Server};
use crate::measure::{CREATED, Writes, requests_per_slice};
use crate::results::Target;
use crate::row::Work;
use crate::sqlite_batches::Write;
use crate::users::{self, fill_wallets, open_room, send_all, tokens, wait_until_admitted};

/// The maximum number of seats of a performance.
const SEATS: u32 = 100_000;

/// The price of a seat, in points.
const PRICE: u32 = 1_000;

/// Flags of the server: holds last longer than everything between hold and payment.
pub(crate) const FLAGS: &[&str] = &["--hold-seconds", "3600"];

/// Seats with the tokens of their buyers, one seat each.
pub(crate) struct Seats(Vec<Seat>);

struct Seat {
    token: String,
    performance: String,
    number: usize,
}

impl Seats {
    /// Creates as many performances as needed, and admits the users.
    pub(crate) fn prepare(server: &Server, users: usize) -> Outcome<Self> {
        let concert = server.admin.concert(&open_room())?;
        let per_performance = usize::try_from(SEATS)?;
        let mut performances = Vec::new();
        for day in 0..users.div_ceil(per_performance) {
            performances.push(server.admin.performance(&concert, SEATS, PRICE.into(), i64::try_from(day)?)?.id);
        }
        let tokens = tokens(server, &concert, 0..users)?;
        wait_until_admitted(server, &concert, users)?;
        let seat = |(index, token): (usize, String)| Seat {
            token,
            performance: performances[index / per_performance].clone(),
            number: index % per_performance + 1,
        };
        Ok(Self(tokens.into_iter().enumerate().map(seat).collect()))
    }

    /// The ids of the performances, in the order of their days.
    pub(crate) fn performances(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.0.iter().map(|seat| &*seat.performance).collect();
        ids.dedup();
        ids
    }

    /// A request for each user to hold the seat.
    pub(crate) fn holds(&self) -> impl Iterator<Item = Request> {
        self.0.iter().map(|seat| users::hold(&seat.token, &seat.performance, seat.number))
    }

    /// Holds all seats, and charges the wallets. Returns a request for each user to pay.
    pub(crate) fn payments(&self, server: &Server) -> Outcome<Vec<Request>> {
        fill_wallets(server, 0..self.0.len(), PRICE)?;
        let reservations = send_all(server, self.holds(), 201, "reservationId")?;
        Ok(self.0.iter().zip(&reservations).map(|(seat, reservation)| users::pay(&seat.token, reservation)).collect())
    }
}

pub(crate) fn reserve(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let server = machine.server(FLAGS, &[])?;
    let seats = Seats::prepare(&server, machine.scale.users)?;
    let supply = Supply::once(seats.holds());
    prepare(machine, server, ("reservation of a free seat", target), supply, Write::Reservation)
}

pub(crate) fn pay(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let server = machine.server(FLAGS, &[])?;
    let seats = Seats::prepare(&server, machine.scale.users)?;
    let supply = Supply::once(seats.payments(&server)?);
    prepare(machine, server, ("payment (aim 0.13)", target), supply, Write::Payment)
}

fn prepare<'m>(
    machine: &'m Machine,
    server: Server,
    (work, target): (&'static str, Target),
    supply: Supply,
    rows: Write,
) -> Outcome<Work<'m>> {
    let writes = Writes {
        work,
        target,
        supply: Arc::new(supply),
        expected: CREATED,
        count: requests_per_slice(machine, machine.scale.users),
        at_half: true,
        rows,
    };
    Ok(Box::new(move |results| writes.measure(machine, server, results)))
}
