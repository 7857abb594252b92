//! The places of a user over all rooms, as another device of the user reads them.

use onsale_testing::{Sale, iso};
use serde_json::{Value, json};

use crate::support::room::{configure, place, room, token};
use crate::support::{audit, start, text, until};

async fn places(sale: &Sale, user: &str) -> Vec<Value> {
    sale.caller.get(&format!("/users/{user}/queue-tokens")).expect(200).await.as_array().unwrap().clone()
}

/// The concert and the status of each place.
fn standing(places: &[Value]) -> Vec<(String, String)> {
    places.iter().map(|place| (text(&place["concertId"]), text(&place["status"]))).collect()
}

async fn until_standing(sale: &Sale, user: &str, expected: &[(&str, &str)]) -> Vec<Value> {
    until(&format!("the places of {user}"), async || {
        let found = places(sale, user).await;
        let shown = standing(&found);
        let same =
            shown.iter().map(|(concert, status)| (concert.as_str(), status.as_str())).eq(expected.iter().copied());
        same.then_some(found)
    })
    .await
}

#[tokio::test]
async fn another_device_goes_on_with_each_place() {
    let sale = start(&[]).await;
    assert!(places(&sale, "ada").await.is_empty());
    let (open, paused) = (sale.concert(&room(1)).await, sale.concert(&room(10)).await);
    for concert in [&open, &paused] {
        sale.performance(concert, &Value::Null).await;
    }
    configure(&sale, &paused, &json!({"paused": true})).await;
    let active = sale.active(&open, "ada").await;
    let waiting = sale.enter(&paused, "ada").await;
    sale.enter(&open, "bob").await;

    let found = until_standing(&sale, "ada", &[(paused.as_str(), "WAITING"), (open.as_str(), "ACTIVE")]).await;
    assert_eq!((&found[0]["token"], &found[0]["position"]), (&waiting["token"], &json!(1)));
    assert_eq!(found[1]["token"], json!(active));
    for shown in &found {
        assert_eq!(shown["userId"], "ada");
        let same = place(&sale, &token(shown)).await;
        for member in ["tokenId", "concertId", "status", "position", "issuedAt"] {
            assert_eq!(shown[member], same[member], "{member}");
        }
    }
    let bob = until_standing(&sale, "bob", &[(open.as_str(), "WAITING")]).await;
    assert_eq!(bob[0]["position"], json!(1));

    // What is over is not listed, and a new place is.
    sale.caller.delete("/queue/token").token(&active).expect(204).await;
    until_standing(&sale, "ada", &[(paused.as_str(), "WAITING")]).await;
    sale.caller.delete("/queue/token").token(&token(&waiting)).expect(204).await;
    until_standing(&sale, "ada", &[]).await;
    let again = sale.enter(&paused, "ada").await;
    assert_ne!(again["tokenId"], waiting["tokenId"]);
    let found = until_standing(&sale, "ada", &[(paused.as_str(), "WAITING")]).await;
    assert_eq!(found[0]["token"], again["token"]);
    audit(&sale).await;
}

/// The text of an entry of a draw stays what it is, before the draw and after it.
#[tokio::test]
async fn a_place_of_a_draw_is_listed_with_its_own_token() {
    let sale = start(&[]).await;
    let mut settings = room(1);
    (settings["earlyFrom"], settings["order"], settings["drawAt"]) =
        (json!(iso(-3_600)), json!("draw"), json!(iso(12)));
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(16), "queue": settings});
    let made = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
    let concert = text(&made["concertId"]);
    sale.performance(&concert, &Value::Null).await;
    let entered = [sale.enter(&concert, "ada").await, sale.enter(&concert, "bob").await];
    for place in &entered {
        let user = text(&place["userId"]);
        let found = until_standing(&sale, &user, &[(concert.as_str(), "EARLY")]).await;
        assert_eq!((&found[0]["token"], &found[0]["position"]), (&place["token"], &Value::Null));
    }
    // The user who was drawn first has the turn, and the other one waits.
    let statuses = until("the first is admitted", async || {
        let mut statuses = Vec::new();
        for place in &entered {
            let found = places(&sale, &text(&place["userId"])).await;
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0]["token"], place["token"], "before, during and after the draw");
            statuses.push(text(&found[0]["status"]));
        }
        statuses.sort();
        (statuses == ["ACTIVE", "WAITING"]).then_some(statuses)
    })
    .await;
    assert_eq!(statuses.len(), 2);
    audit(&sale).await;
}

#[tokio::test]
async fn the_list_takes_no_parameters_and_only_ids_of_users() {
    let sale = start(&[]).await;
    sale.caller.get("/users/no%20user/queue-tokens").refused(422, "invalid-request").await;
    sale.caller.get("/users/ada/queue-tokens?limit=9").refused(422, "invalid-request").await;
}
