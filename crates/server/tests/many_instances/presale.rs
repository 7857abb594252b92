//! Presale codes at several instances: the last uses go to as many holds, and a presale begins at all instances at once.

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::room;
use crate::support::{at_once, count, text};

fn admin(sale: &Sale, call: Call, body: &Value) -> Call {
    sale.admin(call).json(body)
}

fn enter(sale: &Sale, concert: &str, user: &str, code: Option<&str>) -> Call {
    let mut body = json!({"userId": user, "concertId": concert});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    sale.caller.post("/queue/tokens").json(&body)
}

fn hold(sale: &Sale, token: &str, performance: &str, seat: usize, code: Option<&str>) -> Call {
    let mut body = json!({"performanceId": performance, "seats": [seat]});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    sale.caller.post("/reservations").token(token).json(&body)
}

/// Two performances, so that the holds share no lock but that of the code. Uses come back meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_uses_go_to_as_many_holds() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(100)).await;
    let performances =
        [many.at(0).performance(&concert, &json!(200)).await, many.at(1).performance(&concert, &json!(200)).await];
    let mut tokens = Vec::new();
    for buyer in 0..12 {
        tokens.push(many.at(buyer).active(&concert, &format!("u{buyer}")).await);
    }
    let path = format!("/admin/concerts/{concert}");
    admin(many.at(0), many.at(0).caller.patch(&path), &json!({"codesUntil": iso(3_600)})).expect(200).await;
    let codes = json!([{"code": "FAN", "uses": 5, "usesPerUser": 1}]);
    admin(many.at(1), many.at(1).caller.post(&format!("{path}/codes")), &codes).expect(201).await;
    for round in 0..4 {
        let holds = tokens.iter().enumerate().map(|(buyer, token)| {
            hold(many.at(buyer + round), token, &performances[buyer % 2], 12 * round + buyer + 1, Some("FAN"))
        });
        let replies = at_once(holds).await;
        let (held, used_up) = (count(&replies, 201, ""), count(&replies, 409, "code-used-up"));
        assert_eq!((held, used_up), (5, 7), "round {round}: {replies:?}");
        // The uses come back at other instances than those that gave them.
        let releases = replies.iter().enumerate().filter(|(_, reply)| reply.status == 201).map(|(buyer, reply)| {
            let path = format!("/reservations/{}", text(&reply.json()["reservationId"]));
            many.at(buyer + round + 1).caller.delete(&path).token(&tokens[buyer])
        });
        let releases = at_once(releases).await;
        assert_eq!(count(&releases, 204, ""), 5, "{releases:?}");
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presale_begins_and_a_code_ends_at_all_instances_at_once() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(100)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let ada = many.at(1).active(&concert, "ada").await;
    let path = format!("/admin/concerts/{concert}");
    admin(many.at(0), many.at(0).caller.patch(&path), &json!({"codesUntil": iso(3_600)})).expect(200).await;
    let codes = json!([{"code": "FAN", "uses": 5, "usesPerUser": 5}]);
    admin(many.at(2), many.at(2).caller.post(&format!("{path}/codes")), &codes).expect(201).await;
    for number in 0..3 {
        let sale = many.at(number);
        enter(sale, &concert, &format!("new-{number}"), None).refused(403, "code-required").await;
        enter(sale, &concert, &format!("new-{number}"), Some("FAN")).expect(201).await;
        hold(sale, &ada, &performance, number + 1, None).refused(403, "code-required").await;
        hold(sale, &ada, &performance, number + 1, Some("FAN")).expect(201).await;
    }
    many.at(1).admin(many.at(1).caller.delete(&format!("{path}/codes/FAN"))).expect(204).await;
    for number in 0..3 {
        let sale = many.at(number);
        enter(sale, &concert, &format!("late-{number}"), Some("FAN")).refused(403, "code-invalid").await;
        hold(sale, &ada, &performance, 9, Some("FAN")).refused(403, "code-invalid").await;
    }
    many.is_in_order().await;
}
