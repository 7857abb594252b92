//! The sale with and without viewers of its live figures, in turns.

use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use onsale_load_generator::{Outcome, Request};

use super::Stage;
use crate::machine::{Machine, Server};
use crate::measure::{micros, neighbours};
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::server::connections::open;
use crate::server::sale::{CONNECTIONS, Seats};
use crate::server::turns::Turns;

/// Streams of live figures at once: as many as an instance serves.
const VIEWERS: usize = 20;

/// The longest time until all streams are open.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// The time between two tries to open a stream.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The processor time of the server per answer with viewers, divided by that without.
const CPU: Target = Target::at_most(1.02).unit("of without");

/// What each viewer must get: figures in each second, and never that the database does not answer.
const SHOWN: Target = Target::words("no event unavailable");

/// Events that viewers got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Events {
    live: u64,
    unavailable: u64,
}

impl Events {
    fn add(&mut self, other: Self) {
        self.live += other.live;
        self.unavailable += other.unavailable;
    }

    /// Counts events until the end of a stream.
    fn of(stream: impl BufRead) -> Outcome<Self> {
        let mut events = Self::default();
        for line in stream.lines() {
            match &*line? {
                "event: live" => events.live += 1,
                "event: unavailable" => events.unavailable += 1,
                _ => {}
            }
        }
        Ok(events)
    }
}

/// Clients of the stream of live figures. Each has a thread that reads.
struct Viewers(Vec<(TcpStream, JoinHandle<Outcome<Events>>)>);

impl Viewers {
    /// Opens the streams. Each has shown figures when this returns.
    fn open(server: &Server) -> Outcome<Self> {
        // A refusal then ends the connection.
        let request = Request::get("/admin/live").header("accept", "text/event-stream").header("connection", "close");
        let request = server.admin.authorize(request).to_bytes();
        let began = Instant::now();
        let viewer = |_| {
            // The server may not yet have noticed that the viewers of the last turn are gone.
            let stream = loop {
                match open(server.program.address(), &request, b"event: live") {
                    Err(_) if began.elapsed() < OPEN_WITHIN => std::thread::sleep(ASK_EVERY),
                    opened => break opened?,
                }
            };
            let reader = BufReader::new(stream.try_clone()?);
            Ok((stream, std::thread::spawn(move || Events::of(reader))))
        };
        (0..VIEWERS).map(viewer).collect::<Outcome<_>>().map(Self)
    }

    /// Closes the streams. Returns the events after the first of each.
    fn close(self) -> Outcome<Events> {
        let mut all = Events::default();
        for (stream, reader) in self.0 {
            stream.shutdown(Shutdown::Both).map_err(|error| format!("a viewer's stream ended early: {error}"))?;
            all.add(reader.join().map_err(|_| "a viewer panicked")??);
        }
        Ok(all)
    }
}

pub(super) fn prepare<'m>(machine: &'m Machine, stage: Stage<'m>, target: Target) -> Outcome<Work<'m>> {
    let Stage { mut server, on, settle } = stage;
    let sales = 2 * machine.scale.users;
    let mut seats = Seats::prepare(&server, sales)?;
    seats.fill_wallets(&server)?;
    settle()?;
    // A difference of 2 % is small compared with the noise of one turn, so there are many.
    let turns = machine.scale.rounds * machine.scale.pick(3, 2, 1);
    let each = sales / (2 * turns + 1);
    Ok(Box::new(move |results| {
        let (mut without, mut with, mut events) = (Turns::default(), Turns::default(), Events::default());
        without.measure(&server, || seats.sell(&server, each))?;
        for _ in 0..turns {
            let viewers = Viewers::open(&server)?;
            with.measure(&server, || seats.sell(&server, each))?;
            events.add(viewers.close()?);
            without.measure(&server, || seats.sell(&server, each))?;
        }
        let alone = without.measured(CONNECTIONS, &without.rates);
        results.add(alone.line(format!("sale (hold, pay) on {on} without viewers")));
        let viewed = with.measured(CONNECTIONS, &neighbours(&without.rates));
        results.add(viewed.line(format!("sale on {on} with 20 viewers, beside without")).judged(target, viewed.ratio));
        // Processor time comes in steps of 10 ms, so a short turn may have used none.
        let cpu = Some(micros(with.cpu()) / micros(without.cpu())).filter(|ratio| ratio.is_finite());
        let line = Line { ratio: cpu, ..Line::new(format!("    processor time on {on} with them, beside without")) };
        results.add(match cpu {
            Some(ratio) => line.judged(CPU, ratio),
            None => line,
        });
        let Events { live, unavailable } = events;
        let words = Figure::Words(format!("{live} live, {unavailable} unavailable"));
        let line = Line { result: words, ..Line::new(format!("    events to the viewers on {on}")) };
        results.add(line.judged_if(SHOWN, unavailable == 0));
        server.finish()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_among_the_lengths_of_chunks() {
        let stream = b"11\r\nevent: live\ndata: {}\n\n\r\n18\r\nevent: unavailable\ndata: {}\n\n\r\n11\r\nevent: live\ndata: {}\n\n";
        assert_eq!(Events::of(&stream[..]).unwrap(), Events { live: 2, unavailable: 1 });
    }
}
