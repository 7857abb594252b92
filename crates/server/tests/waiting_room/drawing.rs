//! A draw over HTTP: what is published, who verifies it, and who is admitted first.

use axum::http::Method;
use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::support::room::{admitted_at, queue, room, token};
use crate::support::{ONSALE, audit, millis, start, text, until};

/// The instant this many seconds from now, as answers show it.
fn iso(seconds_from_now: i64) -> String {
    onsale_testing::iso(seconds_from_now).replace('Z', ".000Z")
}

/// A concert that users enter since an hour ago, whose list closes and which opens this many seconds from now.
async fn drawn(sale: &Sale, draws: i64, opens: i64, max_active: u32) -> Value {
    let mut settings = room(max_active);
    (settings["earlyFrom"], settings["order"], settings["drawAt"]) =
        (json!(iso(-3_600)), json!("draw"), json!(iso(draws)));
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(opens), "queue": settings});
    sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await
}

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
}

async fn draw(sale: &Sale, concert: &str) -> Value {
    sale.caller.get(&format!("/concerts/{concert}/draw")).expect(200).await
}

/// The draw, once it has come this far.
async fn until_state(sale: &Sale, concert: &str, state: &str) -> Value {
    until(state, async || Some(draw(sale, concert).await).filter(|draw| draw["state"] == state)).await
}

fn configure(sale: &Sale, concert: &str, settings: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}/queue"))).json(settings)
}

fn put_beacon(sale: &Sale, concert: &str, value: &str) -> Call {
    let put = sale.caller.call(Method::PUT, &format!("/admin/concerts/{concert}/draw/beacon"));
    sale.admin(put).json(&json!({"value": value}))
}

/// Runs `onsale verify-draw` on the address of a draw.
async fn verify(sale: &Sale, concert: &str) -> (i32, String) {
    let address = format!("{}/concerts/{concert}/draw", sale.instance.base());
    let run = Sale::launch(ONSALE).run(&["verify-draw", &address]).await;
    (run.status.code().unwrap(), String::from_utf8_lossy(&[&run.stdout[..], &run.stderr].concat()).into_owned())
}

#[tokio::test]
async fn places_are_drawn_verified_and_admitted_in_that_order() {
    let sale = start(&[]).await;
    let made = drawn(&sale, 9, 16, 2).await;
    let concert = text(&made["concertId"]);
    assert_eq!((&made["order"], &made["earlyFrom"].is_string()), (&json!("draw"), &true), "{made}");
    let before = draw(&sale, &concert).await;
    assert_eq!(
        (&before["state"], &before["seed"], &before["entries"]),
        (&json!("committed"), &Value::Null, &Value::Null)
    );
    let entries = format!("/concerts/{concert}/draw/entries");
    sale.caller.get(&entries).refused(409, "draw-not-closed").await;
    let mut tokens = Vec::new();
    for user in ["ada", "bob", "cid", "dan", "eve"] {
        let place = enter(&sale, &concert, user).expect(201).await;
        assert_eq!((&place["status"], &place["position"]), (&json!("EARLY"), &Value::Null), "{place}");
        assert!(place["estimatedWaitSeconds"].is_null() && place["pollAfterSeconds"].is_u64(), "{place}");
        assert_eq!(place["drawAt"], made["drawAt"]);
        tokens.push(place);
    }
    let again = enter(&sale, &concert, "bob").expect(200).await;
    assert_eq!(again["token"], tokens[1]["token"]);
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&token(&tokens[1]));
    let refused = dates.refused(403, "queue-token-waiting").await;
    assert_eq!((refused.get("position"), &refused["opensAt"]), (Some(&Value::Null), &made["opensAt"]));
    sale.caller.delete("/queue/token").token(&token(&tokens[4])).expect(204).await;

    let closed =
        until("a draw", async || Some(draw(&sale, &concert).await).filter(|draw| draw["state"] == "drawn")).await;
    assert_eq!((&closed["entries"], &closed["commitment"]), (&json!(4), &before["commitment"]));
    assert!(closed["seed"].is_string() && closed["entriesHash"].is_string(), "{closed}");
    let (code, said) = verify(&sale, &concert).await;
    assert_eq!(code, 0, "{said}");
    let later = sale.caller.patch(&format!("/admin/concerts/{concert}")).json(&json!({"opensAt": iso(3_600)}));
    sale.admin(later).refused(409, "sale-drawn").await;
    // Each place is shown before the opening, and the token stays the same.
    let mut order = Vec::new();
    for place in &tokens[..4] {
        let id = text(&place["tokenId"]);
        let entry = sale.caller.get(&format!("{entries}?tokenId={id}")).expect(200).await;
        let own = token(place);
        let shown = sale.until(&own, |place| place["position"] == entry["place"]).await;
        assert_eq!(shown["token"], place["token"]);
        order.push((entry["place"].as_u64().unwrap(), own));
    }
    order.sort_unstable();
    assert_eq!(order.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let late = enter(&sale, &concert, "late").expect(201).await;
    assert_eq!(late["position"], 5, "behind the list: {late}");
    // The user of an entry finds it again, also after the draw.
    assert_eq!(enter(&sale, &concert, "bob").expect(200).await["token"], tokens[1]["token"]);

    for (_, own) in &order[..2] {
        let place = sale.until_status(own, "ACTIVE").await;
        assert!(admitted_at(&place, 3_600) >= millis(&made["opensAt"]), "{place}");
    }
    for (index, (_, own)) in order[2..].iter().enumerate() {
        let waiting = sale.until_status(own, "WAITING").await;
        assert_eq!(waiting["position"], index + 1, "{waiting}");
    }
    // The drawn place of a user who leaves is passed over.
    sale.caller.delete("/queue/token").token(&order[2].1).expect(204).await;
    sale.caller.delete("/queue/token").token(&order[0].1).expect(204).await;
    sale.until_status(&order[3].1, "ACTIVE").await;
    audit(&sale).await;
}

#[tokio::test]
async fn a_beacon_is_waited_for() {
    let sale = start(&[]).await;
    let made = drawn(&sale, 6, 40, 5).await;
    let concert = text(&made["concertId"]);
    put_beacon(&sale, &concert, "6").refused(409, "draw-not-closed").await;
    let beacon = json!({"beaconName": "drand quicknet round 34400000", "beaconAt": iso(30)});
    configure(&sale, &concert, &beacon).expect(200).await;
    let named = draw(&sale, &concert).await;
    assert_eq!(named["beaconName"], beacon["beaconName"]);
    assert_eq!(named["changes"].as_array().unwrap().len(), 2, "{named}");
    let ada = token(&enter(&sale, &concert, "ada").expect(201).await);
    configure(&sale, &concert, &json!({"beaconName": "another"})).refused(409, "room-in-use").await;
    configure(&sale, &concert, &json!({"order": "arrival"})).refused(409, "room-in-use").await;
    let waits = until_state(&sale, &concert, "awaiting-beacon").await;
    assert_eq!((&waits["seed"], &waits["beacon"]), (&Value::Null, &Value::Null));
    assert_eq!(verify(&sale, &concert).await.0, 2, "there is nothing to verify yet");
    assert_eq!(sale.until_status(&ada, "EARLY").await["position"], Value::Null);
    put_beacon(&sale, &concert, "3439d9").expect(200).await;
    put_beacon(&sale, &concert, "3439d9").expect(200).await;
    put_beacon(&sale, &concert, "other").refused(409, "beacon-set").await;
    let drawn = until_state(&sale, &concert, "drawn").await;
    assert_eq!((&drawn["beacon"], &drawn["entries"]), (&json!("3439d9"), &json!(1)));
    let (code, said) = verify(&sale, &concert).await;
    assert!(code == 0 && said.contains("drand quicknet"), "{said}");
    sale.until(&ada, |place| place["position"] == 1).await;
    audit(&sale).await;
}

#[tokio::test]
async fn a_draw_needs_its_instants() {
    let sale = start(&[]).await;
    let create = |queue: Value, opens_at: Value| {
        let body = json!({"title": "Gala", "venue": "Hall", "opensAt": opens_at, "queue": queue});
        sale.admin(sale.caller.post("/admin/concerts")).json(&body)
    };
    for (queue, opens_at, field) in [
        (json!({"order": "draw"}), json!(iso(60)), "queue.order"),
        (json!({"order": "draw", "earlyFrom": iso(10), "drawAt": iso(70)}), json!(iso(60)), "queue.drawAt"),
        (json!({"order": "draw", "earlyFrom": iso(10), "drawAt": iso(5)}), json!(iso(60)), "queue.drawAt"),
        (json!({"earlyFrom": iso(10), "drawAt": iso(20)}), json!(iso(60)), "queue.drawAt"),
        (json!({"order": "lots"}), json!(iso(60)), "queue.order"),
    ] {
        let refused = create(queue, opens_at).refused(422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field);
    }
    let paused = create(json!({"paused": true}), Value::Null).expect(201).await;
    assert_eq!(queue(&sale, &text(&paused["concertId"])).await["paused"], true);
    let plain = create(json!({}), Value::Null).expect(201).await;
    let concert = text(&plain["concertId"]);
    assert_eq!((&plain["order"], &plain["drawAt"]), (&json!("arrival"), &Value::Null));
    sale.caller.get(&format!("/concerts/{concert}/draw")).refused(404, "not-found").await;
    // A minute before the opening, but not before the middle of the early period.
    let usual = create(json!({"order": "draw", "earlyFrom": iso(0)}), json!(iso(600))).expect(201).await;
    assert_eq!(millis(&usual["opensAt"]) - millis(&usual["drawAt"]), 60_000);
    let short = create(json!({"order": "draw", "earlyFrom": iso(0)}), json!(iso(60))).expect(201).await;
    assert_eq!(millis(&short["opensAt"]) - millis(&short["drawAt"]), 30_000);
}
