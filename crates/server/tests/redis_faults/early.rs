//! Redis is emptied while users enter early.

use onsale_testing::postgres::shared;
use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Call, Sale, iso, without};
use serde_json::json;

use crate::line::user;
use crate::support::room::{room, token};
use crate::support::{ONSALE, text, until};

const EARLY: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_places_survive_a_redis_that_is_emptied() {
    if without("postgres") || without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let database = shared().await.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_REDIS_URL", redis.url());
    let sales = [Sale::start(&launch).await, Sale::start(&launch.another()).await];
    let mut settings = room(1);
    settings["earlyFrom"] = json!(iso(-60));
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(3_600), "queue": settings});
    let made = sales[0].admin(sales[0].caller.post("/admin/concerts")).json(&body).expect(201).await;
    let concert = text(&made["concertId"]);
    let enter = |number: usize, user: &str| -> Call {
        let body = json!({"userId": user, "concertId": concert});
        sales[number % 2].caller.post("/queue/tokens").json(&body)
    };
    let mut tokens = Vec::new();
    for number in 0..EARLY {
        tokens.push(token(&enter(number, &user(number)).expect(201).await));
    }

    redis.run::<()>(&["FLUSHALL"]);
    for (number, token) in tokens.iter().enumerate() {
        let stands = |place: &serde_json::Value| place["position"] == json!(number + 1) && place["status"] == "EARLY";
        sales[(number + 1) % 2].until(token, stands).await;
    }
    // With its token shown, a user who enters again has the same place.
    for (number, token) in tokens.iter().enumerate() {
        let known = async || {
            sales[number % 2].caller.get("/queue/token").token(token).expect(200).await;
            let reply = enter(number, &user(number)).send().await;
            (reply.status == 200 && reply.json()["token"] == json!(token)).then_some(())
        };
        until(&format!("{} has the same place", user(number)), known).await;
    }
    let late = async || {
        let reply = enter(0, "late").send().await;
        (reply.status != 503).then(|| reply.json())
    };
    let late = until("one can enter again", late).await;
    sales[1].until(&token(&late), |place| place["position"] == json!(EARLY + 1)).await;
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

/// Each entry of a draw is a row, so Redis can neither lose one nor add one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_emptied_changes_no_draw() {
    if without("postgres") || without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let database = shared().await.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_REDIS_URL", redis.url());
    let sales = [Sale::start(&launch).await, Sale::start(&launch.another()).await];
    let mut settings = room(1);
    (settings["earlyFrom"], settings["order"], settings["drawAt"]) = (json!(iso(-60)), json!("draw"), json!(iso(10)));
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(3_600), "queue": settings});
    let made = sales[0].admin(sales[0].caller.post("/admin/concerts")).json(&body).expect(201).await;
    let concert = text(&made["concertId"]);
    let path = format!("/concerts/{concert}/draw");
    let enter = |number: usize, user: &str| -> Call {
        let body = json!({"userId": user, "concertId": concert});
        sales[number % 2].caller.post("/queue/tokens").json(&body)
    };
    let mut tokens = Vec::new();
    for number in 0..EARLY {
        if number == EARLY / 2 {
            redis.run::<()>(&["FLUSHALL"]);
        }
        tokens.push(token(&enter(number, &user(number)).expect(201).await));
    }
    redis.run::<()>(&["FLUSHALL"]);
    // Without its token shown, a user who enters again has the same entry.
    for (number, own) in tokens.iter().enumerate() {
        assert_eq!(enter(number + 1, &user(number)).expect(200).await["token"], json!(own));
    }
    let drawn = async || {
        let draw = sales[1].caller.get(&path).send().await;
        (draw.status == 200).then(|| draw.json()).filter(|draw| draw["state"] == "drawn")
    };
    let draw = until("a draw", drawn).await;
    assert_eq!(draw["entries"], json!(EARLY));
    let late = async || {
        let reply = enter(0, "late").send().await;
        (reply.status != 503).then(|| reply.json())
    };
    let late = token(&until("a user can enter behind the list", late).await);
    let mut before = Vec::new();
    for (number, own) in tokens.iter().enumerate() {
        before.push(sales[number % 2].until(own, |place| place["position"].is_u64()).await["position"].clone());
    }
    redis.run::<()>(&["FLUSHALL"]);
    for (number, (own, position)) in tokens.iter().zip(&before).enumerate() {
        let same = |place: &serde_json::Value| place["position"] == *position && place["status"] == "EARLY";
        sales[(number + 1) % 2].until(own, same).await;
    }
    sales[1].until(&late, |place| place["position"] == json!(EARLY + 1)).await;
    let run = launch.run(&["verify-draw", &format!("{}{path}", sales[0].instance.base())]).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}
