//! Early entry at several instances: one place a user, one order, and no admission before the opening.

use onsale_testing::{Call, Sale, iso};
use serde_json::json;

use crate::many::Many;
use crate::support::room::{places_are_beside, room, token};
use crate::support::{at_once, millis, text, until};

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_enter_early_at_all_instances_and_are_admitted_in_order() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let mut settings = room(10);
    settings["earlyFrom"] = json!(iso(-60));
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(12), "queue": settings});
    let made = many.at(0).admin(many.at(0).caller.post("/admin/concerts")).json(&body).expect(201).await;
    let (concert, opens_at) = (text(&made["concertId"]), millis(&made["opensAt"]));
    // Each user enters at two instances at once, and gets one place.
    let entries = (0..40).map(|call| enter(many.at(call), &concert, &format!("u{}", call / 2)));
    let entries: Vec<Call> = entries.collect();
    let replies = at_once(entries).await;
    let mut tokens = Vec::new();
    for pair in replies.chunks(2) {
        let places = [pair[0].json(), pair[1].json()];
        assert!(places.iter().all(|place| place["status"] == "EARLY"), "{places:?}");
        assert_eq!(places[0]["token"], places[1]["token"]);
        tokens.push(token(&places[0]));
    }
    for (number, token) in tokens.iter().enumerate() {
        let is_shown = |place: &serde_json::Value| place["status"] == "ACTIVE" || place["status"] == "WAITING";
        many.at(number).until(token, is_shown).await;
    }
    let sql = many.sql().await;
    let turns = "SELECT min(turns.admitted_at), max(turns.place), (SELECT opened_at FROM rooms
            WHERE rooms.concert_id = $1::text::uuid)
        FROM turns WHERE turns.concert_id = $1::text::uuid HAVING count(*) = 10";
    let all = until("ten turns", async || sql.query_opt(turns, &[&concert]).await.unwrap()).await;
    let (first, last, opened): (i64, i64, i64) = (all.get(0), all.get(1), all.get(2));
    assert!(first >= opens_at && opened >= opens_at, "opened at {opened}, the first admitted at {first}: {opens_at}");
    // On Redis a room that several instances opened at once may have passed some places over.
    assert!(last == 10 || places_are_beside(), "the first ten places, up to {last}");
    let change = many.at(1).caller.patch(&format!("/admin/concerts/{concert}")).json(&json!({"opensAt": iso(3_600)}));
    many.at(1).admin(change).refused(409, "sale-opened").await;
    many.is_in_order().await;
}
