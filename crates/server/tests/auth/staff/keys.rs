//! How keys of staff are made, listed, used and deleted.

use onsale_testing::{Launch, Sale};
use serde_json::{Value, json};

use super::{UNKNOWN, answer, key, log, made};
use crate::support::{ONSALE, audit, column, millis, start, text, until};

#[tokio::test]
async fn a_key_is_shown_once_and_listed_without_its_secret() {
    let sale = start(&[]).await;
    let first = made(&sale, "front desk", "support").await;
    assert_eq!((&first["name"], &first["role"]), (&json!("front desk"), &json!("support")));
    let secret = text(&first["key"]);
    assert!(secret.starts_with("onsale_") && secret.len() == "onsale_".len() + 43, "{secret}");
    millis(&first["createdAt"]);
    let second = made(&sale, "till", "cashier").await;
    assert_ne!(second["key"], first["key"]);

    let list = sale.admin(sale.caller.get("/admin/keys")).send().await;
    let keys = list.expect(200);
    assert_eq!(column(&keys, "keyId"), [first["keyId"].clone(), second["keyId"].clone()], "oldest first");
    assert_eq!(
        keys[0],
        json!({
            "keyId": first["keyId"], "name": "front desk", "role": "support", "createdAt": first["createdAt"], "lastUsedAt": null
        })
    );
    for made in [&first, &second] {
        assert!(!String::from_utf8_lossy(&list.body).contains(&text(&made["key"])), "no secret is listed");
    }
    let pages = crate::support::walk("/admin/keys?limit=1", |path| sale.admin(sale.caller.get(path))).await;
    assert_eq!(json!(pages), keys);
    audit(&sale).await;
}

#[tokio::test]
async fn the_last_use_is_shown_to_the_minute() {
    let sale = start(&[]).await;
    let support = key(&sale, "front desk", "support").await;
    answer(|| sale.caller.get("/admin/log").bearer(&support)).await.expect(200);
    let used = until("the use is saved", async || {
        let keys = sale.admin(sale.caller.get("/admin/keys")).expect(200).await;
        keys[0]["lastUsedAt"].is_string().then(|| keys[0]["lastUsedAt"].clone())
    })
    .await;
    assert_eq!(millis(&used) % 60_000, 0, "{used}");
}

#[tokio::test]
async fn a_name_is_never_used_twice() {
    let sale = start(&[]).await;
    let first = made(&sale, "front desk", "support").await;
    let make = |name: &str| {
        let body = json!({"name": name, "role": "door"});
        sale.admin(sale.caller.post("/admin/keys").json(&body))
    };
    make("front desk").refused(409, "key-name-taken").await;
    make("root").refused(409, "key-name-taken").await;
    make("Front desk").expect(201).await;
    let path = format!("/admin/keys/{}", text(&first["keyId"]));
    sale.admin(sale.caller.delete(&path)).expect(204).await;
    make("front desk").refused(409, "key-name-taken").await;
    audit(&sale).await;
}

#[tokio::test]
async fn names_and_roles_are_checked() {
    let sale = start(&[]).await;
    let long = "봄".repeat(101);
    for (body, field) in [
        (json!({"role": "door"}), "name"),
        (json!({"name": "", "role": "door"}), "name"),
        (json!({"name": long, "role": "door"}), "name"),
        (json!({"name": "a\u{7}b", "role": "door"}), "name"),
        (json!({"name": 7, "role": "door"}), "name"),
        (json!({"name": "a"}), "role"),
        (json!({"name": "a", "role": "Owner"}), "role"),
        (json!({"name": "a", "role": null}), "role"),
        (json!({"name": "a", "role": "door", "key": "mine"}), "key"),
    ] {
        let refused = sale.admin(sale.caller.post("/admin/keys").json(&body)).refused(422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    let body = json!({"name": "봄".repeat(100), "role": "door"});
    sale.admin(sale.caller.post("/admin/keys").json(&body)).expect(201).await;
    for path in ["/admin/keys/7", "/admin/keys/root"] {
        sale.admin(sale.caller.delete(path)).refused(422, "invalid-request").await;
    }
    let nothing = "/admin/keys/019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
    sale.admin(sale.caller.delete(nothing)).refused(404, "key-not-found").await;
}

#[tokio::test]
async fn a_deleted_key_opens_nothing() {
    let sale = start(&[]).await;
    let made = made(&sale, "second owner", "owner").await;
    let (secret, path) = (text(&made["key"]), format!("/admin/keys/{}", text(&made["keyId"])));
    let lecture = json!({"title": "T", "startsAt": "2090-01-01T10:00:00Z"});
    answer(|| sale.caller.post("/admin/lectures").bearer(&secret).json(&lecture)).await.expect(201);
    // An owner may delete its own key. If the answer was that the outcome is unknown, the key may have ended already.
    let mut was_unknown = false;
    until("the key deletes itself", async || {
        let reply = sale.caller.delete(&path).bearer(&secret).send().await;
        if reply.code() == "unavailable" {
            was_unknown = true;
            return None;
        }
        assert!(reply.status == 204 || (was_unknown && reply.status == 401), "{reply:?}");
        Some(())
    })
    .await;
    let calls = || {
        [sale.caller.post("/admin/lectures").json(&lecture), sale.caller.get("/admin/keys"), sale.caller.delete(&path)]
    };
    for number in 0..3 {
        let call = || calls().into_iter().nth(number).unwrap().bearer(&secret);
        answer(call).await.refused(401, "admin-key-invalid");
    }
    sale.admin(sale.caller.delete(&path)).expect(204).await;
    let keys = sale.admin(sale.caller.get("/admin/keys")).expect(200).await;
    assert_eq!(keys, json!([]), "a deleted key is not listed");
    let entries = log(&sale, "&action=key.deleted").await;
    assert_eq!(entries.len(), 1, "the second deletion changed nothing: {entries:?}");
    audit(&sale).await;
}

#[tokio::test]
async fn unknown_keys_are_refused() {
    let sale = start(&[]).await;
    let real = key(&sale, "second owner", "owner").await;
    for wrong in [UNKNOWN, &real[..real.len() - 1], &format!("{real}A"), &real.to_uppercase(), "onsale_", "root"] {
        answer(|| sale.caller.get("/admin/keys").bearer(wrong)).await.refused(401, "admin-key-invalid");
    }
    sale.caller.get("/admin/keys").refused(401, "admin-key-invalid").await;
    answer(|| sale.caller.get("/admin/keys").bearer(&real)).await.expect(200);
}

#[tokio::test]
async fn keys_in_the_database_open_the_calls_without_the_setting() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let owner = key(&sale, "second owner", "owner").await;
    assert!(sale.instance.terminate().await.success());
    let launch = launch.set("ONSALE_ADMIN_KEY", "");
    let instance = launch.start().await;
    let caller = instance.caller().await;
    caller.get("/admin/keys").bearer("an-admin-key-for-tests-only").refused(401, "admin-key-invalid").await;
    caller.get("/admin/keys").refused(401, "admin-key-invalid").await;
    let keys = answer(|| caller.get("/admin/keys").bearer(&owner)).await.expect(200);
    let path = format!("/admin/keys/{}", text(&keys[0]["keyId"]));
    let ended = async || {
        let reply = caller.delete(&path).bearer(&owner).send().await;
        // It ends itself. The answer to the first try may have been lost.
        (reply.status == 204 || reply.status == 404).then_some(())
    };
    until("the last key is deleted", ended).await;
    // The last key is gone.
    for bearer in [&owner, "an-admin-key-for-tests-only"] {
        answer(|| caller.get("/admin/keys").bearer(bearer)).await.refused(404, "not-found");
    }
    let nothing = Launch::new(ONSALE).start().await;
    let caller = nothing.caller().await;
    answer(|| caller.get("/admin/keys").bearer(UNKNOWN)).await.refused(404, "not-found");
}

#[tokio::test]
async fn a_repeated_request_makes_one_key_and_shows_no_secret_again() {
    // A file, so that the test can search it.
    let launch = Sale::launch(ONSALE).on("sqlite://onsale.db");
    let mut sale = Sale::start(&launch).await;
    let body = json!({"name": "till", "role": "cashier"});
    let make = |sale: &Sale| sale.admin(sale.caller.post("/admin/keys").json(&body)).key("once");
    let first = make(&sale).send().await;
    let made = first.expect(201);
    let secret = text(&made["key"]);
    let mut without = made.clone();
    without["key"] = Value::Null;
    for round in 0..3 {
        let again = make(&sale).send().await;
        assert_eq!(again.expect(201), without, "round {round}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        sale.instance.kill().await;
        sale = Sale::start(&launch).await;
    }
    let keys = sale.admin(sale.caller.get("/admin/keys")).expect(200).await;
    assert_eq!(keys.as_array().unwrap().len(), 1);
    // Neither the secret nor its hash stands in a row that clients or the log can reach.
    let db = rusqlite::Connection::open(launch.folder().join("onsale.db")).unwrap();
    let found: i64 = db
        .query_row(
            "SELECT (SELECT count(*) FROM kept_answers WHERE instr(answer, ?1)) + (SELECT count(*) FROM admin_log
                WHERE instr(coalesce(after, ''), ?1)) + (SELECT count(*) FROM staff_keys WHERE instr(hash, ?1))",
            [&secret],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(found, 0, "the secret is stored nowhere");
    audit(&sale).await;
}

#[tokio::test]
async fn idempotency_keys_belong_to_the_staff_key() {
    let sale = start(&[]).await;
    let (ann, bob) = (key(&sale, "ann", "organiser").await, key(&sale, "bob", "organiser").await);
    let make = |bearer: &str| {
        let body = json!({"title": "Once", "startsAt": "2090-01-01T10:00:00Z"});
        sale.caller.post("/admin/lectures").json(&body).bearer(bearer).key("once")
    };
    let root = "an-admin-key-for-tests-only";
    let mut made = Vec::new();
    for bearer in [root, &ann, &bob] {
        let first = answer(|| make(bearer)).await;
        assert_eq!(first.header("idempotency-replayed"), None, "a key of its own");
        let again = answer(|| make(bearer)).await;
        assert_eq!((again.expect(201), again.header("idempotency-replayed")), (first.expect(201), Some("true")));
        made.push(text(&first.expect(201)["lectureId"]));
    }
    made.dedup();
    assert_eq!(made.len(), 3, "{made:?}");
    // Users whose ids look like owners of other keys.
    for user in ["root", "staff", "key"] {
        sale.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": 5})).key("once").expect(200).await;
    }
    audit(&sale).await;
}
