//! Many buyers, few seats: nearly all of them are refused, and each seat is sold once.

use std::sync::Arc;

use onsale_load_generator::{ClosedLoop, Outcome, Performance, Request, Run, Supply, closed_loop};

use crate::machine::{Machine, Server};
use crate::measure::{CREATED, add_better, compare};
use crate::results::Target;
use crate::row::Work;
use crate::scale::Scale;
use crate::users::{Dice, fill_wallets, hold, open_room, pay, tokens, wait_until_admitted};

/// The price of a seat, in points.
const PRICE: u32 = 1_000;

/// The name in the table.
pub(crate) const WORK: &str = "5,000 buyers on 50 seats, 20 performances";

/// How many buyers, seats and performances there are.
#[derive(Clone, Copy)]
struct Numbers {
    seats: usize,
    buyers: usize,
    performances: usize,
}

impl Numbers {
    fn of(scale: Scale) -> Self {
        let full = Self { seats: 50, buyers: 5_000, performances: 20 };
        scale.pick(full, full, Self { seats: 2, buyers: 60, performances: 2 })
    }

    /// Enough users that no buyer has to return: a buyer who has paid has no token left.
    fn users(self) -> usize {
        self.buyers + self.seats * self.performances
    }
}

/// One concert with its performances, and the users who try to buy.
pub(crate) struct Contention {
    numbers: Numbers,
    concert: String,
    performances: Vec<Performance>,
    tokens: Vec<String>,
    dice: Dice,
}

impl Contention {
    /// Charges the wallets of all users, once for all concerts.
    pub(crate) fn fill_wallets(machine: &Machine, server: &Server) -> Outcome<()> {
        fill_wallets(server, 0..Numbers::of(machine.scale).users(), 1_000_000)
    }

    /// Creates the concert, and admits the users.
    pub(crate) fn prepare(machine: &Machine, server: &Server) -> Outcome<Self> {
        let numbers = Numbers::of(machine.scale);
        let concert = server.admin.concert(&open_room())?;
        let seats = u32::try_from(numbers.seats)?;
        let performance = |day| server.admin.performance(&concert, seats, PRICE.into(), i64::try_from(day)?);
        let performances = (0..numbers.performances).map(performance).collect::<Outcome<_>>()?;
        let tokens = tokens(server, &concert, 0..numbers.users())?;
        wait_until_admitted(server, &concert, numbers.users())?;
        Ok(Self { numbers, concert, performances, tokens, dice: Dice(50) })
    }

    /// One concert for each round.
    pub(crate) fn for_each_round(machine: &Machine, server: &Server) -> Outcome<Vec<Self>> {
        (0..machine.scale.rounds).map(|_| Self::prepare(machine, server)).collect()
    }

    /// All performances one after another: each buyer tries one seat, and those who get it pay.
    pub(crate) fn run(&mut self, server: &Server, connections: usize) -> Outcome<Run> {
        let mut whole: Option<Run> = None;
        for performance in std::mem::take(&mut self.performances) {
            let (seats, buyers) = (self.numbers.seats, &self.tokens[..self.numbers.buyers]);
            let holds = buyers.iter().map(|token| hold(token, &performance.id, self.dice.below(seats) + 1));
            let how = ClosedLoop { keep: Some("reservationId"), ..ClosedLoop::all(connections) };
            let address = server.program.address();
            let held = closed_loop(address, &Arc::new(Supply::once(holds)), &how)?;
            held.tally.expect(&[(201, ""), (409, "seat-taken")])?;
            let winners = &held.tally.kept;
            let payments = winners.iter().map(|(buyer, reservation)| pay(&buyers[*buyer], reservation));
            let paid = closed_loop(address, &Arc::new(Supply::once(payments)), &ClosedLoop::all(connections))?;
            paid.tally.expect(CREATED)?;
            self.verify(server, &performance, winners.len())?;
            // The token of a buyer who has paid is used up. Removed from the back, so that the indexes stay right.
            let used: Vec<usize> = winners.iter().map(|(buyer, _)| *buyer).collect();
            used.into_iter().rev().for_each(|buyer| drop(self.tokens.swap_remove(buyer)));
            for part in [held, paid] {
                match &mut whole {
                    None => whole = Some(part),
                    Some(whole) => {
                        whole.elapsed += part.elapsed;
                        whole.tally.merge(part.tally);
                    }
                }
            }
        }
        whole.ok_or_else(|| "all performances of this concert were sold already".into())
    }

    /// Checks that as many seats are sold as there are, in the answers of the server itself.
    fn verify(&self, server: &Server, performance: &Performance, won: usize) -> Outcome<()> {
        // The last user never buys in this performance, so the token still works.
        let token = self.tokens.last().ok_or("no user is left to read the seats")?;
        let path = format!("/concerts/{}/seats?date={}", self.concert, performance.date);
        let shown = server.admin.call(&Request::get(&path).token(token))?;
        let seats = shown["performances"][0]["seats"].as_array().ok_or("the answer has no seats")?;
        let sold = seats.iter().filter(|seat| seat["status"] == "SOLD").count();
        let expected = self.numbers.seats;
        if (won, sold, seats.len()) == (expected, expected, expected) {
            return Ok(());
        }
        Err(format!("{won} were paid and {sold} of {} are shown as sold, not {expected}", seats.len()).into())
    }
}

pub(crate) fn buyers(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut server = machine.server(&[], &[])?;
    Contention::fill_wallets(machine, &server)?;
    Ok(Box::new(move |results| {
        let mut both = Vec::new();
        for connections in [64, 256] {
            let mut concerts = Contention::for_each_round(machine, &server)?.into_iter();
            let run = |connections| concerts.next().ok_or("no concert is left")?.run(&server, connections);
            both.extend(compare(machine, &server, "contention", connections, &mut [Box::new(run)])?);
        }
        add_better(results, WORK, target, &both);
        server.finish()
    }))
}
