//! Lectures: places, refusals, lists and history.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::{Call, Reply, Sale, now_millis};
use serde_json::{Value, json};
use support::{at_once, audit, column, count, millis, start, text, until, walk};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

fn apply(sale: &Sale, user: &str, lecture: &str) -> Call {
    sale.caller.post("/lectures/apply").json(&json!({"userId": user, "lectureId": lecture}))
}

fn cancel(sale: &Sale, user: &str, lecture: &str) -> Call {
    sale.caller.delete(&format!("/lectures/application/{user}/{lecture}"))
}

/// Creates a lecture with this body.
async fn open(sale: &Sale, body: &Value) -> Value {
    sale.admin(sale.caller.post("/admin/lectures").json(body)).expect(201).await
}

/// Waits until a list has this many titles, as it may lag by 3 s, and returns them.
async fn titles(sale: &Sale, query: &str, many: usize) -> Vec<Value> {
    let path = format!("/lectures{query}");
    until(&format!("{many} lectures at {path}"), async || {
        let titles = column(&sale.caller.get(&path).expect(200).await, "title");
        (titles.len() == many).then_some(titles)
    })
    .await
}

/// Waits until the only lecture is as wanted, and returns it.
async fn listed(sale: &Sale, wanted: impl Fn(&Value) -> bool) -> Value {
    until("the lecture as wanted", async || {
        let lectures = sale.caller.get("/lectures").expect(200).await;
        Some(lectures[0].clone()).filter(&wanted)
    })
    .await
}

async fn history(sale: &Sale, lecture: &str) -> Vec<Value> {
    let first = format!("/admin/lectures/{lecture}/history?limit=200");
    walk(&first, |page| sale.admin(sale.caller.get(page))).await
}

#[tokio::test]
async fn a_lecture_is_created_as_requested() {
    let sale = start(&[]).await;
    let starts_at = onsale_testing::iso(86_400);
    let told = json!({"title": "Rows and locks", "lecturer": "Ada", "startsAt": starts_at, "capacity": 7});
    let made = open(&sale, &told).await;
    assert_eq!((&made["title"], &made["lecturer"]), (&told["title"], &told["lecturer"]));
    assert_eq!(made["startsAt"], starts_at.replace('Z', ".000Z"));
    assert_eq!((&made["capacity"], &made["enrolled"], &made["remaining"]), (&json!(7), &json!(0), &json!(7)));
    assert_eq!(listed(&sale, Value::is_object).await, made, "made as the list shows it");
}

#[tokio::test]
async fn a_lecture_has_thirty_places_by_default() {
    let sale = start(&[]).await;
    let made = open(&sale, &json!({"title": "Untold", "startsAt": "2090-01-01T10:00:00+09:00"})).await;
    assert_eq!((&made["capacity"], &made["lecturer"]), (&json!(30), &Value::Null));
    assert_eq!(made["startsAt"], "2090-01-01T01:00:00.000Z", "in UTC, whatever the offset");
    for (capacity, starts_at) in [(1, "2090-01-02T00:00:00Z"), (1_000_000, "2090-01-03T00:00:00.5Z")] {
        let made = open(&sale, &json!({"title": "Bounds", "startsAt": starts_at, "capacity": capacity})).await;
        assert_eq!((&made["capacity"], &made["remaining"]), (&json!(capacity), &json!(capacity)));
    }
}

#[tokio::test]
async fn a_user_gets_one_place_per_lecture() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(2).await;
    let applied = apply(&sale, "ada", &lecture).expect(201).await;
    assert_eq!((&applied["lectureId"], &applied["userId"]), (&json!(lecture), &json!("ada")));
    assert_eq!(applied["seatNumber"], 1);
    assert!((now_millis() - millis(&applied["appliedAt"])).abs() < 60_000, "now: {applied}");
    apply(&sale, "ada", &lecture).refused(409, "already-applied").await;
    assert_eq!(apply(&sale, "bob", &lecture).expect(201).await["seatNumber"], 2);

    apply(&sale, "ada", &lecture).refused(409, "already-applied").await;
    apply(&sale, "eve", &lecture).refused(409, "lecture-full").await;
    apply(&sale, "eve", UNKNOWN).refused(404, "lecture-not-found").await;
    let full = listed(&sale, |lecture| lecture["remaining"] == 0).await;
    assert_eq!(full["enrolled"], 2);
}

#[tokio::test]
async fn refusals_have_the_documented_order() {
    let sale = start(&[]).await;
    let lecture = sale.lecture_at(1, 7).await;
    apply(&sale, "ada", &lecture).expect(201).await;
    apply(&sale, "bob", &lecture).refused(409, "lecture-full").await;
    until("the lecture has started", async || {
        let reply = apply(&sale, "bob", &lecture).send().await;
        assert!(["lecture-full", "lecture-closed"].contains(&reply.code().as_str()), "{reply:?}");
        (reply.code() == "lecture-closed").then_some(())
    })
    .await;
    apply(&sale, "ada", &lecture).refused(409, "already-applied").await;

    let past = sale.lecture_at(5, -60).await;
    apply(&sale, "ada", &past).refused(409, "lecture-closed").await;
    assert_eq!(history(&sale, &past).await.len(), 0, "a refusal leaves no trace");
}

#[tokio::test]
async fn a_cancelled_place_is_free_again() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(5).await;
    for (seat, user) in (1..).zip(["a", "b", "c", "d", "e"]) {
        assert_eq!(apply(&sale, user, &lecture).expect(201).await["seatNumber"], seat);
    }
    apply(&sale, "f", &lecture).refused(409, "lecture-full").await;
    for user in ["d", "b"] {
        assert_eq!(cancel(&sale, user, &lecture).expect(204).await, Value::Null);
        cancel(&sale, user, &lecture).refused(404, "application-not-found").await;
    }
    listed(&sale, |lecture| lecture["enrolled"] == 3 && lecture["remaining"] == 2).await;
    assert_eq!(apply(&sale, "f", &lecture).expect(201).await["seatNumber"], 2, "the lowest free number");
    assert_eq!(apply(&sale, "b", &lecture).expect(201).await["seatNumber"], 4);
    apply(&sale, "d", &lecture).refused(409, "lecture-full").await;
    cancel(&sale, "d", &lecture).refused(404, "application-not-found").await;
    cancel(&sale, "a", UNKNOWN).refused(404, "application-not-found").await;

    let history = history(&sale, &lecture).await;
    let line = |row: &Value| (text(&row["userId"]), text(&row["type"]), row["seatNumber"].as_u64().unwrap());
    let expected = [
        ("a", "APPLIED", 1),
        ("b", "APPLIED", 2),
        ("c", "APPLIED", 3),
        ("d", "APPLIED", 4),
        ("e", "APPLIED", 5),
        ("d", "CANCELLED", 4),
        ("b", "CANCELLED", 2),
        ("f", "APPLIED", 2),
        ("b", "APPLIED", 4),
    ];
    let expected = expected.map(|(user, kind, seat)| (user.to_owned(), kind.to_owned(), seat));
    assert_eq!(history.iter().map(line).collect::<Vec<_>>(), expected, "oldest first, never rewritten");
    assert!(history.is_sorted_by_key(|row| millis(&row["createdAt"])));
    audit(&sale).await;
}

#[tokio::test]
async fn a_user_lists_their_own_applications() {
    let sale = start(&[]).await;
    let (one, two) = (sale.lecture(3).await, sale.lecture_at(3, 3 * 86_400).await);
    let of = |user: &str, query: &str| sale.caller.get(&format!("/lectures/application/{user}{query}")).expect(200);
    assert_eq!(of("ada", "").await, json!({"userId": "ada", "applied": false, "applications": []}));

    let applied = apply(&sale, "ada", &one).expect(201).await;
    let shown = of("ada", "").await;
    assert_eq!((&shown["applied"], &shown["userId"]), (&json!(true), &json!("ada")));
    let application = &shown["applications"][0];
    assert_eq!((&application["lectureId"], &application["title"]), (&json!(one), &json!("A lecture")));
    assert_eq!(application["appliedAt"], applied["appliedAt"]);
    millis(&application["startsAt"]);

    let about = |lecture: &str| format!("?lectureId={lecture}");
    assert_eq!(of("ada", &about(&one)).await["applied"], true);
    let other = json!({"userId": "ada", "applied": false, "applications": []});
    assert_eq!(of("ada", &about(&two)).await, other, "about that lecture alone");
    assert_eq!(of("bob", "").await["applied"], false);

    apply(&sale, "ada", &two).expect(201).await;
    let mut both = column(&of("ada", "").await["applications"], "lectureId");
    both.sort_by_key(Value::to_string);
    let mut expected = [json!(one), json!(two)];
    expected.sort_by_key(Value::to_string);
    assert_eq!(both, expected);
    cancel(&sale, "ada", &one).expect(204).await;
    assert_eq!(column(&of("ada", "").await["applications"], "lectureId"), [json!(two)]);
}

#[tokio::test]
async fn of_six_hundred_users_exactly_thirty_get_a_place() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(30).await;
    let calls: Vec<Call> = (0..600).map(|n| apply(&sale, &format!("user-{n}"), &lecture)).collect();
    let replies = at_once(calls).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 409, "lecture-full")), (30, 570));
    seats_are_each_given_once(&replies, 30);
    let lecture_shown = listed(&sale, |lecture| lecture["remaining"] == 0).await;
    assert_eq!(lecture_shown["enrolled"], 30);
    let lines = history(&sale, &lecture).await;
    assert_eq!(lines.len(), 30);
    let places: Vec<u64> = lines.iter().map(|line| line["seatNumber"].as_u64().unwrap()).collect();
    assert_eq!(places, (1..=30).collect::<Vec<_>>(), "the lowest free number each time");
    audit(&sale).await;
}

fn seats_are_each_given_once(replies: &[Reply], capacity: u64) {
    let taken = replies.iter().filter(|reply| reply.status == 201);
    let mut seats: Vec<u64> = taken.map(|reply| reply.json()["seatNumber"].as_u64().unwrap()).collect();
    seats.sort_unstable();
    assert_eq!(seats, (1..=capacity).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_user_who_applies_repeatedly_gets_one_place() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(30).await;
    let replies = at_once((0..100).map(|_| apply(&sale, "ada", &lecture))).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 409, "already-applied")), (1, 99));
    assert_eq!(history(&sale, &lecture).await.len(), 1);

    // Concurrent applications and cancellations leave a consistent history.
    let users: Vec<String> = (0..40).map(|n| format!("user-{n}")).collect();
    let calls = users.iter().flat_map(|user| [apply(&sale, user, &lecture), cancel(&sale, user, &lecture)]);
    let replies = at_once(calls).await;
    let gone = replies.iter().filter(|reply| reply.status == 204).count();
    let came = count(&replies, 201, "");
    let lecture_shown = listed(&sale, |lecture| lecture["enrolled"] == 1 + came - gone).await;
    assert_eq!(lecture_shown["remaining"], 30 - (1 + came - gone));
    assert_eq!(history(&sale, &lecture).await.len(), 1 + came + gone);
    audit(&sale).await;
}

#[tokio::test]
async fn lists_are_ordered_by_start_and_filtered_by_date_in_seoul() {
    let sale = start(&[]).await;
    // Titles say the date in Seoul, nine hours ahead.
    for (title, starts_at) in [
        ("2nd, last instant", "2090-05-02T14:59:59.999Z"),
        ("2nd, first instant", "2090-05-01T15:00:00Z"),
        ("1st", "2090-05-01T14:59:59Z"),
        ("3rd", "2090-05-02T15:00:00Z"),
        ("2nd, noon", "2090-05-02T12:00:00+09:00"),
    ] {
        open(&sale, &json!({"title": title, "startsAt": starts_at})).await;
    }
    let second = ["2nd, first instant", "2nd, noon", "2nd, last instant"];
    assert_eq!(titles(&sale, "?date=2090-05-02", 3).await, second);
    assert_eq!(titles(&sale, "?date=2090-05-01", 1).await, ["1st"]);
    assert_eq!(titles(&sale, "?date=2090-05-03", 1).await, ["3rd"]);
    assert_eq!(titles(&sale, "?date=2090-05-04", 0).await, [Value::Null; 0]);
    let all = ["1st", second[0], second[1], second[2], "3rd"];
    assert_eq!(titles(&sale, "", 5).await, all);
    assert_eq!(titles(&sale, "?available=true", 5).await, all);
    assert_eq!(titles(&sale, "?available=false&date=2090-05-03", 1).await, ["3rd"]);
}

#[tokio::test]
async fn dates_are_read_in_the_zone_of_the_setting() {
    let sale = start(&[("ONSALE_TIMEZONE", "America/New_York")]).await;
    // New York is four hours behind in May, five in January.
    open(&sale, &json!({"title": "summer", "startsAt": "2090-05-02T03:59:59Z"})).await;
    open(&sale, &json!({"title": "winter", "startsAt": "2090-01-02T05:00:00Z"})).await;
    assert_eq!(titles(&sale, "?date=2090-05-01", 1).await, ["summer"]);
    assert_eq!(titles(&sale, "?date=2090-05-02", 0).await, [Value::Null; 0]);
    assert_eq!(titles(&sale, "?date=2090-01-02", 1).await, ["winter"]);
}

#[tokio::test]
async fn the_list_begins_today_by_default() {
    // A zone in which it is about noon now, so that an hour ago is today.
    let hour = now_millis() / 3_600_000 % 24;
    let zone = format!("Etc/GMT{:+}", hour - 12);
    let sale = start(&[("ONSALE_TIMEZONE", &zone)]).await;
    let mut made = Vec::new();
    for (title, seconds) in [("yesterday", -86_400), ("today", -3_600), ("tomorrow", 86_400), ("soon", 3_600)] {
        made.push(open(&sale, &json!({"title": title, "startsAt": onsale_testing::iso(seconds), "capacity": 1})).await);
    }
    assert_eq!(titles(&sale, "", 3).await, ["today", "soon", "tomorrow"]);
    assert_eq!(titles(&sale, "?available=true", 2).await, ["soon", "tomorrow"], "those that have started are not");
    let yesterday = text(&made[0]["startsAt"])[..10].to_owned();
    let shifted = yesterday.parse::<jiff::civil::Date>().unwrap();
    let dates = [shifted.yesterday().unwrap(), shifted, shifted.tomorrow().unwrap()];
    let mut found = Vec::new();
    for date in dates {
        found.extend(column(&sale.caller.get(&format!("/lectures?date={date}")).expect(200).await, "title"));
    }
    assert!(found.contains(&json!("yesterday")), "a date that is past can be named: {found:?}");

    apply(&sale, "ada", made[3]["lectureId"].as_str().unwrap()).expect(201).await;
    assert_eq!(titles(&sale, "?available=true", 1).await, ["tomorrow"], "nor those that are full");
    assert_eq!(titles(&sale, "", 3).await, ["today", "soon", "tomorrow"]);
}

#[tokio::test]
async fn the_history_needs_the_admin_key() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(3).await;
    let path = format!("/admin/lectures/{lecture}/history");
    assert_eq!(sale.admin(sale.caller.get(&path)).expect(200).await, json!([]));
    sale.caller.get(&path).refused(401, "admin-key-invalid").await;
    let unknown = format!("/admin/lectures/{UNKNOWN}/history");
    sale.admin(sale.caller.get(&unknown)).refused(404, "lecture-not-found").await;
}
