//! Waiting lists of lectures: order, positions, promotions, and who may see them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};
use support::{at_once, audit, column, count, start, text, until, walk};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

fn apply(sale: &Sale, user: &str, lecture: &str, waitlist: bool) -> Call {
    let body = json!({"userId": user, "lectureId": lecture, "waitlist": waitlist});
    sale.caller.post("/lectures/apply").json(&body)
}

fn cancel(sale: &Sale, user: &str, lecture: &str) -> Call {
    sale.caller.delete(&format!("/lectures/application/{user}/{lecture}"))
}

fn change(sale: &Sale, lecture: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/lectures/{lecture}"))).json(body)
}

async fn by_staff(sale: &Sale, path: &str) -> Value {
    sale.admin(sale.caller.get(&format!("/admin/lectures/{path}"))).expect(200).await
}

/// The lines of a history: type, user, and seat number or position.
async fn history(sale: &Sale, lecture: &str) -> Vec<(String, String, Option<u64>)> {
    let first = format!("/admin/lectures/{lecture}/history?limit=200");
    let lines = walk(&first, |page| sale.admin(sale.caller.get(page))).await;
    let number = |line: &Value| line["seatNumber"].as_u64().or(line["position"].as_u64());
    lines.iter().map(|line| (text(&line["type"]), text(&line["userId"]), number(line))).collect()
}

#[tokio::test]
async fn a_freed_place_goes_to_the_first_who_waits() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(1).await;
    let placed = apply(&sale, "ada", &lecture, true).expect(201).await;
    assert_eq!((&placed["status"], &placed["seatNumber"]), (&json!("APPLIED"), &json!(1)));
    apply(&sale, "bob", &lecture, false).refused(409, "lecture-full").await;
    for (user, position) in [("bob", 1), ("cyd", 2), ("dan", 3)] {
        let waits = apply(&sale, user, &lecture, true).expect(202).await;
        let shown = (&waits["status"], &waits["position"], &waits["userId"], &waits["lectureId"]);
        assert_eq!(shown, (&json!("WAITLISTED"), &json!(position), &json!(user), &json!(lecture)));
    }
    let again = apply(&sale, "cyd", &lecture, false).refused(409, "already-waitlisted").await;
    assert_eq!(again["position"], 2);
    cancel(&sale, "bob", &lecture).expect(204).await;
    cancel(&sale, "bob", &lecture).refused(404, "application-not-found").await;
    cancel(&sale, "ada", &lecture).expect(204).await;

    apply(&sale, "cyd", &lecture, true).refused(409, "already-applied").await;
    let again = apply(&sale, "dan", &lecture, true).refused(409, "already-waitlisted").await;
    assert_eq!(again["position"], 1);
    let shown = by_staff(&sale, &lecture).await;
    assert_eq!((&shown["enrolled"], &shown["remaining"], &shown["waitlisted"]), (&json!(1), &json!(0), &json!(1)));
    let line = |kind: &str, user: &str, number| (kind.to_owned(), user.to_owned(), number);
    let expected = [
        line("APPLIED", "ada", Some(1)),
        line("WAITLISTED", "bob", Some(1)),
        line("WAITLISTED", "cyd", Some(2)),
        line("WAITLISTED", "dan", Some(3)),
        line("LEFT", "bob", None),
        line("CANCELLED", "ada", Some(1)),
        line("PROMOTED", "cyd", Some(1)),
    ];
    assert_eq!(history(&sale, &lecture).await, expected);
    audit(&sale).await;
}

#[tokio::test]
async fn a_user_sees_places_and_positions_apart() {
    let sale = start(&[]).await;
    let (full, free) = (sale.lecture(1).await, sale.lecture_at(5, 2 * 86_400).await);
    apply(&sale, "ada", &full, true).expect(201).await;
    apply(&sale, "bob", &full, true).expect(202).await;
    let of = |query: &str| sale.caller.get(&format!("/lectures/application/bob{query}")).expect(200);
    let waits = of("").await;
    assert_eq!((&waits["applied"], waits["applications"].as_array().unwrap().len()), (&json!(false), 1));
    apply(&sale, "bob", &free, true).expect(201).await;
    let both = of("").await;
    assert_eq!(both["applied"], true);
    assert_eq!(column(&both["applications"], "status"), [json!("WAITLISTED"), json!("APPLIED")]);
    assert_eq!(column(&both["applications"], "position"), [json!(1), Value::Null]);
    assert_eq!(of(&format!("?lectureId={full}")).await["applied"], false, "about that lecture alone");

    let lists = sale.caller.get("/users/bob/waitlists").expect(200).await;
    assert_eq!((column(&lists, "lectureId"), column(&lists, "position")), (vec![json!(full)], vec![json!(1)]));
    cancel(&sale, "ada", &full).expect(204).await;
    assert_eq!(sale.caller.get("/users/bob/waitlists").expect(200).await, json!([]));
    let placed = of(&format!("?lectureId={full}")).await;
    assert_eq!(placed["applications"][0]["status"], "APPLIED");
    assert_eq!(placed["applications"][0]["appliedAt"], waits["applications"][0]["appliedAt"], "when bob applied");
}

#[tokio::test]
async fn lists_show_how_many_wait_and_what_is_available() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(1).await;
    for (user, status) in [("ada", 201), ("bob", 202), ("cyd", 202)] {
        apply(&sale, user, &lecture, true).expect(status).await;
    }
    until("the list shows the users who wait", async || {
        let all = sale.caller.get("/lectures").expect(200).await;
        (all[0]["waitlisted"] == 2 && all[0]["enrolled"] == 1).then_some(())
    })
    .await;
    // The lecture is closed, so no user gets the free place yet.
    change(&sale, &lecture, &json!({"closed": true})).expect(200).await;
    cancel(&sale, "ada", &lecture).expect(204).await;
    assert_eq!(by_staff(&sale, &lecture).await["waitlisted"], 2);
    let opened = change(&sale, &lecture, &json!({"closed": false})).expect(200).await;
    assert_eq!((&opened["enrolled"], &opened["waitlisted"]), (&json!(1), &json!(1)), "reopening promotes first");
    assert_eq!(sale.caller.get("/lectures?available=true").expect(200).await, json!([]));
}

#[tokio::test]
async fn staff_see_and_change_a_waiting_list() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(1).await;
    for (user, status) in [("ada", 201), ("bob", 202), ("cyd", 202), ("dan", 202), ("eve", 202)] {
        apply(&sale, user, &lecture, true).expect(status).await;
    }
    let first = format!("/admin/lectures/{lecture}/waitlist?limit=2");
    let list = json!(walk(&first, |page| sale.admin(sale.caller.get(page))).await);
    assert_eq!(column(&list, "userId"), ["bob", "cyd", "dan", "eve"]);
    assert_eq!(column(&list, "position"), [1, 2, 3, 4]);
    assert_eq!(column(&by_staff(&sale, &format!("{lecture}/applicants")).await, "userId"), ["ada"]);
    let remove = |user: &str| sale.admin(sale.caller.delete(&format!("/admin/lectures/{lecture}/applications/{user}")));
    remove("cyd").expect(204).await;
    remove("ada").expect(204).await;
    remove("ada").refused(404, "application-not-found").await;
    assert_eq!(column(&by_staff(&sale, &format!("{lecture}/applicants")).await, "userId"), ["bob"]);
    assert_eq!(column(&by_staff(&sale, &format!("{lecture}/waitlist")).await, "position"), [1, 2]);
    let unknown = sale.caller.get(&format!("/admin/lectures/{UNKNOWN}/waitlist"));
    sale.admin(unknown).refused(404, "lecture-not-found").await;

    let cancel = sale.caller.post(&format!("/admin/lectures/{lecture}/cancel")).json(&json!({"reason": "ill"}));
    assert_eq!(sale.admin(cancel).expect(202).await["applications"], 1);
    until("no application and no entry is left", async || {
        (by_staff(&sale, &format!("{lecture}/cancellation")).await["state"] == "DONE").then_some(())
    })
    .await;
    let shown = by_staff(&sale, &lecture).await;
    assert_eq!((&shown["enrolled"], &shown["waitlisted"]), (&json!(0), &json!(0)));
    apply(&sale, "dan", &lecture, true).refused(409, "lecture-closed").await;
    audit(&sale).await;
}

/// No transaction changes anything at the opening, so a step promotes the user.
#[tokio::test]
async fn an_opening_by_the_clock_promotes() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(1).await;
    for (user, status) in [("ada", 201), ("bob", 202)] {
        apply(&sale, user, &lecture, true).expect(status).await;
    }
    change(&sale, &lecture, &json!({"opensAt": iso(2)})).expect(200).await;
    cancel(&sale, "ada", &lecture).expect(204).await;
    until("the user has the place", async || (by_staff(&sale, &lecture).await["enrolled"] == 1).then_some(())).await;
    apply(&sale, "bob", &lecture, true).refused(409, "already-applied").await;
    audit(&sale).await;
}

#[tokio::test]
async fn many_places_are_given_in_steps() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(1).await;
    let users: Vec<String> = (0..1_300).map(|number| format!("user-{number}")).collect();
    for some in users.chunks(325) {
        at_once(some.iter().map(|user| apply(&sale, user, &lecture, true))).await;
    }
    let larger = change(&sale, &lecture, &json!({"capacity": 2_000})).expect(200).await;
    assert_eq!((&larger["enrolled"], &larger["waitlisted"]), (&json!(1_001), &json!(299)));
    until("each user has a place", async || (by_staff(&sale, &lecture).await["enrolled"] == 1_300).then_some(())).await;
    apply(&sale, "later", &lecture, false).expect(201).await;
    let lines = history(&sale, &lecture).await;
    let of = |wanted: &str| -> Vec<&String> {
        lines.iter().filter(|(kind, ..)| kind == wanted).map(|(_, user, _)| user).collect()
    };
    assert_eq!(of("WAITLISTED"), of("PROMOTED"), "in the order in which they joined");
    audit(&sale).await;
}

/// The answer is kept, also after the user got a place.
#[tokio::test]
async fn a_key_repeats_the_answer() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(1).await;
    apply(&sale, "ada", &lecture, true).expect(201).await;
    let waits = apply(&sale, "bob", &lecture, true).key("one").expect(202).await;
    cancel(&sale, "ada", &lecture).expect(204).await;
    assert_eq!(apply(&sale, "bob", &lecture, true).key("one").expect(202).await, waits);
    let refused = apply(&sale, "bob", &lecture, true).key("two").refused(409, "already-applied").await;
    assert_eq!(apply(&sale, "bob", &lecture, true).key("two").refused(409, "already-applied").await, refused);
}

#[tokio::test]
async fn a_storm_keeps_the_order_and_leaves_no_place_free() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(5).await;
    let calls: Vec<Call> = (0..400)
        .map(|number| {
            let user = format!("user-{}", number % 30);
            match number % 7 {
                0..4 => apply(&sale, &user, &lecture, number % 2 == 0),
                4 | 5 => cancel(&sale, &user, &lecture),
                _ => change(&sale, &lecture, &json!({"capacity": 3 + number % 5})),
            }
        })
        .collect();
    let replies = at_once(calls).await;
    assert!(replies.iter().all(|reply| reply.status.as_u16() < 500), "{replies:?}");
    let shown = by_staff(&sale, &lecture).await;
    assert!(shown["remaining"] == 0 || shown["waitlisted"] == 0, "a free place although users wait: {shown}");
    let lines = history(&sale, &lecture).await;
    let many = |wanted: &str| lines.iter().filter(|(kind, ..)| kind == wanted).count();
    assert_eq!(many("APPLIED"), count(&replies, 201, ""));
    assert_eq!(many("WAITLISTED"), replies.iter().filter(|reply| reply.status == 202).count());
    assert_eq!(many("CANCELLED") + many("LEFT"), replies.iter().filter(|reply| reply.status == 204).count());
    let enrolled = usize::try_from(shown["enrolled"].as_u64().unwrap()).unwrap();
    assert_eq!(enrolled, many("APPLIED") + many("PROMOTED") - many("CANCELLED"));
    audit(&sale).await;
}
