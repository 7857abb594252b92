//! The rush on few seats: nearly all users are refused, and each seat is sold once.

use std::sync::Arc;

use onsale_load_generator::{Closed, Outcome, Performance, Request, Run, Supply, closed};

use super::crowd::{Dice, everyone_is_active, fill_wallets, hold, pay, tokens};
use super::{open_room, report_better};
use crate::measure::{Bench, Server};

const SEATS: usize = 50;
const BUYERS: usize = 5_000;
const PERFORMANCES: usize = 20;
const PRICE: u32 = 1_000;
const TARGET: f64 = 0.3;

/// The description in the table.
pub(crate) const SCENE: &str = "5,000 buyers on 50 seats, 20 performances";

/// One concert with its performances, and enough users that no buyer has to return.
pub(crate) struct Scene {
    concert: String,
    performances: Vec<Performance>,
    tokens: Vec<String>,
    dice: Dice,
}

impl Scene {
    pub(crate) fn prepare(server: &Server) -> Outcome<Self> {
        let people = BUYERS + SEATS * PERFORMANCES;
        let concert = server.stage.concert(&open_room())?;
        let performance = |day| server.stage.performance(&concert, 50, PRICE.into(), i64::try_from(day)?);
        let performances = (0..PERFORMANCES).map(performance).collect::<Outcome<_>>()?;
        let tokens = tokens(server, &concert, 0..people)?;
        everyone_is_active(server, &concert, people)?;
        Ok(Self { concert, performances, tokens, dice: Dice(50) })
    }

    /// All performances one after another: all users try one seat, and the one who gets it pays.
    pub(crate) fn play(&mut self, server: &Server, connections: usize) -> Outcome<Run> {
        let mut whole: Option<Run> = None;
        for performance in std::mem::take(&mut self.performances) {
            let buyers = &self.tokens[..BUYERS];
            let tries = buyers.iter().map(|token| hold(token, &performance.id, self.dice.below(SEATS) + 1));
            let how = Closed { keep: Some("reservationId"), ..Closed::all(connections) };
            let address = server.program.address();
            let tried = closed(address, &Arc::new(Supply::once(tries)), &how)?;
            tried.tally.expect(&[(201, ""), (409, "seat-taken")])?;
            let winners = &tried.tally.kept;
            let payments = winners.iter().map(|(buyer, reservation)| pay(&buyers[*buyer], reservation));
            let paid = closed(address, &Arc::new(Supply::once(payments)), &Closed::all(connections))?;
            paid.tally.expect(&[(201, "")])?;
            self.verify(server, &performance, winners.len())?;
            // A buyer has no token any more. From the back, so that the indexes stay right.
            let gone: Vec<usize> = winners.iter().map(|(buyer, _)| *buyer).collect();
            gone.into_iter().rev().for_each(|buyer| drop(self.tokens.swap_remove(buyer)));
            for part in [tried, paid] {
                match &mut whole {
                    None => whole = Some(part),
                    Some(whole) => {
                        whole.elapsed += part.elapsed;
                        whole.tally.merge(part.tally);
                    }
                }
            }
        }
        whole.ok_or_else(|| "there was no performance to play".into())
    }

    /// As many seats are sold as there are, as the server itself shows them.
    fn verify(&self, server: &Server, performance: &Performance, won: usize) -> Outcome<()> {
        // The last user never buys in this performance, so the token still works.
        let onlooker = self.tokens.last().ok_or("no user is left to look")?;
        let path = format!("/concerts/{}/seats?date={}", self.concert, performance.date);
        let shown = server.stage.call(&Request::get(&path).token(onlooker))?;
        let seats = shown["performances"][0]["seats"].as_array().ok_or("no seats are shown")?;
        let sold = seats.iter().filter(|seat| seat["status"] == "SOLD").count();
        match (won, sold, seats.len()) {
            (SEATS, SEATS, SEATS) => Ok(()),
            _ => Err(format!("{won} were paid and {sold} of {} are shown as sold, not {SEATS}", seats.len()).into()),
        }
    }
}

/// Points for all users who may buy.
pub(crate) fn fill(server: &Server) -> Outcome<()> {
    fill_wallets(server, 0..BUYERS + SEATS * PERFORMANCES, 1_000_000)
}

pub(crate) fn buyers(bench: &mut Bench) -> Outcome<()> {
    let mut server = bench.server(&[])?;
    fill(&server)?;
    let mut both = Vec::new();
    for connections in [64, 256] {
        let mut scenes = Vec::new();
        for _ in 0..bench.scale.rounds {
            scenes.push(Scene::prepare(&server)?);
        }
        let mut scenes = scenes.into_iter();
        let play = |connections| scenes.next().ok_or("no scene is left")?.play(&server, connections);
        both.extend(bench.compare(&server, "contention", connections, &mut [Box::new(play)])?);
    }
    report_better(bench, SCENE, Some(TARGET), &both);
    server.finish()
}
