//! Taking a place, seeing where it is, giving it up.

use onsale_testing::{Sale, now_millis};
use serde_json::{Value, json};

use crate::support::room::{configure, has_no_members_of_waiting, place, queue, room, token};
use crate::support::{at_once, audit, count, millis, start, text, until};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

/// A room that admits no user.
async fn closed_room(sale: &Sale) -> String {
    let concert = sale.concert(&room(1_000)).await;
    configure(sale, &concert, &json!({"paused": true})).await;
    concert
}

async fn until_positions(sale: &Sale, tokens: &[&String], expected: &[u64]) {
    until(&format!("positions {expected:?}"), async || {
        let mut found = Vec::new();
        for token in tokens {
            found.push(place(sale, token).await["position"].as_u64().unwrap());
        }
        (found == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_user_has_one_place() {
    let sale = start(&[]).await;
    let concert = closed_room(&sale).await;
    let enter = || sale.caller.post("/queue/tokens").json(&json!({"userId": "ada", "concertId": concert}));
    let first = enter().expect(201).await;
    assert_eq!((&first["userId"], &first["concertId"]), (&json!("ada"), &json!(concert)));
    assert_eq!((&first["status"], &first["position"]), (&json!("WAITING"), &json!(1)));
    assert_eq!((&first["activeUntil"], &first["soldOut"]), (&Value::Null, &json!(false)));
    assert!(first["estimatedWaitSeconds"].is_u64() && first["pollAfterSeconds"].is_u64(), "{first}");
    for instant in ["issuedAt", "asOf"] {
        assert!((now_millis() - millis(&first[instant])).abs() < 60_000, "{instant}: {first}");
    }

    let again = enter().expect(200).await;
    let shown = place(&sale, &token(&first)).await;
    for member in ["token", "tokenId", "userId", "concertId", "status", "position", "issuedAt"] {
        assert_eq!((&again[member], &shown[member]), (&first[member], &first[member]), "{member}");
    }
    assert!(millis(&shown["asOf"]) >= millis(&first["asOf"]));
    assert_eq!(queue(&sale, &concert).await["issued"], 1);
    let elsewhere = closed_room(&sale).await;
    assert_ne!(sale.enter(&elsewhere, "ada").await["tokenId"], first["tokenId"], "another room, another place");
}

#[tokio::test]
async fn a_user_who_hammers_has_one_place_too() {
    let sale = start(&[]).await;
    let concert = closed_room(&sale).await;
    let body = json!({"userId": "ada", "concertId": concert});
    let replies = at_once((0..100).map(|_| sale.caller.post("/queue/tokens").json(&body))).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 200, "")), (1, 99));
    assert!(replies.iter().all(|reply| reply.json()["token"] == replies[0].json()["token"]));
    assert_eq!(queue(&sale, &concert).await["waiting"], 1);
}

#[tokio::test]
async fn there_is_no_room_without_a_concert() {
    let sale = start(&[]).await;
    let body = json!({"userId": "ada", "concertId": UNKNOWN});
    sale.caller.post("/queue/tokens").json(&body).refused(404, "concert-not-found").await;
}

#[tokio::test]
async fn an_empty_room_admits_at_once() {
    let sale = start(&[]).await;
    let concert = sale.concert(&json!({"maxActive": 1, "activeSeconds": 77})).await;
    let entered = sale.enter(&concert, "ada").await;
    let active = sale.until_status(&token(&entered), "ACTIVE").await;
    has_no_members_of_waiting(&active);
    let turn = millis(&active["activeUntil"]) - millis(&active["issuedAt"]);
    assert!(turn >= 77_000, "activeSeconds from admission: {turn} ms");
    assert_eq!(sale.enter(&concert, "ada").await["token"], entered["token"], "one who is active keeps the place");
}

#[tokio::test]
async fn positions_count_those_still_in_line() {
    let sale = start(&[]).await;
    let concert = closed_room(&sale).await;
    let mut tokens = Vec::new();
    for (position, user) in (1..).zip(["a", "b", "c", "d", "e"]) {
        let entered = sale.enter(&concert, user).await;
        assert_eq!(entered["position"], position);
        tokens.push(token(&entered));
    }
    let [a, b, c, d, e] = &tokens[..] else { unreachable!("five people") };
    until_positions(&sale, &[a, b, c, d, e], &[1, 2, 3, 4, 5]).await;

    for gone in [b, d] {
        sale.caller.delete("/queue/token").token(gone).expect(204).await;
        let ended = sale.until_status(gone, "EXPIRED").await;
        has_no_members_of_waiting(&ended);
        assert!(ended["activeUntil"].is_null(), "{ended}");
    }
    until_positions(&sale, &[a, c, e], &[1, 2, 3]).await;
    let shown = queue(&sale, &concert).await;
    assert_eq!((&shown["waiting"], &shown["active"], &shown["issued"]), (&json!(3), &json!(0), &json!(5)));

    // A user who enters again after leaving is at the end of the line, with another token.
    let back = sale.caller.post("/queue/tokens").json(&json!({"userId": "b", "concertId": concert}));
    let back = back.expect(201).await;
    assert_eq!(back["position"], 4);
    assert_ne!((&text(&back["token"]), &back["tokenId"]), (b, &place(&sale, b).await["tokenId"]));
    assert_eq!(place(&sale, b).await["status"], "EXPIRED", "the old one stays what it became");
    until_positions(&sale, &[a, c, e, &token(&back)], &[1, 2, 3, 4]).await;
    sale.caller.delete("/queue/token").token(b).send().await;
    until_positions(&sale, &[&token(&back)], &[4]).await;
}

#[tokio::test]
async fn a_crowd_stands_in_one_line() {
    let sale = start(&[]).await;
    let concert = closed_room(&sale).await;
    let enter = |user: usize| {
        let body = json!({"userId": format!("user-{user}"), "concertId": concert});
        sale.caller.post("/queue/tokens").json(&body)
    };
    let replies = at_once((0..300).map(enter)).await;
    assert_eq!(count(&replies, 201, ""), 300);
    let tokens: Vec<String> = replies.iter().map(|reply| token(&reply.json())).collect();
    let places = at_once(tokens.iter().map(|token| sale.caller.get("/queue/token").token(token))).await;
    let mut line: Vec<(u64, i64)> = places
        .iter()
        .map(|reply| reply.expect(200))
        .map(|place| (place["position"].as_u64().unwrap(), millis(&place["issuedAt"])))
        .collect();
    line.sort_unstable();
    assert!(line.iter().map(|(position, _)| *position).eq(1..=300), "each position is taken by exactly one user");
    assert!(line.is_sorted_by_key(|(_, issued_at)| *issued_at), "in the order in which tokens were issued");

    // Every third goes; the others move up without a gap.
    let (gone, kept): (Vec<_>, Vec<_>) = tokens.iter().enumerate().partition(|(index, _)| index % 3 == 0);
    let left = at_once(gone.iter().map(|(_, token)| sale.caller.delete("/queue/token").token(token))).await;
    assert_eq!(count(&left, 204, ""), 100);
    until("all users have moved up", async || {
        let places = at_once(kept.iter().map(|(_, token)| sale.caller.get("/queue/token").token(token))).await;
        let mut line: Vec<u64> = places.iter().map(|reply| reply.json()["position"].as_u64().unwrap()).collect();
        line.sort_unstable();
        line.into_iter().eq(1..=200).then_some(())
    })
    .await;
    audit(&sale).await;
}

/// Waits until the list of concerts shows its only concert as sold out or not.
async fn is_listed_as_sold_out(sale: &Sale, sold_out: bool) {
    until("the list shows it", async || {
        let list = sale.caller.get("/concerts").expect(200).await;
        (list[0]["soldOut"] == json!(sold_out)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sold_out_once_nothing_can_come_back() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let performance = sale.performance(&concert, &json!(2)).await;
    let buyer = sale.active(&concert, "buyer").await;
    let waiting = token(&sale.enter(&concert, "waiting").await);
    sale.charge("buyer", 1_000_000).await;
    let first = sale.hold(&buyer, &performance, &[1]).await;
    let second = sale.hold(&buyer, &performance, &[2]).await;
    assert_eq!(place(&sale, &waiting).await["soldOut"], false, "held seats may come back");
    sale.pay(&buyer, &first).expect(201).await;
    assert_eq!(place(&sale, &waiting).await["soldOut"], false);
    sale.pay(&buyer, &second).expect(201).await;
    sale.until(&waiting, |place| place["soldOut"] == true).await;
    assert_eq!(sale.enter(&concert, "late").await["soldOut"], true);
    is_listed_as_sold_out(&sale, true).await;
    sale.performance(&concert, &json!(1)).await;
    sale.until(&waiting, |place| place["soldOut"] == false).await;
    is_listed_as_sold_out(&sale, false).await;
}
