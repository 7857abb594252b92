//! Keys of staff on several instances: made at one, used at another, deleted while they are used.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::{answer, text, until, walk};

async fn made(sale: &Sale, name: &str, role: &str) -> Value {
    let body = json!({"name": name, "role": role});
    sale.admin(sale.caller.post("/admin/keys").json(&body)).expect(201).await
}

async fn log(sale: &Sale, query: &str) -> Vec<Value> {
    walk(&format!("/admin/log?limit=200{query}"), |path| sale.admin(sale.caller.get(path))).await
}

/// Under an idempotency key: the call may be sent again after an answer that leaves the outcome open.
fn lecture(sale: &Sale, bearer: &str, title: &str, key: &str) -> Call {
    let body = json!({"title": title, "startsAt": "2090-01-01T10:00:00Z"});
    sale.caller.post("/admin/lectures").json(&body).bearer(bearer).key(key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_one_instance_made_opens_every_instance() {
    let Some(many) = Many::start(3, &[]).await else { return };
    for round in 0..3 {
        let made = made(many.at(round), &format!("organiser {round}"), "organiser").await;
        let key = text(&made["key"]);
        // At once, although the other instances have not checked for changes yet.
        for (number, sale) in many.sales.iter().enumerate() {
            let once = format!("{round}-{number}");
            answer(|| lecture(sale, &key, "from everywhere", &once)).await.expect(201);
        }
        let path = format!("/admin/keys/{}", text(&made["keyId"]));
        many.at(round + 1).admin(many.at(round + 1).caller.delete(&path)).expect(204).await;
        for sale in &many.sales {
            answer(|| lecture(sale, &key, "too late", "late")).await.refused(401, "admin-key-invalid");
            let reads = async || {
                let reply = answer(|| sale.caller.get("/admin/log").bearer(&key)).await;
                (reply.status == 401).then_some(())
            };
            until("the key ends for reads too", reads).await;
        }
    }
    assert_eq!(log(many.at(0), "&action=lecture.created").await.len(), 9);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_saved_after_the_answer_to_a_deletion() {
    let Some(many) = Many::start(3, &[]).await else { return };
    for round in 0..4_usize {
        let name = format!("organiser {round}");
        let made = made(many.at(0), &name, "organiser").await;
        let (key, is_deleted) = (text(&made["key"]), Arc::new(AtomicBool::new(false)));
        let acting: Vec<_> = (0..6)
            .map(|number| {
                let (caller, key, is_deleted) = (many.at(number).caller.clone(), key.clone(), is_deleted.clone());
                tokio::spawn(async move {
                    let mut done = Vec::new();
                    loop {
                        // Read before the request is sent: one that is sent after the answer must change nothing.
                        let is_late = is_deleted.load(Ordering::SeqCst);
                        let body = json!({"title": "in time", "startsAt": "2090-01-01T10:00:00Z"});
                        let reply = caller.post("/admin/lectures").json(&body).bearer(&key).send().await;
                        match reply.status.as_u16() {
                            201 => {
                                assert!(!is_late, "a change after the answer to the deletion: {reply:?}");
                                done.push(text(&reply.json()["lectureId"]));
                            }
                            401 => return done,
                            _ => assert!(["unavailable", "overloaded"].contains(&&*reply.code()), "{reply:?}"),
                        }
                    }
                })
            })
            .collect();
        let sale = many.at(round);
        until("the key is in use", async || {
            (log(sale, &format!("&actor={}", text(&made["keyId"]))).await.len() > 5).then_some(())
        })
        .await;
        let path = format!("/admin/keys/{}", text(&made["keyId"]));
        let deleted = answer(|| sale.admin(sale.caller.delete(&path))).await;
        is_deleted.store(true, Ordering::SeqCst);
        deleted.expect(204);
        let logged = subjects(sale, &made).await;
        let mut done = BTreeSet::new();
        for acted in acting {
            done.extend(acted.await.unwrap().into_iter().map(|lecture| format!("lecture:{lecture}")));
        }
        assert_eq!(subjects(sale, &made).await, logged, "nothing was saved after the answer");
        assert!(done.is_subset(&logged), "what was answered is in the log");
    }
    many.is_in_order().await;
}

/// What the owner of a key made, by the log.
async fn subjects(sale: &Sale, made: &Value) -> BTreeSet<String> {
    let entries = log(sale, &format!("&actor={}", text(&made["keyId"]))).await;
    entries.iter().map(|entry| text(&entry["subject"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_name_is_given_once_by_all_instances() {
    let Some(many) = Many::start(3, &[]).await else { return };
    for round in 0..10 {
        let body = json!({"name": format!("name {round}"), "role": "door"});
        let calls = many.sales.iter().map(|sale| sale.admin(sale.caller.post("/admin/keys").json(&body)));
        let replies = crate::support::at_once(calls.collect::<Vec<_>>()).await;
        assert_eq!(crate::support::count(&replies, 201, ""), 1, "{replies:?}");
        assert_eq!(crate::support::count(&replies, 409, "key-name-taken"), 2, "{replies:?}");
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_refuses_to_change_the_log() {
    let Some(many) = Many::start(1, &[]).await else { return };
    made(many.at(0), "ann", "door").await;
    let sql = many.sql().await;
    for statement in [
        "UPDATE admin_log SET actor = 'eve'",
        "DELETE FROM admin_log",
        "TRUNCATE admin_log",
        "UPDATE staff_keys SET role = 'owner'",
        "DELETE FROM staff_keys",
        "TRUNCATE staff_keys",
        "TRUNCATE external_charges",
    ] {
        let refused = sql.batch_execute(statement).await.unwrap_err();
        let said = refused.as_db_error().map_or_else(String::new, |error| error.message().to_owned());
        assert!(said.contains("never"), "{statement}: {said}");
    }
    assert_eq!(log(many.at(0), "").await.len(), 1);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_the_same_on_every_instance() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let made = made(many.at(0), "front desk", "organiser").await;
    let key = text(&made["key"]);
    let sign_in = |sale: &Sale| {
        sale.caller.post("/desk/session").header("origin", sale.instance.base()).json(&json!({"key": key}))
    };
    let cookie = async |sale: &Sale| {
        let reply = answer(|| sign_in(sale)).await;
        reply.expect(204);
        reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    };
    let get = |sale: &Sale, cookie: &str| sale.caller.get("/desk/session").header("cookie", cookie);
    let (first, second) = (cookie(many.at(0)).await, cookie(many.at(1)).await);
    for sale in &many.sales {
        for cookie in [&first, &second] {
            assert_eq!(answer(|| get(sale, cookie)).await.expect(200)["name"], "front desk");
        }
    }
    // A sign-out counts everywhere at once.
    let sale = many.at(2);
    let sign_out =
        || sale.caller.delete("/desk/session").header("origin", sale.instance.base()).header("cookie", &first);
    answer(sign_out).await.expect(204);
    for sale in &many.sales {
        answer(|| get(sale, &first)).await.refused(401, "admin-key-invalid");
        answer(|| get(sale, &second)).await.expect(200);
    }
    let path = format!("/admin/keys/{}", text(&made["keyId"]));
    many.at(1).admin(many.at(1).caller.delete(&path)).expect(204).await;
    for sale in &many.sales {
        let ended = async || (answer(|| get(sale, &second)).await.status == 401).then_some(());
        until("the session ends with its key", ended).await;
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_postgres_cannot_hold_is_bad_input() {
    let Some(many) = Many::start(1, &[]).await else { return };
    let sale = many.at(0);
    for query in ["actor=%00", "actor=a%00b", "subject=%00", "subject=user:%00", "subject=user:a%00", "action=%00"] {
        let read = sale.admin(sale.caller.get(&format!("/admin/log?{query}")));
        read.refused(422, "invalid-request").await;
    }
    for name in ["\u{0}", "a\u{0}b"] {
        let body = json!({"name": name, "role": "door"});
        sale.admin(sale.caller.post("/admin/keys").json(&body)).refused(422, "invalid-request").await;
        let body = json!({"key": name});
        let sign_in = sale.caller.post("/desk/session").header("origin", sale.instance.base()).json(&body);
        sign_in.refused(422, "invalid-request").await;
    }
    many.is_in_order().await;
}

/// The first key is made elsewhere: an instance that knows none asks the database before it answers that there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_without_a_key_learns_at_once_that_there_is_one() {
    let Some(many) = Many::start(2, &[]).await else { return };
    let launch = many.launch.another().set("ONSALE_ADMIN_KEY", "");
    let instance = launch.start().await;
    let without = Sale { caller: instance.caller().await, instance };
    let read = || without.caller.get("/admin/keys").bearer("guess");
    answer(read).await.refused(404, "not-found");
    made(many.at(0), "first", "owner").await;
    answer(read).await.refused(401, "admin-key-invalid");
}
