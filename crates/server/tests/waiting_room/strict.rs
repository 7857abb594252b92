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
async fn points_need_no_turn_unless_so_set() {
    let sale = start(&[("ONSALE_QUEUE_STRICT", "false")]).await;
    sale.charge("ada", 100).await;
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 100);
}
