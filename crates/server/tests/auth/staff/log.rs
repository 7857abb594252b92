//! The admin log: one entry for each call that changed something.

use serde_json::{Value, json};

use super::{answer, key, log, made};
use crate::support::room::room;
use crate::support::{ONSALE, audit, start, text};
use onsale_testing::Sale;

#[tokio::test]
async fn each_change_leaves_one_entry_with_what_changed() {
    let sale = start(&[]).await;
    let made = made(&sale, "ann", "organiser").await;
    let (ann, key_id) = (text(&made["key"]), &made["keyId"]);
    let lecture = json!({"title": "Rust", "lecturer": "Grace", "startsAt": "2090-01-01T10:00:00Z", "capacity": 7});
    let lecture = answer(|| sale.caller.post("/admin/lectures").bearer(&ann).json(&lecture)).await.expect(201);
    let concert = sale.concert(&room(10)).await;
    let queue = format!("/admin/concerts/{concert}/queue");
    let set = |body: Value| {
        let (caller, queue, ann) = (sale.caller.clone(), queue.clone(), ann.clone());
        move || caller.patch(&queue).bearer(&ann).json(&body).header("x-request-id", "the-request")
    };
    answer(set(json!({"maxActive": 77, "paused": true}))).await.expect(200);
    answer(set(json!({"maxActive": 77}))).await.expect(200);
    let of_concert = format!("/admin/concerts/{concert}");
    sale.admin(sale.caller.patch(&of_concert).json(&json!({"closed": true}))).expect(200).await;
    sale.admin(sale.caller.patch(&of_concert).json(&json!({"closed": true}))).expect(200).await;

    let entries = log(&sale, "").await;
    let mut said: Vec<(String, String)> =
        entries.iter().map(|entry| (text(&entry["actor"]["name"]), text(&entry["action"]))).collect();
    // Two entries of one millisecond have no order, so the order is not compared here.
    said.sort_unstable();
    let expected = [
        ("ann", "lecture.created"),
        ("ann", "queue.changed"),
        ("root", "concert.changed"),
        ("root", "concert.created"),
        ("root", "key.created"),
    ];
    let expected = expected.map(|(actor, action)| (actor.to_owned(), action.to_owned()));
    assert_eq!(said, expected, "nothing for what changed nothing");
    let entry = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap();
    let closed = entry("concert.changed");
    assert_eq!((&closed["before"], &closed["after"]), (&json!({"closed": false}), &json!({"closed": true})));
    assert_eq!(closed["actor"], json!({"keyId": null, "name": "root"}));
    let set = entry("queue.changed");
    assert_eq!(set["actor"], json!({"keyId": key_id, "name": "ann"}));
    assert_eq!((&set["subject"], &set["requestId"]), (&json!(format!("concert:{concert}")), &json!("the-request")));
    assert_eq!(set["before"], json!({"maxActive": 10, "paused": false}));
    assert_eq!(set["after"], json!({"maxActive": 77, "paused": true}));
    let first = entry("lecture.created");
    assert_eq!(first["subject"], format!("lecture:{}", text(&lecture["lectureId"])));
    assert_eq!((&first["before"], first.get("truncated")), (&Value::Null, None));
    let fields = json!({
        "title": "Rust", "lecturer": "Grace", "startsAt": "2090-01-01T10:00:00.000Z", "capacity": 7, "opensAt": null,
        "closed": false
    });
    assert_eq!(first["after"], fields);
    audit(&sale).await;
}

#[tokio::test]
async fn the_log_is_filtered() {
    let sale = start(&[]).await;
    let made = made(&sale, "ann & bob", "organiser").await;
    let ann = text(&made["key"]);
    for title in ["one", "two", "three"] {
        let body = json!({"title": title, "startsAt": "2090-01-01T10:00:00Z"});
        answer(|| sale.caller.post("/admin/lectures").bearer(&ann).json(&body)).await.expect(201);
    }
    let lecture = sale.lecture(5).await;
    for (query, many) in [
        ("&action=lecture.created".to_owned(), 4),
        (format!("&actor={}", text(&made["keyId"])), 3),
        ("&actor=ann+%26+bob".to_owned(), 3),
        ("&actor=root".to_owned(), 2),
        ("&actor=root&action=lecture.created".to_owned(), 1),
        (format!("&subject=lecture:{lecture}"), 1),
        (format!("&subject=lecture:{lecture}&actor=ann+%26+bob"), 0),
        ("&subject=user:absent".to_owned(), 0),
        ("&actor=absent".to_owned(), 0),
    ] {
        assert_eq!(log(&sale, &query).await.len(), many, "{query}");
    }
    let wrongs = ["action=lecture.made", "who=ann", "limit=201", "cursor=x", "subject=x", "actor=", "actor=%00"];
    for wrong in wrongs {
        sale.admin(sale.caller.get(&format!("/admin/log?{wrong}"))).refused(422, "invalid-request").await;
    }
}

#[tokio::test]
async fn only_owners_see_log_entries_about_keys() {
    let sale = start(&[]).await;
    let mut keys = Vec::new();
    for role in ["owner", "organiser", "support"] {
        keys.push((role, key(&sale, role, role).await));
    }
    sale.lecture(5).await;
    for (role, key) in &keys {
        let read = |query: &'static str| sale.caller.get(&format!("/admin/log?limit=200{query}")).bearer(key);
        let shown = answer(|| read("")).await.expect(200);
        let of_keys = answer(|| read("&action=key.created")).await.expect(200);
        let expected = if *role == "owner" { (4, 3) } else { (1, 0) };
        let many = |list: &Value| list.as_array().unwrap().len();
        assert_eq!((many(&shown), many(&of_keys)), expected, "{role}");
    }
}

#[tokio::test]
async fn a_long_entry_is_cut() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let sections: Vec<Value> = (0..1_000).map(|number| json!({"from": 2 * number + 1, "to": 2 * number + 2})).collect();
    let performance = sale.performance(&concert, &json!(sections)).await;
    let entries = log(&sale, &format!("&subject=performance:{performance}")).await;
    let entry = &entries[0];
    assert_eq!((&entry["truncated"], &entry["before"]), (&json!(true), &Value::Null));
    let seats = entry["after"]["seats"].as_array().unwrap();
    assert!((200..1_000).contains(&seats.len()), "{}", seats.len());
    assert_eq!(seats[1], json!({"from": 3, "to": 4, "grade": "R", "price": 50_000}));
    assert!(entry["after"].to_string().len() <= 16 * 1024);
    audit(&sale).await;
}

#[tokio::test]
async fn entries_cannot_be_changed_or_deleted() {
    // Postgres: `many_instances/staff.rs`.
    let launch = Sale::launch(ONSALE).on("sqlite://onsale.db");
    let sale = Sale::start(&launch).await;
    key(&sale, "ann", "door").await;
    let db = rusqlite::Connection::open(launch.folder().join("onsale.db")).unwrap();
    for sql in [
        "UPDATE admin_log SET actor = 'eve'",
        "UPDATE admin_log SET after = NULL",
        "DELETE FROM admin_log",
        "DELETE FROM staff_keys",
        "UPDATE staff_keys SET role = 'owner'",
        "UPDATE staff_keys SET name = 'eve'",
        "UPDATE staff_keys SET hash = randomblob(32)",
    ] {
        let refused = db.execute_batch(sql).unwrap_err().to_string();
        assert!(refused.contains("never"), "{sql}: {refused}");
    }
    assert_eq!(log(&sale, "").await.len(), 1);
    audit(&sale).await;
}

#[tokio::test]
async fn a_change_and_its_entry_are_kept_together_or_not_at_all() {
    let launch = Sale::launch(ONSALE);
    let mut sale = Sale::start(&launch).await;
    let ann = key(&sale, "ann", "organiser").await;
    let mut made = 0;
    for round in 0..3 {
        let calls: Vec<_> = (0..20)
            .map(|number| {
                let body = json!({"title": format!("{round} {number}"), "startsAt": "2090-01-01T10:00:00Z"});
                sale.caller.post("/admin/lectures").bearer(&ann).json(&body)
            })
            .collect();
        let sent: Vec<_> = calls.into_iter().map(|call| tokio::spawn(call.try_send())).collect();
        // Killed while some of them run: how many were done is not known.
        sale.instance.kill().await;
        for sent in sent {
            made += usize::from(sent.await.unwrap().is_ok_and(|reply| reply.status == 201));
        }
        sale = Sale::start(&launch).await;
        audit(&sale).await;
    }
    let entries = log(&sale, "&action=lecture.created").await;
    let mut logged: Vec<String> = entries.iter().map(|entry| text(&entry["subject"])).collect();
    let lectures = crate::support::walk("/lectures?limit=200", |path| sale.caller.get(path)).await;
    let mut stored: Vec<String> =
        lectures.iter().map(|lecture| format!("lecture:{}", text(&lecture["lectureId"]))).collect();
    logged.sort_unstable();
    stored.sort_unstable();
    assert_eq!(logged, stored, "each lecture has its entry, and each entry its lecture");
    assert!(stored.len() >= made, "{} stored, {made} answered", stored.len());
}
