//! The wire cutter, before a server that sends back what it gets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::{PATIENCE, WireCutter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// How long a test watches that nothing happens. A wire that leaks is not always caught, one that is tight never fails.
const QUIET: Duration = Duration::from_millis(50);

/// Sends back what it gets, with a word of its own before it.
struct Echo {
    address: SocketAddr,
    /// What it got, as it came.
    got: UnboundedReceiver<String>,
}

impl Echo {
    async fn start(word: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, got) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let tell = tell.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 4_096];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                        let answer = format!("{word}{text}");
                        drop(tell.send(text));
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, got }
    }

    async fn next(&mut self) -> String {
        timeout(PATIENCE, self.got.recv()).await.unwrap().unwrap()
    }
}

async fn connect(cutter: &WireCutter) -> TcpStream {
    TcpStream::connect(cutter.address()).await.unwrap()
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn hear(stream: &mut TcpStream, text: &str) {
    let mut answer = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), text);
}

async fn ask(stream: &mut TcpStream, text: &str, answer: &str) {
    say(stream, text).await;
    hear(stream, answer).await;
}

async fn is_silent(stream: &mut TcpStream) {
    let answer = timeout(QUIET, stream.read(&mut [0; 64])).await;
    assert!(answer.is_err(), "received {answer:?}");
}

async fn is_closed(stream: &mut TcpStream) {
    let end = timeout(PATIENCE, stream.read(&mut [0; 64])).await.unwrap();
    assert!(
        matches!(&end, Ok(0)) || end.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_whole_wire_passes_everything_and_counts() {
    let echo = Echo::start("").await;
    let cutter = WireCutter::start(echo.address).await;
    assert_eq!(cutter.connections(), 0);
    let (mut one, mut two) = (connect(&cutter).await, connect(&cutter).await);
    ask(&mut one, "first", "first").await;
    ask(&mut two, "second", "second").await;
    assert_eq!(cutter.connections(), 2);
    drop(one);
    cutter.until_connections(|open| open == 1).await;
    ask(&mut two, "third", "third").await;
}

#[tokio::test]
async fn much_passes_in_order_while_both_sides_send() {
    let echo = Echo::start("").await;
    let cutter = WireCutter::start(echo.address).await;
    let (mut reading, mut writing) = connect(&cutter).await.into_split();
    let sent: Vec<u8> = (0..4_000_000_u32).map(|number| number.to_le_bytes()[1] % 128).collect();
    let expected = sent.clone();
    let sender = tokio::spawn(async move { writing.write_all(&sent).await.map(|()| writing) });
    let mut answer = vec![0; expected.len()];
    timeout(PATIENCE, reading.read_exact(&mut answer)).await.unwrap().unwrap();
    assert!(answer == expected, "not what was sent");
    // One side ends: so does the other, in its turn.
    drop(sender.await.unwrap().unwrap());
    assert_eq!(timeout(PATIENCE, reading.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    cutter.until_connections(|open| open == 0).await;
}

#[tokio::test]
async fn a_cut_wire_has_no_connections_and_refuses_new_ones_until_it_is_healed() {
    let echo = Echo::start("").await;
    let cutter = WireCutter::start(echo.address).await;
    for round in 0..20 {
        let mut stream = connect(&cutter).await;
        if round % 2 == 0 {
            ask(&mut stream, "before", "before").await;
        }
        cutter.cut().await;
        assert_eq!(cutter.connections(), 0);
        assert_eq!(TcpStream::connect(cutter.address()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        is_closed(&mut stream).await;
        cutter.cut().await;
        cutter.heal().await;
    }
    ask(&mut connect(&cutter).await, "after", "after").await;
}

#[tokio::test]
async fn a_stalled_wire_keeps_connections_and_what_was_said() {
    let mut echo = Echo::start("").await;
    let cutter = WireCutter::start(echo.address).await;
    let mut old = connect(&cutter).await;
    ask(&mut old, "before", "before").await;
    echo.next().await;
    cutter.stall().await;
    say(&mut old, "held").await;
    cutter.until_held().await;
    let mut new = connect(&cutter).await;
    say(&mut new, "too").await;
    is_silent(&mut old).await;
    is_silent(&mut new).await;
    assert!(echo.got.try_recv().is_err(), "something passed");
    assert_eq!(cutter.connections(), 2);
    cutter.heal().await;
    hear(&mut old, "held").await;
    hear(&mut new, "too").await;
}

#[tokio::test]
async fn a_stalled_wire_does_not_tell_that_the_server_is_gone() {
    let echo = Echo::start("").await;
    let cutter = WireCutter::start(echo.address).await;
    let behind = WireCutter::start(cutter.address()).await;
    let mut stream = connect(&behind).await;
    ask(&mut stream, "before", "before").await;
    behind.stall().await;
    cutter.cut().await;
    is_silent(&mut stream).await;
    behind.heal().await;
    is_closed(&mut stream).await;
}

#[tokio::test]
async fn answers_alone_are_held_back() {
    let mut echo = Echo::start("").await;
    let cutter = WireCutter::start(echo.address).await;
    let mut stream = connect(&cutter).await;
    cutter.stall_answers().await;
    say(&mut stream, "received").await;
    assert_eq!(echo.next().await, "received");
    cutter.until_held().await;
    is_silent(&mut stream).await;
    cutter.drop_connections().await;
    is_closed(&mut stream).await;
    assert_eq!(cutter.connections(), 0);
    cutter.heal().await;
    ask(&mut connect(&cutter).await, "again", "again").await;
}

#[tokio::test]
async fn a_word_can_stall_the_answers_or_the_requests() {
    let mut echo = Echo::start("").await;
    let cutter = WireCutter::start(echo.address).await;
    cutter.stall_answers_after("COMMIT").await;
    let mut stream = connect(&cutter).await;
    ask(&mut stream, "BEGIN", "BEGIN").await;
    ask(&mut stream, "COM", "COM").await;
    assert_eq!((echo.next().await, echo.next().await), ("BEGIN".to_owned(), "COM".to_owned()));
    say(&mut stream, "MIT;").await;
    assert_eq!(echo.next().await, "MIT;");
    cutter.until_held().await;
    is_silent(&mut stream).await;
    cutter.heal().await;
    hear(&mut stream, "MIT;").await;

    cutter.stall_before("COMMIT").await;
    ask(&mut stream, "UPDATE", "UPDATE").await;
    echo.next().await;
    say(&mut stream, "COMMIT").await;
    cutter.until_held().await;
    cutter.drop_connections().await;
    is_closed(&mut stream).await;
    assert!(echo.got.try_recv().is_err(), "something passed");
    cutter.heal().await;
    ask(&mut connect(&cutter).await, "COMMIT", "COMMIT").await;
}

#[tokio::test]
async fn a_slow_wire_takes_its_time_each_way() {
    let echo = Echo::start("").await;
    let cutter = WireCutter::start(echo.address).await;
    let mut stream = connect(&cutter).await;
    let delay = Duration::from_millis(40);
    cutter.slow(delay).await;
    let begun = Instant::now();
    ask(&mut stream, "slowly", "slowly").await;
    assert!(begun.elapsed() >= delay * 2, "{:?}", begun.elapsed());
    // Slow enough to fail the test if it stayed so: healing counts for what is under way, too.
    cutter.slow(PATIENCE * 2).await;
    say(&mut stream, "at once").await;
    is_silent(&mut stream).await;
    cutter.heal().await;
    hear(&mut stream, "at once").await;
}

#[tokio::test]
async fn connections_can_be_dropped_and_led_elsewhere() {
    let (first, second) = (Echo::start("1:").await, Echo::start("2:").await);
    let cutter = WireCutter::start(first.address).await;
    let mut old = connect(&cutter).await;
    ask(&mut old, "a", "1:a").await;
    cutter.retarget(second.address).await;
    ask(&mut old, "b", "1:b").await;
    let mut new = connect(&cutter).await;
    ask(&mut new, "c", "2:c").await;
    cutter.drop_connections().await;
    assert_eq!(cutter.connections(), 0);
    is_closed(&mut old).await;
    is_closed(&mut new).await;
    ask(&mut connect(&cutter).await, "d", "2:d").await;
}

#[tokio::test]
async fn a_connection_is_closed_if_the_upstream_does_not_listen() {
    let echo = Echo::start("").await;
    let gone = WireCutter::start(echo.address).await;
    gone.cut().await;
    let cutter = WireCutter::start(gone.address()).await;
    is_closed(&mut connect(&cutter).await).await;
    cutter.until_connections(|open| open == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_passes_once_stall_has_returned_however_much_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cutter = WireCutter::start(listener.local_addr().unwrap()).await;
    for _ in 0..30 {
        let mut caller = connect(&cutter).await;
        let (mut server, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        let stalled = Arc::new(AtomicBool::new(false));
        let is_late = stalled.clone();
        let talking = tokio::spawn(async move {
            loop {
                let word = if is_late.load(Ordering::SeqCst) { b"late" } else { b"word" };
                if caller.write_all(word).await.is_err() {
                    return;
                }
            }
        });
        timeout(PATIENCE, server.read_exact(&mut [0; 4_096])).await.unwrap().unwrap();
        cutter.stall().await;
        stalled.store(true, Ordering::SeqCst);
        cutter.until_held().await;
        cutter.drop_connections().await;
        let mut answer = Vec::new();
        // It may end with a reset, as what was held is thrown away.
        drop(timeout(PATIENCE, server.read_to_end(&mut answer)).await.unwrap());
        assert!(memchr::memmem::find(&answer, b"late").is_none(), "something passed");
        timeout(PATIENCE, talking).await.unwrap().unwrap();
        cutter.heal().await;
    }
}
