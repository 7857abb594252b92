//! SIGTERM: requests in flight are answered, idle connections do not delay the exit.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use onsale_testing::{Signal, WireCutter};
use tokio::net::TcpStream;

use crate::client::{Client, address, get, send};
use crate::support::{start, until};

/// With idle connections only: 2 s in which they are still served, and 1 s to end them. The rest is for a slow machine. The
/// connections by themselves would stay open for 75 s.
const EXIT_MAX: Duration = Duration::from_secs(3 + 27);

/// Clients that send one request after another.
const CALLING: u64 = 40;

/// Waits until a server has begun to stop: it accepts no connection any more.
async fn until_stopping(at: SocketAddr) {
    until("the listener is closed", async || TcpStream::connect(at).await.is_err().then_some(())).await;
}

#[tokio::test]
async fn requests_in_flight_at_sigterm_are_answered() {
    let sale = start(&[]).await;
    let at = address(sale.instance.base());
    let wire = WireCutter::start(at).await;
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut client = Client::connect(wire.address()).await;
        let charge = send("PATCH", &format!("/point/user-{number}/charge"), "", r#"{"amount": 1}"#);
        assert_eq!(client.ask(&charge).await.status, 200);
        clients.push((client, charge));
    }
    // They are sent before the signal, and arrive after the server has begun to stop.
    wire.stall().await;
    for (client, charge) in &mut clients {
        client.send(charge).await.unwrap();
    }
    wire.until_held().await;
    sale.instance.signal(Signal::TERM);
    until_stopping(at).await;
    wire.heal().await;
    let replies = join_all(clients.iter_mut().map(|(client, _)| client.reply())).await;
    let answered = replies.iter().flatten().flatten().filter(|reply| reply.status == 200);
    let last = answered.filter(|reply| reply.header("connection") == Some("close")).count();
    assert_eq!(last, 100, "{replies:?}");
    assert!(sale.instance.ended().await.success());
}

#[tokio::test]
async fn clients_that_keep_sending_during_a_stop_lose_no_answer() {
    let sale = start(&[]).await;
    let wire = WireCutter::start(address(sale.instance.base())).await;
    wire.slow(Duration::from_millis(5)).await;
    let at = wire.address();
    // Few enough that a slow machine serves each of them within the two seconds of a stop.
    let calling = join_all((0..CALLING).map(|number| async move {
        let mut client = Client::connect(at).await;
        for answered in 0.. {
            // A reply without the header announces that the next request is welcome.
            client.send(&get("/point/ada")).await.map_err(|error| format!("{answered}: {error}"))?;
            let reply = client.reply().await.map_err(|error| format!("{answered}: {error}"))?;
            let reply = reply.ok_or_else(|| format!("{answered}: closed"))?;
            assert_eq!(reply.status, 200);
            if reply.header("connection") == Some("close") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(number % 10)).await;
        }
        client.closed().await;
        Ok::<_, String>(())
    }));
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        sale.instance.signal(Signal::TERM);
    };
    let (called, ()) = tokio::join!(calling, stopping);
    let lost: Vec<_> = called.into_iter().filter_map(Result::err).collect();
    assert!(lost.is_empty(), "{} of {CALLING} got no answer: {lost:?}", lost.len());
    assert!(sale.instance.ended().await.success());
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_exit() {
    let sale = start(&[]).await;
    let mut clients = Vec::new();
    for number in 0..50 {
        let mut client = Client::connect(address(sale.instance.base())).await;
        if number % 2 == 0 {
            client.ask(&get("/healthz")).await;
        }
        clients.push(client);
    }
    let began = Instant::now();
    sale.instance.signal(Signal::TERM);
    until_stopping(address(sale.instance.base())).await;
    let late = clients[0].ask(&get("/healthz")).await;
    assert_eq!((late.status, late.header("connection")), (200, Some("close")));
    for client in &mut clients {
        client.closed().await;
    }
    // They keep their own sides open.
    let status = sale.instance.ended().await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < EXIT_MAX, "{:?}", began.elapsed());
    drop(clients);
}

#[tokio::test]
async fn a_signal_right_after_the_first_line_stops_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let instance = onsale_testing::Launch::new(crate::support::ONSALE).start().await;
        instance.signal(signal);
        let status = instance.ended().await;
        assert!(status.success(), "{status}");
    }
}
