//! With `ONSALE_QUEUE_STRICT=true`, points are behind a waiting room too.

use serde_json::json;

use crate::support::room::{configure, room, token};
use crate::support::start;

#[tokio::test]
async fn points_need_a_turn_of_any_room() {
    let sale = start(&[("ONSALE_QUEUE_STRICT", "true")]).await;
    let concert = sale.concert(&room(10)).await;
    let charge = |user: &str| sale.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": 100}));
    let read = |user: &str| sale.caller.get(&format!("/point/{user}"));
    charge("ada").refused(401, "queue-token-missing").await;
    read("ada").refused(401, "queue-token-missing").await;
    charge("ada").token("forged").refused(401, "queue-token-invalid").await;
    read("ada").token("forged").refused(401, "queue-token-invalid").await;

    let ada = sale.active(&concert, "ada").await;
    assert_eq!(charge("ada").token(&ada).expect(200).await["balance"], 100);
    assert_eq!(read("ada").token(&ada).expect(200).await["balance"], 100);
    for call in [charge("bob").token(&ada), read("bob").token(&ada)] {
        let reply = call.send().await;
        assert!(matches!(reply.status.as_u16(), 401 | 403), "{}: of that user: {}", reply.call, reply.status);
    }
    // Using points needs no turn.
    let use_points = |user: &str| sale.caller.patch(&format!("/point/{user}/use")).json(&json!({"amount": 1}));
    assert_eq!(use_points("ada").expect(200).await["balance"], 99);
    use_points("bob").refused(409, "insufficient-balance").await;

    configure(&sale, &concert, &json!({"paused": true})).await;
    let waiting = token(&sale.enter(&concert, "bob").await);
    charge("bob").token(&waiting).refused(403, "queue-token-waiting").await;
    read("bob").token(&waiting).refused(403, "queue-token-waiting").await;
    sale.caller.delete("/queue/token").token(&ada).expect(204).await;
    charge("ada").token(&ada).refused(403, "queue-token-expired").await;
    read("ada").token(&ada).refused(403, "queue-token-expired").await;

    let elsewhere = sale.concert(&room(10)).await;
    let ada = sale.active(&elsewhere, "ada").await;
    assert_eq!(read("ada").token(&ada).expect(200).await["balance"], 99, "any room will do");
}

#[tokio::test]
async fn a_charge_sent_again_after_the_turn_gets_its_answer() {
    let sale = start(&[("ONSALE_QUEUE_STRICT", "true")]).await;
    let concert = sale.concert(&room(10)).await;
    let ada = sale.active(&concert, "ada").await;
    let charge = |key: &str, amount: u32| {
        sale.caller.patch("/point/ada/charge").json(&json!({"amount": amount})).token(&ada).key(key)
    };
    let first = charge("one", 100).send().await;
    assert_eq!(first.status, 200);
    sale.caller.delete("/queue/token").token(&ada).expect(204).await;

    let again = charge("one", 100).send().await;
    assert_eq!((again.status, &again.body), (first.status, &first.body), "a replay whose token has ended meanwhile");
    charge("one", 200).refused(422, "idempotency-key-reused").await;
    charge("two", 100).refused(403, "queue-token-expired").await;
    charge("two", 100).refused(403, "queue-token-expired").await;
    let ada = sale.active(&concert, "ada").await;
    let balance = sale.caller.get("/point/ada").token(&ada).expect(200).await["balance"].clone();
    assert_eq!(balance, 100, "charged once");
}

#[tokio::test]
async fn points_need_no_turn_unless_so_set() {
    let sale = start(&[("ONSALE_QUEUE_STRICT", "false")]).await;
    sale.charge("ada", 100).await;
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 100);
}
