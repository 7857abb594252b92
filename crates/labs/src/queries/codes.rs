//! Presale codes in the rush: made, used to enter and to hold, used up, listed and deleted.

use onsale_testing::{Sale, iso};
use serde_json::{Value, json};

/// A code with one use: the second hold drops the use of the first one, which was given back.
pub(crate) async fn all(sale: &Sale) {
    let concert = sale.concert(&json!({})).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let path = format!("/admin/concerts/{concert}");
    sale.admin(sale.caller.patch(&path)).json(&json!({"codesUntil": iso(3_600)})).expect(200).await;
    let codes = format!("{path}/codes");
    let made = json!([{"code": "FAN", "uses": 1, "usesPerUser": 1}]);
    sale.admin(sale.caller.post(&codes)).json(&made).expect(201).await;
    let enter = json!({"userId": "fan", "concertId": concert, "code": "FAN"});
    let place = sale.caller.post("/queue/tokens").json(&enter).expect(201).await;
    let token = place["token"].as_str().unwrap_or_default();
    sale.until_status(token, "ACTIVE").await;
    let hold = json!({"performanceId": performance, "seats": [1], "code": "FAN"});
    for _ in 0..2 {
        let held = sale.caller.post("/reservations").token(token).json(&hold).expect(201).await;
        let held = format!("/reservations/{}", held["reservationId"].as_str().unwrap_or_default());
        sale.caller.delete(&held).token(token).expect(204).await;
    }
    sale.admin(sale.caller.get(&codes)).expect(200).await;
    sale.admin(sale.caller.delete(&format!("{codes}/FAN"))).expect(204).await;
}
