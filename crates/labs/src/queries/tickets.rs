//! Tickets and the door: a ticket is replaced, scanned twice, checked out, and listed.

use onsale_testing::Sale;
use serde_json::{Value, json};

/// What a door does with the tickets of a payment, `payments/ID`, of two seats.
pub(crate) async fn all(sale: &Sale, performance: &str, payment: &str) {
    let tickets = sale.caller.get(&format!("/{payment}/tickets")).expect(200).await;
    let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let path = format!("/{payment}/tickets/{}/reissue", id(&tickets[0]["ticketId"]));
    let new = sale.caller.post(&path).expect(201).await;
    let now = "2026-11-22T11:12:13Z";
    let scan = |ticket: &Value, scan: &str| {
        json!({"performanceId": performance, "code": ticket["code"], "device": "gate", "scanId": scan, "scannedAt": now,
            "deviceNow": now})
    };
    let scanned = sale.admin(sale.caller.post("/check-ins").json(&scan(&new, "1"))).expect(201).await;
    let again = json!({"checkIns": [scan(&new, "2"), scan(&tickets[0], "3"), scan(&tickets[1], "4")]});
    sale.admin(sale.caller.post("/check-ins/batch").json(&again)).expect(200).await;
    let undo = sale.caller.delete(&format!("/check-ins/{}", id(&scanned["checkInId"])));
    sale.admin(undo).expect(204).await;
    for path in [
        format!("/check-ins/manifest?performanceId={performance}"),
        format!("/admin/performances/{performance}/check-ins"),
        format!("/admin/performances/{performance}/check-ins?conflict=true"),
    ] {
        sale.admin(sale.caller.get(&path)).expect(200).await;
    }
    for path in ["/users/jon/tickets", "/tickets/keys"] {
        sale.caller.get(path).expect(200).await;
    }
}
