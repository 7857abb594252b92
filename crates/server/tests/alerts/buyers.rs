//! Alerts for what buyers notice first: a line that stands, holds that run out, refunds that do not come, no instance that is
//! ready.

use onsale_testing::postgres::shared;
use onsale_testing::{Fault, Faults, Sale, is_shared, without};
use serde_json::json;

use crate::support::evening::Evening;
use crate::support::room::{configure, room, token};
use crate::support::{ONSALE, audit, until};
use crate::watch::{Watch, address};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_pause_fires_its_alert_and_a_close_does_not() {
    if without("prometheus") {
        return;
    }
    let sale = Sale::start(&Sale::launch(ONSALE)).await;
    let concert = sale.concert(&room(10)).await;
    configure(&sale, &concert, &json!({"paused": true})).await;
    // A minute is shortened to three seconds.
    let watch = Watch::shortened(&[address(&sale)], &[("admitted_total[1m]", "admitted_total[3s]")]).await;
    watch.is_quiet(&["LineStands"]).await;
    let ada = token(&sale.enter(&concert, "ada").await);
    watch.fires("LineStands").await;
    let close = json!({"closed": true});
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}"))).json(&close).expect(200).await;
    watch.ends("LineStands").await;
    let open = json!({"closed": false});
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}"))).json(&open).expect(200).await;
    watch.fires("LineStands").await;
    configure(&sale, &concert, &json!({"paused": false})).await;
    sale.until_status(&ada, "ACTIVE").await;
    watch.ends("LineStands").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_that_come_too_late_fire_their_alert() {
    if without("prometheus") {
        return;
    }
    let evening = Evening::start(&[("ONSALE_HOLD_SECONDS", "1")]).await;
    let watch = Watch::over(&[address(&evening.sale)]).await;
    let held = evening.hold(&evening.ada, &json!([1])).expect(201).await;
    evening.until_status(&held, "EXPIRED").await;
    watch.is_quiet(&["HoldsRunOut"]).await;
    for _ in 0..20 {
        evening.sale.pay(&evening.ada, &held).refused(410, "hold-expired").await;
    }
    watch.fires("HoldsRunOut").await;
}

/// A wallet at its bound keeps one buyer's points from coming back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_a_full_wallet_cannot_take_fires_its_alert() {
    if without("prometheus") || is_shared() {
        return;
    }
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, .. } = &evening;
    let watch = Watch::over(&[address(sale)]).await;
    sale.charge("ada", 50_000).await;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    sale.pay(ada, &held).expect(201).await;
    let adjust = async |amount: i64| {
        let call = sale.caller.post("/admin/point/ada/adjustments");
        sale.admin(call).json(&json!({"amount": amount, "reason": "won"})).expect(201).await;
    };
    adjust(1_000_000_000).await;
    watch.is_quiet(&["CancellationStuck"]).await;
    let path = format!("/admin/performances/{performance}");
    let cancel = sale.caller.post(&format!("{path}/cancel")).json(&json!({"reason": "the singer is ill"}));
    sale.admin(cancel).expect(202).await;
    watch.fires("CancellationStuck").await;
    adjust(-50_000).await;
    // The refund is tried again once a minute. It is due at once here.
    let file = rusqlite::Connection::open(sale.instance.folder().join("onsale.db")).unwrap();
    file.busy_timeout(onsale_testing::PATIENCE).unwrap();
    assert_eq!(file.execute("UPDATE cancellations SET retry_at = 0", []).unwrap(), 1);
    watch.ends("CancellationStuck").await;
    let done = sale.admin(sale.caller.get(&format!("{path}/cancellation"))).expect(200).await;
    assert_eq!((&done["state"], &done["pointsRefunded"]), (&json!("DONE"), &json!(50_000)));
    audit(sale).await;
}

/// A session that holds a buyer's wallet makes each step of the cancellation fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_whose_steps_fail_fires_its_alert() {
    if without("prometheus") || without("postgres") {
        return;
    }
    let database = shared().await.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url());
    let sale = Sale::start(&launch).await;
    // A minute is shortened to a second.
    let shortened = [("overdue_seconds) > 60", "overdue_seconds) > 1")];
    let watch = Watch::shortened(&[address(&sale)], &shortened).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &json!(null)).await;
    let ada = sale.active(&concert, "ada").await;
    sale.charge("ada", 50_000).await;
    let held = sale.hold(&ada, &performance, &[1]).await;
    sale.pay(&ada, &held).expect(201).await;
    watch.is_quiet(&["CancellationStuck"]).await;
    let foreign = database.sql().await;
    foreign.batch_execute("BEGIN; SELECT FROM accounts WHERE user_id = 'ada' FOR UPDATE").await.unwrap();
    let path = format!("/admin/performances/{performance}");
    let cancel = sale.caller.post(&format!("{path}/cancel")).json(&json!({"reason": "the singer is ill"}));
    sale.admin(cancel).expect(202).await;
    watch.fires("CancellationStuck").await;
    foreign.batch_execute("ROLLBACK").await.unwrap();
    watch.ends("CancellationStuck").await;
    until("everything is given back", async || {
        let shown = sale.admin(sale.caller.get(&format!("{path}/cancellation"))).expect(200).await;
        (shown["state"] == "DONE").then_some(())
    })
    .await;
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

/// A disk that stalls blocks the sweeper at its next write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_background_task_that_hangs_fires_its_alert() {
    if without("prometheus") {
        return;
    }
    let (faults, launch) = Faults::under(Sale::launch(ONSALE).set("ONSALE_HOLD_SECONDS", 5));
    let sale = Sale::start(&launch).await;
    let watch = Watch::shortened(&[address(&sale)], &[("following\"}[2m]", "following\"}[5s]")]).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &json!(null)).await;
    let ada = sale.active(&concert, "ada").await;
    sale.hold(&ada, &performance, &[1]).await;
    faults.stall_syncs();
    watch.fires("JobSilent").await;
    // In the first seconds a task that runs every two seconds may look silent too.
    let is_named = async || {
        let firing = watch.prometheus.firing("JobSilent").await;
        firing.iter().any(|alert| alert["labels"]["task"] == "lapsed-holds").then_some(())
    };
    until("the sweeper is named", is_named).await;
    faults.mend();
    watch.ends("JobSilent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_instance_that_is_ready_fires_its_alert() {
    if without("prometheus") {
        return;
    }
    let (faults, launch) = Faults::under(Sale::launch(ONSALE));
    let sale = Sale::start(&launch).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.is_quiet(&["AllNotReady"]).await;
    faults.fail_writes(Fault::Full);
    sale.caller.patch("/point/ada/charge").json(&json!({"amount": 7})).refused(503, "unavailable").await;
    watch.fires("AllNotReady").await;
    faults.mend();
    watch.ends("AllNotReady").await;
}
