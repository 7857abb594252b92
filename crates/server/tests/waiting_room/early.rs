//! Early entry: places before the opening, what their users see and may do, and admission in order at the opening.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::support::room::{admitted_at, configure, place, queue, room, token};
use crate::support::stream::Stream;
use crate::support::{audit, millis, start, text};

/// The instant this many seconds from now, as answers show it.
fn iso(seconds_from_now: i64) -> String {
    onsale_testing::iso(seconds_from_now).replace('Z', ".000Z")
}

fn create(sale: &Sale, opens_at: &Value, early_from: &Value, max_active: u32) -> Call {
    let mut settings = room(max_active);
    settings["earlyFrom"] = early_from.clone();
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": opens_at, "queue": settings});
    sale.admin(sale.caller.post("/admin/concerts")).json(&body)
}

/// A concert that opens this many seconds from now. Users may enter since an hour ago.
async fn opening_in(sale: &Sale, seconds: i64, max_active: u32) -> (String, String) {
    let opens_at = iso(seconds);
    let concert = create(sale, &json!(opens_at), &json!(iso(-3_600)), max_active).expect(201).await;
    (text(&concert["concertId"]), opens_at)
}

fn change(sale: &Sale, concert: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}"))).json(body)
}

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
}

#[tokio::test]
async fn before_early_entry_no_user_enters() {
    let sale = start(&[]).await;
    let (opens_at, early_from) = (iso(1_200), iso(600));
    let made = create(&sale, &json!(opens_at), &json!(early_from), 1).expect(201).await;
    assert_eq!((&made["opensAt"], &made["earlyFrom"]), (&json!(opens_at), &json!(early_from)));
    let concert = text(&made["concertId"]);
    assert_eq!(queue(&sale, &concert).await["earlyFrom"], json!(early_from));
    let reply = enter(&sale, &concert, "ada").send().await;
    let refused = reply.refused(409, "sale-not-open");
    assert_eq!((&refused["opensAt"], &refused["earlyFrom"]), (&json!(opens_at), &json!(early_from)));
    let left = millis(&refused["earlyFrom"]) - millis(&refused["asOf"]);
    let seconds: i64 = reply.header("retry-after").expect("when to ask again").parse().unwrap();
    assert_eq!(seconds, (left + 999) / 1_000, "until early entry begins, and no later");
    let listed = crate::support::until("a list with the concert", async || {
        let listed = sale.caller.get("/concerts").expect(200).await;
        (listed[0]["earlyFrom"] == json!(early_from)).then_some(listed)
    });
    assert_eq!(listed.await[0]["opensAt"], json!(opens_at));
    // Far away, the value of the header is bounded.
    let far = create(&sale, &json!(iso(90_000)), &Value::Null, 1).expect(201).await;
    let reply = enter(&sale, &text(&far["concertId"]), "ada").send().await;
    assert_eq!(reply.refused(409, "sale-not-open").get("earlyFrom"), Some(&Value::Null));
    assert_eq!(reply.header("retry-after"), Some("3600"));
    audit(&sale).await;
}

#[tokio::test]
async fn an_early_place_has_a_position_and_opens_no_call() {
    let sale = start(&[]).await;
    let (concert, opens_at) = opening_in(&sale, 3_600, 5).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let first = enter(&sale, &concert, "ada").expect(201).await;
    let second = enter(&sale, &concert, "bob").expect(201).await;
    for (place, position) in [(&first, 1), (&second, 2)] {
        assert_eq!((&place["status"], &place["position"]), (&json!("EARLY"), &json!(position)), "{place}");
        assert_eq!((&place["opensAt"], &place["activeUntil"]), (&json!(opens_at), &Value::Null));
        assert!(place["pollAfterSeconds"].as_u64().is_some_and(|seconds| seconds >= 1), "{place}");
        let wait = place["estimatedWaitSeconds"].as_u64().unwrap();
        assert!((3_400..=3_700).contains(&wait), "counted from now: {wait}");
    }
    let (ada, bob) = (token(&first), token(&second));
    let again = enter(&sale, &concert, "ada").expect(200).await;
    assert_eq!((&again["token"], &again["status"]), (&json!(ada), &json!("EARLY")));

    let body = json!({"performanceId": performance, "seats": [1]});
    for call in [
        sale.caller.post("/reservations").token(&ada).key("once").json(&body),
        sale.caller.get(&format!("/concerts/{concert}/dates")).token(&ada),
    ] {
        let reply = call.send().await;
        let refused = reply.refused(403, "queue-token-waiting");
        assert_eq!((&refused["position"], &refused["opensAt"]), (&json!(1), &json!(opens_at)));
        assert!(reply.header("retry-after").is_some());
    }
    // A place that is given up is over, and its user enters again at the end.
    sale.caller.delete("/queue/token").token(&ada).expect(204).await;
    assert_eq!(place(&sale, &ada).await["status"], "EXPIRED");
    sale.until(&bob, |place| place["position"] == 1).await;
    let later = enter(&sale, &concert, "ada").expect(201).await;
    assert!(later["tokenId"] != first["tokenId"] && later["position"] == 2, "{later}");
    audit(&sale).await;
}

#[tokio::test]
async fn the_stream_of_an_early_place_sends_early_and_then_its_turn() {
    let sale = start(&[]).await;
    let (concert, opens_at) = opening_in(&sale, 8, 5).await;
    let ada = token(&enter(&sale, &concert, "ada").expect(201).await);
    let mut stream =
        Stream::open(sale.instance.base(), "/queue/token/events", &[&*format!("Queue-Token: {ada}")]).await;
    let (name, shown) = stream.next().await.unwrap();
    assert_eq!((name.as_str(), &shown["opensAt"]), ("early", &json!(opens_at)));
    let (mut name, mut shown) = (name, shown);
    while name != "active" {
        assert!(["early", "position"].contains(&&*name), "{name}: {shown}");
        (name, shown) = stream.next().await.unwrap();
    }
    assert!(admitted_at(&shown, 3_600) >= millis(&json!(opens_at)), "{shown}");
    audit(&sale).await;
}

/// Other work of the machine may delay one room, so the bound applies to the middle one of five.
#[tokio::test]
async fn early_places_are_admitted_in_order_from_the_opening_on() {
    let sale = start(&[]).await;
    let mut lines = Vec::new();
    for _ in 0..5 {
        lines.push(opening_in(&sale, 12, 2).await);
    }
    let mut rooms = Vec::new();
    for (concert, opens_at) in &lines {
        let mut tokens = Vec::new();
        for user in ["ada", "bob", "cid"] {
            let place = enter(&sale, concert, user).expect(201).await;
            assert_eq!(place["status"], "EARLY", "{place}");
            tokens.push(token(&place));
        }
        rooms.push((millis(&json!(opens_at)), tokens));
    }
    let mut late = Vec::new();
    for (opens_at, tokens) in &rooms {
        for token in &tokens[..2] {
            let place = sale.until_status(token, "ACTIVE").await;
            let after = admitted_at(&place, 3_600) - opens_at;
            assert!(after >= 0, "admitted {after} ms after the opening");
            late.push(after);
        }
        let third = sale.until_status(&tokens[2], "WAITING").await;
        assert_eq!(third["position"], 1, "{third}");
    }
    late.sort_unstable();
    println!("admitted after the opening, in ms: {late:?}");
    assert!(late[late.len() / 2] <= 250, "{late:?}");
    audit(&sale).await;
}

#[tokio::test]
async fn an_opening_that_users_wait_for_moves_only_later() {
    let sale = start(&[]).await;
    for (opens_at, early_from) in [(Value::Null, json!(iso(60))), (json!(iso(60)), json!(iso(60)))] {
        let refused = create(&sale, &opens_at, &early_from, 1).refused(422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], "queue.earlyFrom");
    }
    let (concert, opens_at) = opening_in(&sale, 3_600, 5).await;
    let early = |from: Value| {
        let patch = sale.caller.patch(&format!("/admin/concerts/{concert}/queue"));
        sale.admin(patch).json(&json!({"earlyFrom": from}))
    };
    early(json!(iso(60))).refused(409, "room-in-use").await;
    assert_eq!(early(json!(opens_at)).refused(422, "invalid-request").await["errors"][0]["field"], "earlyFrom");
    change(&sale, &concert, &json!({"opensAt": iso(1_800)})).expect(200).await;
    let ada = token(&enter(&sale, &concert, "ada").expect(201).await);
    change(&sale, &concert, &json!({"opensAt": iso(900)})).refused(409, "room-in-use").await;
    let refused = change(&sale, &concert, &json!({"opensAt": null})).refused(422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "opensAt");
    let moved = change(&sale, &concert, &json!({"opensAt": iso(7_200)})).expect(200).await;
    sale.until(&ada, |place| place["opensAt"] == moved["opensAt"] && place["status"] == "EARLY").await;

    let (open, _) = opening_in(&sale, 4, 5).await;
    configure(&sale, &open, &json!({"paused": true})).await;
    let bob = enter(&sale, &open, "bob").expect(201).await;
    // The opening is stored during a pause too: from then on the place waits.
    let shown = sale.until_status(&token(&bob), "WAITING").await;
    assert_eq!(shown["paused"], true);
    change(&sale, &open, &json!({"opensAt": iso(3_600)})).refused(409, "sale-opened").await;
    configure(&sale, &open, &json!({"paused": false})).await;
    sale.until_status(&token(&bob), "ACTIVE").await;
    audit(&sale).await;
}
