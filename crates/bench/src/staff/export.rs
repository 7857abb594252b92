//! The attendees of a performance as CSV.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use onsale_load_generator::{Histogram, Outcome, Request};
use onsale_report::number;

use super::Stage;
use crate::machine::{Machine, Server};
use crate::measure::{median, micros, per_answer};
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::server::sale::{SEATS, Seats};

/// The first line of the list.
const HEADER: &str = "seat,grade,userId,paymentId,paidAt,checkedInAt\r\n";

/// The longest time without a byte of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn prepare<'m>(machine: &'m Machine, stage: Stage<'m>, target: Target) -> Outcome<Work<'m>> {
    let Stage { mut server, on, settle } = stage;
    let sold = machine.scale.users.min(usize::try_from(SEATS)?);
    let performance = Seats::prepare(&server, sold)?.sell_all(&server)?;
    settle()?;
    let request = request(&server, &performance)?;
    Ok(Box::new(move |results| {
        let (mut rates, mut times) = (Vec::new(), Histogram::default());
        let before = server.program.process_time()?;
        for _ in 0..machine.scale.rounds * machine.scale.pick(5, 3, 1) {
            let began = Instant::now();
            let answer = answer(server.program.address(), request.as_bytes())?;
            let took = began.elapsed();
            let rows = rows(&answer)?;
            if rows != sold {
                return Err(format!("{rows} rows, but {sold} seats are sold").into());
            }
            rates.push(rows as f64 / took.as_secs_f64());
            times.add(took);
        }
        let cpu = server.program.process_time()?.saturating_sub(before);
        let rate = median(rates);
        let line = Line {
            connections: 1,
            result: Figure::PerSecond(rate),
            reference: Figure::Words(format!("{} rows", number(sold as f64))),
            p50_millis: Some(times.millis(500)),
            p99_millis: Some(times.millis(990)),
            ..Line::new(format!("rows of attendees as CSV on {on}"))
        };
        results.add(line.judged(target, rate));
        let cpu = micros(per_answer(cpu, times.total() * sold as u64));
        results.add(Line { cpu_micros: Some(cpu), ..Line::new(format!("    processor time on {on}, each row")) });
        server.finish()
    }))
}

/// The request for the list. By HTTP 1.0 the answer has its length and no chunks, however long the server reads.
fn request(server: &Server, performance: &str) -> Outcome<String> {
    let request = Request::get(&format!("/admin/performances/{performance}/attendees.csv"));
    let bytes = server.admin.authorize(request).to_bytes();
    Ok(String::from_utf8(bytes)?.replacen("HTTP/1.1", "HTTP/1.0", 1))
}

/// Sends a request over a new connection, and reads until its end.
fn answer(address: SocketAddr, request: &[u8]) -> Outcome<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The number of rows below the header of a list.
///
/// # Errors
/// If the answer is not a whole list with status 200.
fn rows(answer: &[u8]) -> Outcome<usize> {
    let text = std::str::from_utf8(answer)?;
    let (head, list) = text.split_once("\r\n\r\n").ok_or("the answer has no end of its head")?;
    let mut lines = head.lines();
    let is_ok = lines.next().is_some_and(|status| status.split(' ').nth(1) == Some("200"));
    let header =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.parse().ok()));
    let length = lines.filter_map(header).find(|(name, _)| name == "content-length").and_then(|(_, value)| value);
    match list.strip_prefix(HEADER) {
        Some(rows) if is_ok && length == Some(list.len()) && (rows.is_empty() || rows.ends_with("\r\n")) => {
            Ok(rows.bytes().filter(|byte| *byte == b'\n').count())
        }
        _ => Err(format!("not a whole list: {}", text.chars().take(600).collect::<String>()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_and_a_cut_list_is_an_error() {
        let list = format!("{HEADER}7,R,42,p,t,\r\n8,R,43,p,t,\r\n");
        let answer =
            |status: u16, length: usize| format!("HTTP/1.0 {status} OK\r\nContent-Length: {length}\r\n\r\n{list}");
        assert_eq!(rows(answer(200, list.len()).as_bytes()).unwrap(), 2);
        for wrong in [answer(200, list.len() + 1), answer(503, list.len()), "HTTP/1.0 200 OK\r\n\r\n".to_owned()] {
            assert!(rows(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
