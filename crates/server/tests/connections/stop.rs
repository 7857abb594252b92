//! SIGTERM: what is in flight is answered, idle connections do not hold the exit up.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use onsale_testing::{Signal, WireCutter};

use crate::client::{Client, address, get, send};
use crate::support::start;

/// Only idle connections: 2 seconds in which they are still served, 1 second to end them, and the machine's share.
const EXIT_MAX: Duration = Duration::from_secs(6);

#[tokio::test]
async fn requests_in_flight_at_sigterm_are_answered() {
    let sale = start(&[]).await;
    let wire = WireCutter::start(address(sale.instance.base())).await;
    wire.slow(Duration::from_millis(5)).await;
    let at = wire.address();
    let calling = join_all((0..100).map(|number| async move {
        let mut client = Client::connect(at).await;
        let mut answered = 0;
        loop {
            let charge = send("PATCH", &format!("/point/user-{number}/charge"), "", r#"{"amount": 1}"#);
            if let Err(error) = client.send(&charge).await {
                return Err(format!("{number}: after {answered}: not sent: {error}"));
            }
            match client.reply().await {
                Ok(Some(reply)) => {
                    assert_eq!(reply.status, 200);
                    answered += 1;
                    if reply.header("connection") == Some("close") {
                        client.closed().await;
                        return Ok(answered);
                    }
                }
                other => return Err(format!("{number}: after {answered}: {other:?}")),
            }
            tokio::time::sleep(Duration::from_millis(number % 10)).await;
        }
    }));
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        sale.instance.signal(Signal::TERM);
    };
    let (called, ()) = tokio::join!(calling, stopping);
    let lost: Vec<_> = called.iter().filter_map(|called| called.as_ref().err()).collect();
    assert!(lost.is_empty(), "{} of 100 requests got no answer: {lost:?}", lost.len());
    assert!(called.iter().any(|called| *called.as_ref().unwrap() > 1), "connections were in use by then");
    assert!(sale.instance.ended().await.success());
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_exit_up() {
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
async fn a_signal_right_after_the_first_line_is_a_clean_stop() {
    for signal in [Signal::TERM, Signal::INT] {
        let instance = onsale_testing::Launch::new(crate::support::ONSALE).start().await;
        instance.signal(signal);
        let status = instance.ended().await;
        assert!(status.success(), "{status}");
    }
}
