//! With `ONSALE_AUTH=jwt` some roles read the data of any user through the calls of users.

use onsale_testing::Call;
use serde_json::json;

use super::{answer, key, log};
use crate::support::room::room;
use crate::support::{start, text};
use crate::{BY_SECRET, SECRET, bearer};

#[tokio::test]
async fn owners_organisers_and_support_read_the_data_of_any_user() {
    let sale = start(&BY_SECRET).await;
    sale.caller.patch("/point/ada/charge").bearer(&bearer("ada")).json(&json!({"amount": 7})).expect(200).await;
    let reads = [
        "/point/ada",
        "/point/ada/histories",
        "/lectures/application/ada",
        "/users/ada/reservations",
        "/users/ada/payments",
        "/users/ada/waitlists",
    ];
    for role in ["owner", "organiser", "support"] {
        let key = key(&sale, role, role).await;
        for path in reads {
            let own = sale.caller.get(path).bearer(&bearer("ada")).expect(200).await;
            assert_eq!(answer(|| sale.caller.get(path).bearer(&key)).await.expect(200), own, "{role}: {path}");
        }
    }
    sale.admin(sale.caller.get("/point/ada")).expect(200).await;
    for role in ["door", "cashier"] {
        let key = key(&sale, role, role).await;
        for path in reads {
            answer(|| sale.caller.get(path).bearer(&key)).await.refused(403, "role-insufficient");
        }
    }
    assert_eq!(log(&sale, "").await.len(), 5, "a read leaves no entry");
}

#[tokio::test]
async fn staff_do_not_act_for_a_user() {
    let sale = start(&BY_SECRET).await;
    let concert = sale.concert(&room(10)).await;
    let body = json!({"userId": "ada", "concertId": concert});
    let place = sale.caller.post("/queue/tokens").bearer(&bearer("ada")).json(&body).expect(201).await;
    let token = text(&place["token"]);
    let owner = key(&sale, "second owner", "owner").await;
    let calls = || -> Vec<Call> {
        vec![
            sale.caller.patch("/point/ada/charge").json(&json!({"amount": 1})),
            sale.caller.patch("/point/ada/use").json(&json!({"amount": 1})),
            sale.caller.post("/queue/tokens").json(&body),
            sale.caller.get("/queue/token").token(&token),
            sale.caller.get("/queue/token/events").token(&token),
            sale.caller.get("/users/ada/queue-tokens"),
            sale.caller.delete("/queue/token").token(&token),
            sale.caller.get(&format!("/concerts/{concert}/dates")).token(&token),
            sale.caller.get(&format!("/concerts/{concert}/seats?date=2090-01-01")).token(&token),
        ]
    };
    for number in 0..calls().len() {
        let call = || calls().remove(number).bearer(&owner);
        answer(call).await.refused(401, "authentication-required");
    }
    assert_eq!(sale.caller.get("/point/ada").bearer(&bearer("ada")).expect(200).await["balance"], 0);
}

#[tokio::test]
async fn staff_read_points_without_a_token_while_the_queue_is_strict() {
    let [auth, secret] = BY_SECRET;
    assert_eq!(secret.1, SECRET);
    let sale = start(&[auth, secret, ("ONSALE_QUEUE_STRICT", "true")]).await;
    let support = key(&sale, "support", "support").await;
    answer(|| sale.caller.get("/point/ada").bearer(&support)).await.expect(200);
    sale.caller.get("/point/ada").bearer(&bearer("ada")).refused(401, "queue-token-missing").await;
    sale.caller.get("/point/ada").bearer("onsale_x").refused(401, "authentication-required").await;
}
