//! Early entry with a draw in the rush: users enter early, the list closes and is drawn, and its places are shown and admitted.

use onsale_load_generator::Outcome;
use onsale_testing::{Sale, iso};
use serde_json::json;

use super::rush::{text, wait};
use super::stage::Stage;

/// A draw that two instances show.
///
/// # Errors
/// If the list is not drawn, or a drawn place is not admitted, within the patience of tests.
pub(crate) async fn all(stage: &Stage, sale: &Sale, other: &Sale) -> Outcome<()> {
    let queue = json!({
        "maxActive": 5, "claimSeconds": 3_600, "order": "draw", "earlyFrom": iso(-60), "drawAt": iso(4),
    });
    let body = json!({"title": "Drawn", "venue": "Hall", "opensAt": iso(6), "queue": queue});
    let made = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
    let concert = text(&made["concertId"]);
    let change = sale.caller.patch(&format!("/admin/concerts/{concert}/queue")).json(&json!({"maxActive": 6}));
    sale.admin(change).expect(200).await;
    let ada = text(&sale.enter(&concert, "ada").await["token"]);
    sale.enter(&concert, "bob").await;
    let path = format!("/concerts/{concert}/draw");
    wait(|| async {
        let draw = other.caller.get(&path).send().await;
        Ok(draw.status.as_u16() == 200 && draw.json()["state"] == "drawn")
    })
    .await?;
    other.caller.get(&format!("{path}/entries")).send().await;
    // The entry is found by the user, and once the place has a row, by the place.
    sale.enter(&concert, "ada").await;
    sale.until_status(&ada, "ACTIVE").await;
    let named = format!(
        "SELECT count(*) > 0 FROM places WHERE concert_id = '{concert}' AND user_id = 'ada' AND standing = 'CURRENT'
            AND EXISTS (SELECT FROM turns WHERE turns.concert_id = places.concert_id AND turns.place = places.place)"
    );
    wait(|| async {
        sale.caller.get("/queue/token").token(&ada).expect(200).await;
        Ok(stage.sql.query_one(&named, &[]).await?.get::<_, bool>(0))
    })
    .await?;
    sale.enter(&concert, "ada").await;
    sale.caller.delete("/queue/token").token(&ada).expect(204).await;
    Ok(())
}
