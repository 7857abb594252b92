//! From an empty database to a paid seat.

mod support;

use onsale_testing::Sale;
use serde_json::json;
use support::{ONSALE, until};

#[tokio::test]
async fn a_visitor_gets_from_a_token_to_a_paid_seat() {
    let sale = Sale::start(&Sale::launch(ONSALE)).await;
    let concert = sale.concert(&json!({})).await;
    let performance = sale.performance(&concert, &json!(null)).await;

    let place = sale.enter(&concert, "ada").await;
    assert_eq!(place["status"], "ACTIVE", "an empty room admits at once");
    let token = place["token"].as_str().unwrap();

    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(token).expect(200).await;
    assert_eq!((&dates[0]["performanceId"], &dates[0]["remaining"]), (&json!(performance), &json!(50)));
    let date = dates[0]["date"].as_str().unwrap();
    let seats = format!("/concerts/{concert}/seats?date={date}");
    let shown = sale.caller.get(&seats).token(token).expect(200).await;
    assert_eq!(shown["performances"][0]["seats"].as_array().unwrap().len(), 50);

    let held = sale.caller.post("/reservations").token(token).json(&json!({"date": date, "seats": [7, 8]}));
    let held = held.expect(201).await;
    assert_eq!((&held["status"], &held["amount"], &held["date"]), (&json!("HELD"), &json!(100_000), &json!(date)));
    // What is cached may lag by 3 s.
    until("the hold is shown", async || {
        let shown = sale.caller.get(&seats).token(token).expect(200).await["performances"][0].clone();
        (shown["seats"][6]["status"] == "HELD" && shown["remaining"] == 48).then_some(())
    })
    .await;

    sale.pay(token, &held).refused(409, "insufficient-balance").await;
    sale.charge("ada", 150_000).await;
    let paid = sale.pay(token, &held).expect(201).await;
    assert_eq!((&paid["amount"], &paid["balance"], &paid["seats"]), (&json!(100_000), &json!(50_000), &json!([7, 8])));

    let place = sale.caller.get("/queue/token").token(token).expect(200).await;
    assert_eq!(place["status"], "EXPIRED", "payment ends the token");
    let reservation = held["reservationId"].as_str().unwrap();
    let reservation = sale.caller.get(&format!("/reservations/{reservation}")).expect(200).await;
    assert_eq!(reservation["status"], "PAID");
    let history = sale.caller.get("/point/ada/histories").expect(200).await;
    assert_eq!(history[0]["reference"], paid["paymentId"]);
    assert_eq!(history[0]["balanceAfter"], 50_000);

    let audit = Sale::launch(ONSALE).command(&["audit"]).current_dir(sale.instance.folder()).output().await.unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    assert!(sale.instance.terminate().await.success());
}
