//! An asynchronous standby takes over while events of the primary, of which it knows nothing, are being sent.

use axum::http::StatusCode;
use onsale_testing::postgres::Setup;
use onsale_testing::{WireCutter, without};

use crate::platform::Platform;
use crate::scene::Evening;
use crate::support::{ONSALE, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_sent_from_a_lost_history_move_no_mark() {
    if without("postgres") {
        return;
    }
    let platform = Platform::start().await;
    let primary = Setup::unsynced().start().await;
    let standby = primary.standby("heir").await;
    let database = primary.migrated(ONSALE).await;
    let wire = WireCutter::start(primary.address()).await;
    let evening = Evening::on(&database.url_at(wire.address()), &platform).await;
    let line = evening.line().await;
    evening.charge(10).await;
    evening.until_sent(&platform, 1).await;
    evening.all_arrived(&platform).await;
    standby.follow(&primary).await;

    // On the primary alone, read by the relay, and not taken yet.
    standby.kill().await;
    platform.told.lock().unwrap().down = Some((StatusCode::SERVICE_UNAVAILABLE, 0));
    evening.charge(100).await;
    let before = platform.told.lock().unwrap().posts.len();
    let is_sending = async || (platform.told.lock().unwrap().posts.len() > before).then_some(());
    until("the relay sends what the standby does not know", is_sending).await;
    primary.kill().await;
    standby.restart().await;
    standby.promote().await;
    wire.retarget(standby.address()).await;

    // Other events, at the same positions.
    let charge = async || {
        let body = serde_json::json!({"amount": 1_000});
        let reply = evening.sale.caller.patch("/point/user-0/charge").json(&body).key("once").send().await;
        (reply.status == 200).then(|| reply.json())
    };
    let charged = until("the standby takes writes", charge).await;
    assert_eq!(charged["balance"], 1_010, "the standby knew of the first charge alone");
    platform.told.lock().unwrap().down = None;
    evening.charge(10_000).await;
    evening.all_arrived(&platform).await;
    evening.keeps(&line).await;
    evening.audit().await;
}
