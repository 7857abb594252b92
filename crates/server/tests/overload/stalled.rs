//! A database that stalls: what waits is bounded, the rest is refused at once, and what needs no write goes on.

use std::time::{Duration, Instant};

use onsale_testing::{Caller, Faults, Sale, allow_open_files};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::support::raw::{connect, request};
use super::support::{ONSALE, until};
use super::{ANSWER_MAX, assert_served};

/// More requests than may wait, with those that are decided together.
const REQUESTS_MAX: usize = 12_000;

async fn shed(metrics: &Caller) -> u64 {
    let text = String::from_utf8(metrics.get("/metrics").send().await.body.to_vec()).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("onsale_desk_shed_total "));
    count.unwrap().parse().unwrap()
}

/// Sends charges that nobody waits for, until the first is refused. The connections stay open.
async fn flood(sale: &Sale) -> Vec<TcpStream> {
    let metrics = Caller::new(sale.instance.base());
    let mut streams = Vec::new();
    while shed(&metrics).await == 0 {
        assert!(streams.len() < REQUESTS_MAX, "whatever comes is taken in");
        for number in 0..250 {
            let line = format!("PATCH /point/user-{}/charge", number % 50);
            let mut stream = connect(sale.instance.base()).await;
            let bytes = request(line.as_bytes(), &[b"content-type: application/json"], br#"{"amount":1}"#);
            stream.write_all(&bytes).await.unwrap();
            streams.push(stream);
        }
    }
    streams
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_bounded_and_polls_go_on() {
    allow_open_files(REQUESTS_MAX as u64 + 1_000);
    let (faults, launch) = Faults::under(Sale::launch(ONSALE));
    let sale = Sale::start(&launch).await;
    let concert = sale.concert(&json!({})).await;
    let performance = sale.performance(&concert, &json!(null)).await;
    let token = sale.active(&concert, "ada").await;
    assert_served(&sale, &token).await;
    faults.stall_syncs();
    let waiting = flood(&sale).await;
    assert!(faults.syncs_held() > 0, "the database stalls");

    for round in 0..20 {
        let began = Instant::now();
        let charge = sale.caller.patch("/point/late/charge").json(&json!({"amount": 1}));
        charge.key(&format!("late-{round}")).refused(503, "overloaded").await;
        let hold = json!({"performanceId": performance, "seats": [1]});
        sale.caller.post("/reservations").token(&token).json(&hold).refused(503, "overloaded").await;
        assert!(began.elapsed() < Duration::from_secs(5), "at once, not after {:?}", began.elapsed());
        let began = Instant::now();
        let place = sale.caller.get("/queue/token").token(&token).expect(200).await;
        assert_eq!(place["status"], "ACTIVE");
        sale.caller.get(&format!("/concerts/{concert}/dates")).token(&token).expect(200).await;
        sale.caller.get("/concerts").expect(200).await;
        sale.caller.get("/point/late").expect(200).await;
        sale.caller.get("/healthz").expect(200).await;
        assert!(began.elapsed() < ANSWER_MAX, "polls go on, not after {:?}", began.elapsed());
    }
    faults.mend();
    let charge = || sale.caller.patch("/point/late/charge").json(&json!({"amount": 1})).key("late-0");
    let charged = async || {
        let reply = charge().send().await;
        (reply.status != 503).then(|| reply.expect(200))
    };
    let charged = until("the server takes work again", charged).await;
    assert_eq!(charged["balance"], 1, "what was refused was not done, and its key may be used");
    assert!(charge().send().await.header("idempotency-replayed").is_some());
    drop(waiting);
    assert_served(&sale, &token).await;
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    assert!(sale.instance.terminate().await.success());
}
