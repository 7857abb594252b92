//! Time is the database's, whatever the clocks of the instances say.

use std::time::Duration;

use onsale_testing::{Call, Sale, now_millis, without};
use serde_json::{Value, json};

use crate::many::{Many, database, middle_and_longest, place_of};
use crate::support::evening::path_of;
use crate::support::room::{admitted_at, room, token};
use crate::support::{ONSALE, column, millis, until};

/// Clocks of the three instances, in seconds ahead of the machine's, which is the database's.
const AHEAD: [i64; 3] = [300, -300, 0];

/// How far an instance's notion of the database's clock may be off on a busy machine, in milliseconds: far less than
/// [`AHEAD`].
const CLOCK_ERROR_MAX: i64 = 10_000;

/// A hold that a test waits for the end of.
const HOLD_MILLIS: i64 = 5_000;

/// A hold that outlasts its test, on a slow machine too.
const LONG_HOLD_MILLIS: i64 = 120_000;

/// Three instances with clocks that are minutes apart. A hold lasts this long.
async fn start(hold_millis: i64) -> Option<Many> {
    if without("faketime") {
        return None;
    }
    let database = database().await?;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_HOLD_SECONDS", hold_millis / 1_000);
    let launches = AHEAD.map(|seconds| match seconds {
        0 => launch.another(),
        seconds => launch.another().clock_ahead(seconds),
    });
    let sales = futures_util::future::join_all(launches.iter().map(Sale::start)).await;
    Some(Many { sales, launch, database })
}

/// An instant that was read from the database's clock between now and `before`.
#[track_caller]
fn is_now(what: &str, instant: &Value, before: i64) {
    let (instant, now) = (millis(instant), now_millis());
    // An instance knows the database's clock from messages, which a busy machine may delay. Its own clock is minutes off.
    assert!(
        (before - CLOCK_ERROR_MAX..=now + CLOCK_ERROR_MAX).contains(&instant),
        "{what}: {instant}, and it is {before} to {now}"
    );
}

fn try_hold(sale: &Sale, token: &str, performance: &str, seat: u32) -> Call {
    let body = json!({"performanceId": performance, "seats": [seat]});
    sale.caller.post("/reservations").token(token).json(&body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_instant_is_the_databases() {
    let Some(many) = start(LONG_HOLD_MILLIS).await else { return };
    let concert = many.at(0).concert(&room(3)).await;
    let performance = many.at(1).performance(&concert, &Value::Null).await;
    let mut turns = Vec::new();
    for (number, sale) in many.sales.iter().enumerate() {
        let (user, before) = (format!("user-{number}"), now_millis());
        is_now("updatedAt", &sale.charge(&user, 1_000_000).await["updatedAt"], before);
        let entered = sale.enter(&concert, &user).await;
        is_now("issuedAt", &entered["issuedAt"], before);
        let active = sale.until_status(&token(&entered), "ACTIVE").await;
        let held = sale.hold(&token(&entered), &performance, &[u32::try_from(number).unwrap() + 1]).await;
        is_now("heldUntil", &json!(shifted(&held["heldUntil"], -LONG_HOLD_MILLIS)), before);
        let shown = sale.admin(sale.caller.post("/admin/lectures").json(&json!({
            "title": "Soon", "startsAt": onsale_testing::iso(3_600)})));
        shown.expect(201).await;
        turns.push((token(&entered), admitted_at(&active, 3_600), held));
    }
    let waiting = token(&many.at(0).enter(&concert, "waiting").await);
    let behind = token(&many.at(1).enter(&concert, "behind").await);
    for sale in &many.sales {
        for (place, position) in [(&waiting, 1), (&behind, 2)] {
            let before = now_millis();
            let shown = place_of(sale, place).await;
            assert_eq!((&shown["status"], &shown["position"]), (&json!("WAITING"), &json!(position)));
            is_now("asOf", &shown["asOf"], before);
        }
        for (token, admitted, held) in &turns {
            let before = now_millis();
            let shown = place_of(sale, token).await;
            is_now("asOf", &shown["asOf"], before);
            assert_eq!((&shown["status"], admitted_at(&shown, 3_600)), (&json!("ACTIVE"), *admitted), "agreed");
            assert_eq!(sale.caller.get(&path_of(held)).expect(200).await["heldUntil"], held["heldUntil"]);
        }
    }
    for (number, (token, _, held)) in turns.iter().enumerate() {
        let before = now_millis();
        let paid = many.at(number + 1).pay(token, held).expect(201).await;
        is_now("paidAt", &paid["paidAt"], before);
    }
    many.is_in_order().await;
}

/// An instant moved by this many milliseconds, in the format of the contract.
fn shifted(instant: &Value, by_millis: i64) -> String {
    let moved = jiff::Timestamp::from_millisecond(millis(instant) + by_millis).unwrap();
    format!("{moved:.3}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_lapses_by_the_clock_of_the_database() {
    let Some(many) = start(HOLD_MILLIS).await else { return };
    let concert = many.at(0).concert(&room(100)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let (ada, bob) = (many.at(0).active(&concert, "ada").await, many.at(1).active(&concert, "bob").await);
    many.at(2).charge("ada", 1_000_000).await;
    let mut taken_after = Vec::new();
    for round in 0..3 {
        let [here, there, yonder] = [0, 1, 2].map(|next| many.at(round + next));
        // Paid while it lasts, at an instance that believes it over, or not yet begun.
        let held = here.hold(&ada, &performance, &[30 + u32::try_from(round).unwrap()]).await;
        let other = here.hold(&ada, &performance, &[7]).await;
        there.pay(&ada, &held).expect(201).await;
        let lapse = millis(&other["heldUntil"]);
        let taken = until("the seat is free again", async || {
            let reply = try_hold(yonder, &bob, &performance, 7).send().await;
            (reply.status == 201).then(|| reply.json()).or_else(|| {
                let seconds: i64 = reply.header("retry-after").unwrap().parse().unwrap();
                assert!((0..=HOLD_MILLIS / 1_000).contains(&seconds), "{seconds} seconds to the lapse");
                reply.refused(409, "seat-taken");
                None
            })
        })
        .await;
        let after = millis(&taken["heldUntil"]) - HOLD_MILLIS - lapse;
        assert!(after >= 0, "taken {after} ms after the lapse");
        taken_after.push(Duration::from_millis(after.unsigned_abs()));
        for sale in &many.sales {
            sale.pay(&ada, &other).refused(410, "hold-expired").await;
            assert_eq!(sale.caller.get(&path_of(&other)).expect(200).await["status"], "EXPIRED");
        }
        there.caller.delete(&path_of(&taken)).token(&bob).expect(204).await;
        // A limit of four for a performance, those that lapsed not counted.
    }
    println!("a lapsed seat is taken (middle, longest) {:?} after the lapse", middle_and_longest(taken_after));
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_performance_starts_by_the_clock_of_the_database() {
    let Some(many) = start(HOLD_MILLIS).await else { return };
    let (soon, started) = (many.at(0).lecture_at(30, 280).await, many.at(1).lecture_at(30, -60).await);
    let concert = many.at(0).concert(&room(100)).await;
    let seats = json!([{"from": 1, "to": 9, "price": 10}]);
    let tonight = many.at(1).performance_at(&concert, &seats, 280).await;
    let over = many.at(2).performance_at(&concert, &seats, -60).await;
    for (number, sale) in (1_u32..).zip(&many.sales) {
        let user = format!("user-{number}");
        let apply =
            |lecture: &str| sale.caller.post("/lectures/apply").json(&json!({"userId": user, "lectureId": lecture}));
        apply(&soon).expect(201).await;
        apply(&started).refused(409, "lecture-closed").await;
        let open = sale.caller.get("/lectures?available=true").expect(200).await;
        assert!(!column(&open, "lectureId").contains(&json!(started)), "{open}");
        until("the lecture is listed", async || {
            let open = sale.caller.get("/lectures?available=true").expect(200).await;
            column(&open, "lectureId").contains(&json!(soon)).then_some(())
        })
        .await;
        let token = sale.active(&concert, &user).await;
        try_hold(sale, &token, &tonight, number).expect(201).await;
        try_hold(sale, &token, &over, number).refused(409, "performance-closed").await;
        until("the performance is listed", async || {
            let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&token).expect(200).await;
            (column(&dates, "performanceId") == [json!(tonight)]).then_some(())
        })
        .await;
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_end_by_the_databases_clock() {
    let Some(many) = start(HOLD_MILLIS).await else { return };
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 5, "claimSeconds": 3_600});
    let concert = many.at(0).concert(&settings).await;
    // Ada enters at the instance whose clock is late, the next user where it is early; each place is polled at all three.
    let ada = many.at(0).active(&concert, "ada").await;
    let until = millis(&place_of(many.at(0), &ada).await["activeUntil"]);
    let next = token(&many.at(1).enter(&concert, "next").await);
    let watching = many.sales.iter().map(|sale| {
        sale.until(&ada, |place| {
            let is_over = millis(&place["asOf"]) >= until;
            // The hold may be settled at the moment of the poll.
            let expected = if is_over { "EXPIRED" } else { "ACTIVE" };
            assert_eq!(place["status"], expected, "{place}, and it ends at {until}");
            is_over
        })
    });
    let (_, admitted) =
        tokio::join!(futures_util::future::join_all(watching), many.at(2).until_status(&next, "ACTIVE"));
    let after = admitted_at(&admitted, 5) - until;
    println!("the next was called {after} ms after the end of the turn before");
    // By a clock that is minutes off it would be minutes.
    assert!((0..CLOCK_ERROR_MAX).contains(&after), "{after} ms");
    many.is_in_order().await;
}
