//! Measurements of reservations and payments.

use std::ops::Range;
use std::sync::Arc;

use onsale_load_generator::{ClosedLoop, Outcome, Request, Run, Supply, closed_loop};

use crate::machine::{Machine, Server};
use crate::measure::{CREATED, Writes, requests_per_slice};
use crate::results::Target;
use crate::row::Work;
use crate::sqlite_batches::Write;
use crate::users::{self, fill_wallets, open_room, send_all, tokens, wait_until_admitted};

/// The maximum number of seats of a performance.
pub(crate) const SEATS: u32 = 100_000;

/// The price of a seat, in points.
const PRICE: u32 = 1_000;

/// Flags of the server: holds last longer than everything between hold and payment.
pub(crate) const FLAGS: &[&str] = &["--hold-seconds", "3600"];

/// Connections of a sale.
pub(crate) const CONNECTIONS: usize = 256;

/// Seats with the tokens of their buyers, one seat each.
pub(crate) struct Seats {
    seats: Vec<Seat>,
    /// The numbers of all buyers.
    users: Range<usize>,
}

struct Seat {
    token: String,
    performance: String,
    number: usize,
}

impl Seats {
    /// Seats of as many users, from the first user on. See [`Seats::of`].
    pub(crate) fn prepare(server: &Server, users: usize) -> Outcome<Self> {
        Self::of(server, 0..users)
    }

    /// Creates a concert with as many performances as needed, and admits these users.
    pub(crate) fn of(server: &Server, users: Range<usize>) -> Outcome<Self> {
        let concert = server.admin.concert(&open_room())?;
        let per_performance = usize::try_from(SEATS)?;
        let mut performances = Vec::new();
        for day in 0..users.len().div_ceil(per_performance) {
            performances.push(server.admin.performance(&concert, SEATS, PRICE.into(), i64::try_from(day)?)?.id);
        }
        let tokens = tokens(server, &concert, users.clone())?;
        wait_until_admitted(server, &concert, users.len())?;
        let seat = |(index, token): (usize, String)| Seat {
            token,
            performance: performances[index / per_performance].clone(),
            number: index % per_performance + 1,
        };
        Ok(Self { seats: tokens.into_iter().enumerate().map(seat).collect(), users })
    }

    /// The ids of the performances, in the order of their days.
    pub(crate) fn performances(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.seats.iter().map(|seat| &*seat.performance).collect();
        ids.dedup();
        ids
    }

    /// A request for each user to hold the seat.
    pub(crate) fn holds(&self) -> impl Iterator<Item = Request> {
        self.seats.iter().map(Seat::hold)
    }

    /// Charges the price of a seat to the wallet of each user.
    pub(crate) fn fill_wallets(&self, server: &Server) -> Outcome<()> {
        fill_wallets(server, self.users.clone(), PRICE)
    }

    /// Holds all seats, and charges the wallets. Returns a request for each user to pay.
    pub(crate) fn payments(&self, server: &Server) -> Outcome<Vec<Request>> {
        self.fill_wallets(server)?;
        let reservations = send_all(server, self.holds(), 201, "reservationId")?;
        let pairs = self.seats.iter().zip(&reservations);
        Ok(pairs.map(|(seat, reservation)| users::pay(&seat.token, reservation)).collect())
    }

    /// Holds all seats, and pays them. Returns the id of the first performance.
    pub(crate) fn sell_all(self, server: &Server) -> Outcome<String> {
        send_all(server, self.payments(server)?, 201, "paymentId")?;
        Ok(self.performances().first().copied().ok_or("there is no seat")?.to_owned())
    }

    /// Takes the next seats, and sells them from wallets that are filled: first all are held, then all are paid.
    pub(crate) fn sell(&mut self, server: &Server, count: usize) -> Outcome<Run> {
        let sold: Vec<Seat> = self.seats.drain(..count.min(self.seats.len())).collect();
        let send = |requests: Supply, keep: Option<&'static str>| {
            let how = ClosedLoop { keep, ..ClosedLoop::all(CONNECTIONS) };
            let run = closed_loop(server.program.address(), &Arc::new(requests), &how)?;
            run.tally.expect(CREATED)?;
            Outcome::Ok(run)
        };
        let mut sale = send(Supply::once(sold.iter().map(Seat::hold)), Some("reservationId"))?;
        let held = std::mem::take(&mut sale.tally.kept);
        let payments = held.iter().map(|(index, reservation)| users::pay(&sold[*index].token, reservation));
        let paid = send(Supply::once(payments), None)?;
        sale.elapsed += paid.elapsed;
        sale.cpu += paid.cpu;
        sale.tally.merge(paid.tally);
        Ok(sale)
    }
}

impl Seat {
    fn hold(&self) -> Request {
        users::hold(&self.token, &self.performance, self.number)
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
