//! Best available at several instances: no seat is given twice, and no wish is refused while seats that fit are free.

use onsale_testing::{Call, Reply, Sale, iso};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::room;
use crate::support::{at_once, count, text};

fn any(sale: &Sale, token: &str, performance: &str, seats: u32) -> Call {
    let body = json!({"performanceId": performance, "any": {"count": seats}});
    sale.caller.post("/reservations").token(token).json(&body)
}

fn seats(replies: &[Reply]) -> Vec<u64> {
    let held = replies.iter().filter(|reply| reply.status == 201).map(Reply::json);
    let mut all: Vec<u64> = held
        .flat_map(|held| held["seats"].as_array().cloned().unwrap_or_default())
        .filter_map(|seat| seat.as_u64())
        .collect();
    all.sort_unstable();
    all
}

/// Two rows of 20 seats, each with an aisle in the middle: 20 pairs. Blocks, added seats and released holds at one instance open
/// seats that the other instances remember as closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_at_all_instances_fill_the_hall() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(1_000)).await;
    let row = |row: &str, from: u32| json!([{"row": row, "from": from, "to": from + 9}, {"row": row, "from": from + 10, "to": from + 19}]);
    let rows: Vec<Value> =
        [row("1", 1), row("2", 21)].iter().flat_map(|row| row.as_array().cloned().unwrap()).collect();
    let body = json!({"startsAt": iso(86_400), "sections": [{"name": "A", "rows": rows, "price": 100}]});
    let made = sale.admin(sale.caller.post(&format!("/admin/concerts/{concert}/performances"))).json(&body);
    let performance = text(&made.expect(201).await["performanceId"]);
    let mut tokens = Vec::new();
    for number in 0..30 {
        tokens.push(many.at(number).active(&concert, &format!("user-{number}")).await);
    }
    let all = || tokens.iter().enumerate().map(|(number, token)| any(many.at(number), token, &performance, 2));
    let replies = at_once(all()).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 409, "seats-not-available")), (20, 10));
    assert_eq!(seats(&replies), (1..=40).collect::<Vec<u64>>());
    assert!(replies.iter().filter(|reply| reply.status == 409).all(|reply| reply.header("retry-after").is_some()));

    // One instance releases two holds and adds a row. The others find the seats at once.
    let held: Vec<(usize, Value)> = replies
        .iter()
        .enumerate()
        .filter(|(_, reply)| reply.status == 201)
        .map(|(number, reply)| (number, reply.json()))
        .collect();
    for (number, held) in &held[..2] {
        let path = format!("/reservations/{}", text(&held["reservationId"]));
        many.at(0).caller.delete(&path).token(&tokens[*number]).expect(204).await;
    }
    let add = json!({"seats": [{"from": 51, "to": 54, "section": "A", "row": "3"}]});
    sale.admin(sale.caller.post(&format!("/admin/performances/{performance}/seats"))).json(&add).expect(201).await;
    let refused: Vec<usize> =
        replies.iter().enumerate().filter(|(_, reply)| reply.status == 409).map(|(number, _)| number).collect();
    let again: Vec<Reply> =
        at_once(refused.iter().map(|number| any(many.at(number + 1), &tokens[*number], &performance, 2))).await;
    assert_eq!((count(&again, 201, ""), count(&again, 409, "seats-not-available")), (4, 6));
    let given = seats(&again);
    assert_eq!((given.len(), &given[4..]), (8, &[51, 52, 53, 54][..]));
    many.is_in_order().await;
}
