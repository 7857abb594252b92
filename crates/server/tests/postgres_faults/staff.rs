//! While the database is away, an instance cannot know whether a key of staff was deleted, so it trusts none. The key of the
//! setting needs no check.

use onsale_testing::postgres::shared;
use onsale_testing::without;
use serde_json::json;

use crate::scene::{Scene, database};
use crate::support::{text, until};

#[tokio::test]
async fn keys_of_staff_are_not_trusted_while_the_database_is_away() {
    if without("postgres") {
        return;
    }
    let database = database().await;
    let scene = Scene::on(shared().await.address(), &database, 1).await;
    let sale = scene.sale();
    let body = json!({"name": "organiser", "role": "organiser"});
    let made = sale.admin(sale.caller.post("/admin/keys").json(&body)).expect(201).await;
    let key = text(&made["key"]);
    // Judged before the body, and without the database: an empty body is refused as such only after the key.
    let empty = || sale.caller.post("/admin/lectures").json(&json!({}));
    until("the key opens", async || (empty().bearer(&key).send().await.code() == "invalid-request").then_some(()))
        .await;
    scene.wire.cut().await;
    until("the key is trusted no more", async || {
        let reply = empty().bearer(&key).send().await;
        (reply.code() == "unavailable").then(|| assert_eq!(reply.status, 503))
    })
    .await;
    sale.admin(empty()).refused(422, "invalid-request").await;
    scene.wire.heal().await;
    until("the key opens again", async || {
        (empty().bearer(&key).send().await.code() == "invalid-request").then_some(())
    })
    .await;
}
