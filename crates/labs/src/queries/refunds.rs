//! Refunds in the rush: seats that were paid are given back by the buyer and by staff, and what was given back is read. In the
//! end the performance is cancelled.

use onsale_testing::Sale;
use serde_json::{Value, json};

/// A payment of two seats, each refunded in one of the two ways, and a wallet that is corrected.
pub(crate) async fn all(sale: &Sale) {
    let concert = sale.concert(&json!({})).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 10}]});
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&policy).expect(200).await;
    sale.charge("jon", 1_000_000).await;
    let token = sale.active(&concert, "jon").await;
    let held = sale.hold(&token, &performance, &[1, 2]).await;
    let paid = sale.pay(&token, &held).expect(201).await;
    super::office::lists(sale, &performance, "jon").await;
    let payment = format!("payments/{}", paid["paymentId"].as_str().unwrap_or_default());
    super::tickets::all(sale, &performance, &payment).await;
    sale.caller.post(&format!("/{payment}/refunds")).json(&json!({"seats": [1]})).expect(201).await;
    let by_staff = sale.caller.post(&format!("/admin/{payment}/refunds")).json(&json!({"reason": "moved"}));
    sale.admin(by_staff).expect(201).await;
    let adjust = sale.caller.post("/admin/point/jon/adjustments").json(&json!({"amount": 1, "reason": "late"}));
    sale.admin(adjust).expect(201).await;
    let performances = format!("/admin/performances/{performance}");
    for what in ["blocks", "unblocks"] {
        let change = sale.caller.post(&format!("{performances}/{what}"));
        sale.admin(change).json(&json!({"seats": [40, 41], "reason": "a camera"})).expect(200).await;
    }
    let prices = json!({"prices": [{"grade": "R", "price": 60_000}]});
    sale.admin(sale.caller.patch(&performances)).json(&prices).expect(200).await;
    for path in [performances.clone(), format!("{performances}/seats")] {
        sale.admin(sale.caller.get(&path)).expect(200).await;
    }
    for path in [format!("/{payment}"), format!("/{payment}/refunds"), "/users/jon/payments".to_owned()] {
        sale.caller.get(&path).expect(200).await;
    }
    sale.admin(sale.caller.get(&format!("/admin/performances/{performance}/refunds"))).expect(200).await;
    layout(sale, &concert).await;
    let path = format!("/admin/performances/{performance}");
    let cancel = sale.caller.post(&format!("{path}/cancel")).json(&json!({"reason": "the singer is ill"}));
    sale.admin(cancel).expect(202).await;
    for path in [format!("{path}/cancellation"), format!("{path}/cancellation/failed")] {
        sale.admin(sale.caller.get(&path)).expect(200).await;
    }
}

/// A hall with a layout, whose best seats are taken, and one more row.
async fn layout(sale: &Sale, concert: &str) {
    let sections = json!([{"name": "A", "rows": [{"row": "1", "from": 1, "to": 8}]}]);
    let body = json!({"startsAt": onsale_testing::iso(200_000), "sections": sections});
    let made = sale.admin(sale.caller.post(&format!("/admin/concerts/{concert}/performances"))).json(&body);
    let made = made.expect(201).await;
    let performance = made["performanceId"].as_str().unwrap_or_default();
    let token = sale.active(concert, "kim").await;
    let best = json!({"performanceId": performance, "any": {"count": 2, "section": "A"}});
    sale.caller.post("/reservations").token(&token).json(&best).expect(201).await;
    let row = json!({"seats": [{"from": 11, "to": 14, "section": "A", "row": "2"}]});
    sale.admin(sale.caller.post(&format!("/admin/performances/{performance}/seats"))).json(&row).expect(201).await;
    let sections = format!("/concerts/{concert}/sections?performanceId={performance}");
    sale.caller.get(&sections).token(&token).expect(200).await;
}
