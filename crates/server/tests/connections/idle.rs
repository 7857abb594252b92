//! Idle connections: how long they are kept, and what arrives at their end.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use onsale_testing::WireCutter;

use crate::client::{Client, address, get};
use crate::support::start;

/// A connection is open at least this long with a limit of one second: after the limit the server waits for two seconds
/// whether a request was on its way. The last half second is for that request.
const OPEN_FOR: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn an_idle_connection_is_closed_after_idle_seconds() {
    let sale = start(&[("ONSALE_IDLE_SECONDS", "6")]).await;
    let mut client = Client::connect(address(sale.instance.base())).await;
    // Longer than the limit in sum, with half of it left each time.
    for _ in 0..3 {
        assert_eq!(client.ask(&get("/healthz")).await.header("connection"), None);
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let since = Instant::now();
    assert_eq!(client.ask(&get("/healthz")).await.status, 200, "no time passed that was long enough");
    client.closed().await;
    assert!(since.elapsed() >= Duration::from_secs(6), "not after {:?}", since.elapsed());
}

#[tokio::test]
async fn the_default_of_idle_seconds_is_longer_than_that_of_proxies() {
    let run = onsale_testing::Launch::new(crate::support::ONSALE).run(&["serve", "--help"]).await;
    let help = String::from_utf8(run.stdout).unwrap();
    assert!(help.contains("[ONSALE_IDLE_SECONDS] [default: 75]"), "{help}");
    assert!(help.contains("[ONSALE_DRAIN_SECONDS] [default: 0]"), "{help}");
}

#[tokio::test]
async fn a_request_in_flight_at_the_idle_limit_is_answered() {
    let sale = start(&[("ONSALE_IDLE_SECONDS", "1")]).await;
    let wire = WireCutter::start(address(sale.instance.base())).await;
    wire.slow(Duration::from_millis(5)).await;
    let at = wire.address();
    // From a little before the limit to a little after it.
    let clients = join_all((0..100).map(|number| async move {
        let mut client = Client::connect(at).await;
        let since = Instant::now();
        client.ask(&get("/healthz")).await;
        tokio::time::sleep(Duration::from_millis(900 + 5 * number)).await;
        let was_open = !client.is_closed().await;
        if since.elapsed() > OPEN_FOR {
            // A slow machine woke this client too late.
            return None;
        }
        let answered = client.send(&get("/healthz")).await.is_ok() && {
            let reply = client.reply().await;
            reply.is_ok_and(|reply| reply.is_some_and(|reply| reply.status == 200))
        };
        Some(was_open && answered)
    }))
    .await;
    let sent: Vec<bool> = clients.into_iter().flatten().collect();
    assert!(sent.iter().all(|answered| *answered), "{sent:?}");
}
