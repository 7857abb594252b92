//! A draw in the rush: users enter early, their places are drawn, the order is read, and they enter again once they are admitted.

use onsale_load_generator::Outcome;
use onsale_testing::{Sale, iso};
use serde_json::{Value, json};

use super::rush::wait;

/// A draw of two places, of which the first is admitted.
///
/// # Errors
/// If the places are not drawn, or none is admitted.
pub(crate) async fn all(sale: &Sale) -> Outcome<()> {
    let queue = json!({"maxActive": 1, "earlyFrom": iso(-60), "order": "draw", "drawAt": iso(4)});
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(5), "queue": queue});
    let made = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
    let concert = made["concertId"].as_str().unwrap_or_default();
    let enter = |user: &str| sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}));
    let mut places = Vec::new();
    for user in ["kim", "lou"] {
        places.push(enter(user).expect(201).await);
    }
    let draw = format!("/concerts/{concert}/draw");
    wait(async || Ok(sale.caller.get(&draw).expect(200).await["state"] == "drawn")).await?;
    sale.caller.get(&format!("{draw}/entries")).send().await;
    let id = places[0]["tokenId"].as_str().unwrap_or_default();
    sale.caller.get(&format!("{draw}/entries?tokenId={id}")).expect(200).await;
    let is_active = async |place: &Value| {
        let token = place["token"].as_str().unwrap_or_default();
        sale.caller.get("/queue/token").token(token).expect(200).await["status"] == "ACTIVE"
    };
    wait(async || Ok(is_active(&places[0]).await || is_active(&places[1]).await)).await?;
    for user in ["kim", "lou"] {
        enter(user).expect(200).await;
    }
    Ok(())
}
