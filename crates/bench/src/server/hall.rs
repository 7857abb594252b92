//! Listeners of one hall: the memory of each, and what a change costs in bytes and processor time.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::allow_open_files;

use super::connections::{open, settled_kilobytes};
use super::sale::FLAGS;
use crate::machine::{Machine, Server};
use crate::measure::micros;
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::users::{hold, open_room, send_all, tokens, wait_until_admitted};

/// Clients that follow the hall at once.
const LISTENERS: usize = 10_000;

const SEATS: u32 = 50_000;

/// Holds of one seat each. With 40 of them processor time, which comes in steps of 10 ms, is exact.
const CHANGES: usize = 40;

/// Longer than the time between two events of a hall, so that each hold is an event of its own.
const APART: Duration = Duration::from_millis(350);

/// How long the last event may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(2);

/// Open streams that keep their clients on the server, with what they got.
struct Listeners(Vec<TcpStream>);

impl Listeners {
    fn open(server: &Server, concert: &str, performance: &str, tokens: &[String]) -> Outcome<Self> {
        let path = format!("/concerts/{concert}/seats/events?performanceId={performance}");
        let listen = |token: &String| {
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nqueue-token: {token}\r\n\r\n");
            open(server.program.address(), request.as_bytes(), b"data:")
        };
        tokens.iter().map(listen).collect::<Outcome<_>>().map(Self)
    }

    /// What the last of them got since the last call, after the others were read too, and the bytes of all.
    fn read(&mut self) -> Outcome<(Vec<u8>, usize)> {
        let (mut last, mut bytes) = (Vec::new(), 0);
        for stream in &mut self.0 {
            last.clear();
            stream.set_nonblocking(true)?;
            match stream.read_to_end(&mut last) {
                Ok(_) => return Err("a stream of a hall ended".into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => bytes += last.len(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((last, bytes))
    }
}

/// Events with a held seat.
fn events(text: &[u8]) -> usize {
    String::from_utf8_lossy(text).matches("\"held\":[[").count()
}

pub(crate) fn lines(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let count = machine.scale.at_most(LISTENERS);
    let changes = machine.scale.pick(CHANGES, CHANGES, 2);
    allow_open_files(2 * count as u64 + 1_000);
    let mut server = machine.server(FLAGS, &[])?;
    let concert = server.admin.concert(&open_room())?;
    let performance = server.admin.performance(&concert, SEATS, 1_000, 0)?.id;
    let tokens = tokens(&server, &concert, 0..count)?;
    wait_until_admitted(&server, &concert, count)?;
    Ok(Box::new(move |results| {
        let hold_one = |seat: usize| -> Outcome<()> {
            let request = hold(&tokens[seat % count], &performance, seat);
            send_all(&server, [request], 201, "reservationId").map(drop)
        };
        // The map is in memory before the first listener, as it is in a sale.
        let before = settled_kilobytes(machine, &server)?;
        let mut listeners = Listeners::open(&server, &concert, &performance, &tokens)?;
        let each = settled_kilobytes(machine, &server)?.saturating_sub(before) as f64 / count as f64;
        let line = Line { connections: count, result: Figure::Kilobytes(each), ..Line::new("a listener of a hall") };
        results.add(line.judged(target, each));

        listeners.read()?;
        let pause = APART * u32::try_from(changes)?;
        let idle = server.program.process_time()?;
        std::thread::sleep(pause);
        let idle = server.program.process_time()?.saturating_sub(idle);
        listeners.read()?;
        let busy = server.program.process_time()?;
        for seat in 1..=changes {
            hold_one(seat)?;
            std::thread::sleep(APART);
        }
        let busy = server.program.process_time()?.saturating_sub(busy);
        std::thread::sleep(machine.scale.pick(ARRIVES_WITHIN, ARRIVES_WITHIN, APART));
        let (last, bytes) = listeners.read()?;
        let arrived = events(&last);
        if arrived == 0 {
            return Err("no change arrived".into());
        }
        let each_change = micros(busy.saturating_sub(idle)) / changes as f64;
        results.add(Line {
            connections: count,
            result: Figure::Words(format!("{:.1} ms of processor time", each_change / 1_000.0)),
            cpu_micros: Some(each_change / count as f64),
            ..Line::new("    a change of a hall, for all of them")
        });
        let each_event = bytes as f64 / (count * arrived) as f64;
        results
            .add(Line { result: Figure::Bytes(each_event), ..Line::new("    bytes of a change, for each listener") });
        results.add(Line {
            result: Figure::Words(format!("{:.1} % of a processor", micros(idle) / micros(pause) * 100.0)),
            ..Line::new("    without a change")
        });
        drop(listeners);
        server.finish()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_with_held_seats_are_counted() {
        let stream = b"id: a-1\ndata: {\"held\":[[1,1]]}\n\nid: a-1\ndata: {\"held\":[]}\n\nid: a-2\ndata: {\"held\":[[2,4],[6,6]]}\n\n";
        assert_eq!(events(stream), 2);
    }
}
