//! Many more clients than connections to the database: each gets an answer, late or a 503, and none hangs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use onsale_testing::{Call, Caller, Dice, allow_open_files};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::room;

const CONNECTIONS: usize = 1_000;

/// Calls of each, one after another.
const CALLS: usize = 6;

/// The contract's own bound, and what a busy machine may add.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10 + 10);

/// The objects that the crowd uses.
struct Place {
    lecture: String,
    concert: String,
    performance: String,
}

/// A random call of a user, over a connection of its own.
fn some_call(caller: &Caller, place: &Place, user: &str, dice: &mut Dice) -> Call {
    match dice.below(8) {
        0 => caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": 10})),
        1 => caller.patch("/point/hot/charge").json(&json!({"amount": 1})),
        2 => caller.patch("/point/hot/use").json(&json!({"amount": 1})),
        3 => caller.get(&format!("/point/{user}")),
        4 => caller.get("/point/hot/histories?limit=20"),
        5 => caller.post("/lectures/apply").json(&json!({"userId": user, "lectureId": place.lecture})),
        6 => caller.get(&format!("/users/{user}/reservations")),
        _ => caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": place.concert})),
    }
}

/// A reply's status, 0 if there was none, its call, and how long it took.
type Answer = (u16, String, Duration);

async fn answer_of(call: Call) -> (Answer, Value) {
    let since = Instant::now();
    match call.try_send().await {
        Ok(reply) => {
            let code = if reply.status.is_success() { String::new() } else { reply.code() };
            ((reply.status.as_u16(), code, since.elapsed()), reply.json())
        }
        Err(error) => ((0, error, since.elapsed()), Value::Null),
    }
}

/// One of the crowd.
async fn act(base: &str, place: &Place, number: usize) -> Vec<Answer> {
    let caller = Caller::new(base);
    let user = format!("user-{number}");
    let mut dice = Dice::new(number as u64 + 1);
    let mut answers = Vec::new();
    for _ in 0..CALLS {
        let (answer, body) = answer_of(some_call(&caller, place, &user, &mut dice)).await;
        answers.push(answer);
        if body["status"] != "ACTIVE" {
            continue;
        }
        let seat = dice.below(2_000) + 1;
        let hold = json!({"performanceId": place.performance, "seats": [seat]});
        let token = body["token"].as_str().unwrap();
        answers.push(answer_of(caller.post("/reservations").token(token).json(&hold)).await.0);
        let dates = caller.get(&format!("/concerts/{}/dates", place.concert)).token(token);
        answers.push(answer_of(dates).await.0);
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_share_four_to_the_database() {
    allow_open_files(8_192);
    let settings = [("ONSALE_DATABASE_LANES", "2"), ("ONSALE_DATABASE_READERS", "2")];
    let Some(many) = Many::start(1, &settings).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(100_000)).await;
    let performance = sale.performance(&concert, &json!([{"from": 1, "to": 2_000, "price": 10}])).await;
    let place = Place { lecture: sale.lecture(300).await, concert, performance };
    let base = sale.instance.base();
    let since = Instant::now();
    let crowd = (0..CONNECTIONS).map(|number| act(base, &place, number));
    let answers: Vec<Answer> = futures_util::future::join_all(crowd).await.into_iter().flatten().collect();
    let took = since.elapsed();

    let mut by_kind: BTreeMap<(u16, &str), usize> = BTreeMap::new();
    for (status, code, _) in &answers {
        *by_kind.entry((*status, code)).or_default() += 1;
    }
    let longest = answers.iter().map(|(.., took)| *took).max().unwrap();
    println!("{} answers in {took:?}, the longest {longest:?}: {by_kind:?}", answers.len());
    for ((status, code), _) in by_kind {
        assert!(matches!(status, 200 | 201 | 409 | 503), "{status} {code}");
    }
    assert!(longest < ANSWERED_WITHIN, "{longest:?}");
    // Its own connections, those that follow the others and migrated included, are few.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'onsale'";
    let sessions: i64 = many.sql().await.query_one(sessions, &[]).await.unwrap().get(0);
    println!("{sessions} connections to the database");
    assert!(sessions <= 6, "{sessions}");
    // And it goes on as before.
    let after = Instant::now();
    sale.charge("afterwards", 1).await;
    assert!(after.elapsed() < ANSWERED_WITHIN, "nothing is left behind");
    many.is_in_order().await;
}
