//! What is for sale: made at one instance, sold at all of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::many::{Many, middle_and_longest, place_of, until_since};
use crate::support::room::{room, token};
use crate::support::{column, text};

/// Lists may lag by this long.
const LISTED_WITHIN: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_concert_of_another_instance_is_sold_at_once_and_listed_soon() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let (mut listed_in, mut dated_in) = (Vec::new(), Vec::new());
    for round in 0..12 {
        let [here, there, yonder] = [0, 1, 2].map(|next| many.at(round + next));
        let concert = here.concert(&room(1_000)).await;
        let since = Instant::now();
        // The other instance has not seen it before.
        let ada = there.active(&concert, "ada").await;
        yonder.caller.get("/queue/token").token(&ada).expect(200).await;
        let performance = here.performance(&concert, &Value::Null).await;
        let made = Instant::now();
        let held = if round % 2 == 0 {
            let date = &onsale_testing::iso(10 * 86_400 + 9 * 3_600)[..10];
            let body = json!({"date": date, "seats": [1]});
            let held = yonder.caller.post("/reservations").token(&ada).json(&body).expect(201).await;
            assert_eq!((&held["performanceId"], &held["date"]), (&json!(performance), &json!(date)));
            held
        } else {
            yonder.hold(&ada, &performance, &[1]).await
        };
        there.charge("ada", 50_000).await;
        let path = format!("/users/ada/reservations?limit={}", round + 1);
        assert_eq!(there.caller.get(&path).expect(200).await[0], held, "with its date");
        let dates = format!("/concerts/{concert}/dates");
        for sale in [there, yonder] {
            let listed = async || {
                let shown = sale.caller.get("/concerts?limit=200").expect(200).await;
                column(&shown, "concertId").contains(&json!(concert))
            };
            listed_in.push(until_since(since, "the concert is listed", listed).await);
            let dated = async || sale.caller.get(&dates).token(&ada).expect(200).await[0]["remaining"] == 49;
            dated_in.push(until_since(made, "the performance is listed", dated).await);
        }
        there.pay(&ada, &held).expect(201).await;
    }
    let (listed_in, dated_in) = (middle_and_longest(listed_in), middle_and_longest(dated_in));
    println!("listed elsewhere (middle, longest): concerts in {listed_in:?}, performances in {dated_in:?}");
    assert!(listed_in.0 < LISTED_WITHIN && dated_in.0 < LISTED_WITHIN);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_stands_for_two_performances_once_another_instance_has_added_one() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(10)).await;
    many.at(0).performance_at(&concert, &Value::Null, 10 * 86_400).await;
    let date = &onsale_testing::iso(10 * 86_400 + 9 * 3_600)[..10];
    let ada = many.at(1).active(&concert, "ada").await;
    let hold = |number: usize, seat: u32| {
        let body = json!({"date": date, "seats": [seat]});
        many.at(number).caller.post("/reservations").token(&ada).json(&body)
    };
    for (number, seat) in [(0, 1), (1, 2), (2, 3)] {
        hold(number, seat).expect(201).await;
    }
    many.at(0).performance_at(&concert, &Value::Null, 10 * 86_400).await;
    for number in [0, 1, 2] {
        hold(number, 4).refused(422, "performance-ambiguous").await;
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sold_out_is_shown_everywhere_and_taken_back_everywhere() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(3)).await;
    let seats = json!([{"from": 1, "to": 2, "price": 100}]);
    let performance = many.at(0).performance(&concert, &seats).await;
    let mut buyers = Vec::new();
    for user in ["ada", "bob"] {
        many.at(buyers.len()).charge(user, 1_000).await;
        buyers.push(many.at(buyers.len()).active(&concert, user).await);
    }
    many.at(2).active(&concert, "browsing").await;
    let waiting = token(&many.at(2).enter(&concert, "waiting").await);
    for (number, buyer) in buyers.iter().enumerate() {
        for sale in &many.sales {
            assert_eq!(place_of(sale, &waiting).await["soldOut"], false, "a seat is left");
        }
        let held = many.at(number).hold(buyer, &performance, &[u32::try_from(number).unwrap() + 1]).await;
        many.at(number + 1).pay(buyer, &held).expect(201).await;
    }
    let since = Instant::now();
    let mut shown_in = Vec::new();
    for sold_out in [true, false] {
        for sale in &many.sales {
            let is_shown = async || place_of(sale, &waiting).await["soldOut"] == sold_out;
            shown_in.push(until_since(since, "sold out, or no longer", is_shown).await);
        }
        if sold_out {
            many.at(1).performance_at(&concert, &seats, 20 * 86_400).await;
        }
    }
    let shown_in = middle_and_longest(shown_in);
    println!("sold out and no longer so is shown everywhere (middle, longest) in {shown_in:?}");
    assert!(shown_in.0 < 2 * LISTED_WITHIN);
    many.is_in_order().await;
}

/// The other instances find performances by a coming start, or by a revision. These have neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_performance_that_started_long_ago_is_known_everywhere() {
    let Some(many) = Many::start(2, &[]).await else { return };
    let concert = many.at(0).concert(&room(10)).await;
    let path = format!("/admin/concerts/{concert}");
    let shown = async |number: usize, path: &str| {
        let sale = many.at(number);
        sale.admin(sale.caller.get(path)).expect(200).await
    };
    let known = async || {
        let sale = many.at(1);
        sale.admin(sale.caller.get(&path)).send().await.status == 200
    };
    until_since(Instant::now(), "the concert is known", known).await;
    let mut known_in = Vec::new();
    for days in [1, 3, 40, 4_000] {
        let before = shown(0, &path).await["firstDate"].clone();
        let made = Instant::now();
        many.at(0).performance_at(&concert, &Value::Null, -days * 86_400).await;
        let first = shown(0, &path).await["firstDate"].clone();
        assert_ne!(first, before, "{days} days ago");
        let is_known = async || shown(1, &path).await["firstDate"] == first;
        known_in.push(until_since(made, "the performance is known", is_known).await);
        let date = text(&first);
        for number in [0, 1] {
            let found = shown(number, &format!("/admin/concerts?from={date}&to={date}")).await;
            assert!(column(&found, "concertId").contains(&json!(concert)), "instance {number}, {days} days ago");
            assert_eq!(shown(number, &path).await["soldOut"], true, "none of its performances can be sold");
        }
    }
    let known_in = middle_and_longest(known_in);
    println!("a performance of long ago is known everywhere (middle, longest) in {known_in:?}");
    assert!(known_in.0 < LISTED_WITHIN);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_concert_is_unknown_at_every_instance() {
    let Some(many) = Many::start(2, &[]).await else { return };
    let unknown = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
    let concert = many.at(0).concert(&room(10)).await;
    let ada = many.at(1).active(&concert, "ada").await;
    for sale in &many.sales {
        let enter = sale.caller.post("/queue/tokens").json(&json!({"userId": "ada", "concertId": unknown}));
        enter.refused(404, "concert-not-found").await;
        for body in [json!({"performanceId": unknown, "seats": [1]}), json!({"date": "2090-01-01", "seats": [1]})] {
            let hold = sale.caller.post("/reservations").token(&ada).json(&body);
            hold.refused(404, "performance-not-found").await;
        }
        let dates = sale.caller.get(&format!("/concerts/{unknown}/dates")).token(&ada);
        dates.refused(401, "queue-token-invalid").await;
    }
    // Tokens are signed with one secret, made once by whichever instance came first.
    let elsewhere = many.at(1).concert(&room(10)).await;
    let bob = text(&many.at(0).enter(&elsewhere, "bob").await["token"]);
    many.at(1).until_status(&bob, "ACTIVE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invented_performance_is_looked_up_by_its_key() {
    const LISTED: i64 = 400;
    const INVENTED: u32 = 200;
    let Some(many) = Many::start(2, &[]).await else { return };
    let concert = many.at(0).concert(&room(10)).await;
    let sql = many.sql().await;
    // Enough rows that reading them all shows in the counters of the server.
    let fill = "INSERT INTO performances SELECT gen_random_uuid(), $1::text::uuid, 4102444800000, $2, 50, 0, 0, 0
        FROM generate_series(1, $3::bigint)";
    let sections = r#"[{"from":1,"to":50,"grade":"R","price":50000}]"#;
    sql.execute(fill, &[&concert, &sections, &LISTED]).await.unwrap();
    let tokens = [many.at(0).active(&concert, "ada").await, many.at(1).active(&concert, "bob").await];
    // All are known everywhere now.
    for (number, token) in tokens.iter().enumerate() {
        let dates = format!("/concerts/{concert}/dates");
        let known = async || {
            let shown = many.at(number).caller.get(&dates).token(token).expect(200).await;
            shown.as_array().unwrap().len() == usize::try_from(LISTED).unwrap()
        };
        until_since(Instant::now(), "all performances are known", known).await;
    }
    let read = async || -> i64 {
        let count = "SELECT seq_tup_read::bigint FROM pg_stat_user_tables WHERE relname = 'performances'";
        sql.query_one(count, &[]).await.unwrap().get(0)
    };
    let before = read().await;
    for number in 0..INVENTED {
        let body = json!({"performanceId": format!("019ab3c0-7a10-7d5e-9f44-{number:012x}"), "seats": [1]});
        let hold =
            many.at(number as usize).caller.post("/reservations").token(&tokens[number as usize % 2]).json(&body);
        hold.refused(404, "performance-not-found").await;
    }
    // The counts come a moment later, with what is read a few times a second anyway.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rows = read().await - before;
    println!("{rows} rows of {LISTED} performances were read in passing for {INVENTED} invented ones");
    assert!(rows < i64::from(INVENTED) * LISTED / 2, "{rows} rows were read for {INVENTED} invented performances");
    let [made, token] = [many.at(0).performance(&concert, &Value::Null).await, tokens[1].clone()];
    many.at(1).hold(&token, &made, &[1]).await;
}
