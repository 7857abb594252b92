//! A database that stalls: what waits is bounded, the rest is refused at once, and what needs no write goes on.

use std::time::{Duration, Instant};

use onsale_testing::{Faults, Sale, allow_open_files};
use serde_json::json;

use super::support::flood::{REQUESTS_MAX, flood};
use super::support::{ONSALE, until};
use super::{ANSWER_MAX, assert_served};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_commands_are_bounded_and_polls_are_answered() {
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
