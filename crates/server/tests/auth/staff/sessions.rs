//! Sessions of the back office: a cookie that stands for a key.

use onsale_testing::{Call, Launch, Reply, Sale};
use serde_json::{Value, json};

use super::{answer, key, log, made};
use crate::support::{ONSALE, audit, column, millis, start, text, until};
use crate::{BY_SECRET, bearer};

const ROOT: &str = "an-admin-key-for-tests-only";

fn sign_in(sale: &Sale, key: &str) -> Call {
    sale.caller.post("/desk/session").header("origin", sale.instance.base()).json(&json!({"key": key}))
}

/// The cookie of a sign-in, as a browser sends it back.
fn cookie(reply: &Reply) -> String {
    reply.expect(204);
    reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

async fn session(sale: &Sale, key: &str) -> String {
    cookie(&answer(|| sign_in(sale, key)).await)
}

/// A call with a cookie, from a page of the server.
fn with(sale: &Sale, call: Call, cookie: &str) -> Call {
    call.header("cookie", cookie).header("origin", sale.instance.base())
}

fn lecture(sale: &Sale) -> Call {
    sale.caller.post("/admin/lectures").json(&json!({"title": "By desk", "startsAt": "2090-01-01T10:00:00Z"}))
}

#[tokio::test]
async fn a_session_stands_for_its_key() {
    let sale = start(&[]).await;
    let made = made(&sale, "front desk", "organiser").await;
    let reply = answer(|| sign_in(&sale, &text(&made["key"]))).await;
    let cookie = cookie(&reply);
    let set = reply.header("set-cookie").unwrap();
    assert_eq!(set, format!("{cookie}; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"));
    assert_eq!(cookie.split_once('=').unwrap().1.len(), 43, "32 bytes in base64url: {cookie}");

    let shown =
        answer(|| sale.caller.get("/desk/session").header("cookie", &format!("a=b; {cookie}"))).await.expect(200);
    assert_eq!((&shown["name"], &shown["role"]), (&json!("front desk"), &json!("organiser")));
    let seconds = (millis(&shown["expiresAt"]) - onsale_testing::now_millis()) / 1_000;
    assert!((28_000..=28_800).contains(&seconds), "{shown}");

    answer(|| sale.caller.get("/admin/log").header("cookie", &cookie)).await.expect(200);
    answer(|| with(&sale, lecture(&sale), &cookie)).await.expect(201);
    let keys = || with(&sale, sale.caller.get("/admin/keys"), &cookie);
    answer(keys).await.refused(403, "role-insufficient");
    let entries = log(&sale, "&actor=front+desk").await;
    let mut said: Vec<String> = entries.iter().map(|entry| text(&entry["action"])).collect();
    said.sort_unstable();
    assert_eq!(said, ["lecture.created", "session.started"]);
    assert_eq!(
        column(&json!(entries), "actor"),
        [json!({"keyId": made["keyId"], "name": "front desk"}), json!({"keyId": made["keyId"], "name": "front desk"})]
    );
    let started = entries.iter().find(|entry| entry["action"] == "session.started").unwrap();
    assert_eq!((&started["before"], &started["after"]), (&Value::Null, &json!({"expiresAt": shown["expiresAt"]})));
    audit(&sale).await;
}

#[tokio::test]
async fn writes_with_a_session_come_from_a_page_of_the_server() {
    let cors = ("ONSALE_CORS_ORIGINS", "https://shop.example");
    let sale = start(&[cors]).await;
    let (own, cookie) = (sale.instance.base(), session(&sale, ROOT).await);
    let address = own.trim_start_matches("http://");
    let foreign = ["https://shop.example", "http://evil.example", "null", "", "http://127.0.0.1", &format!("{own}/")];
    for origin in foreign {
        let calls = [
            lecture(&sale).header("cookie", &cookie),
            sale.caller.delete("/desk/session").header("cookie", &cookie),
            sale.caller.post("/desk/session").json(&json!({"key": ROOT})),
        ];
        for call in calls {
            let reply = call.header("origin", origin).send().await;
            reply.refused(403, "origin-not-allowed");
            assert_eq!(reply.header("access-control-allow-credentials"), None);
        }
    }
    lecture(&sale).header("cookie", &cookie).refused(403, "origin-not-allowed").await;
    sale.caller.delete("/desk/session").header("cookie", &cookie).refused(403, "origin-not-allowed").await;
    sale.caller.post("/desk/session").json(&json!({"key": ROOT})).refused(403, "origin-not-allowed").await;
    let twice = lecture(&sale).header("cookie", &cookie).header("origin", own).header("origin", own);
    twice.refused(403, "origin-not-allowed").await;
    assert_eq!(log(&sale, "&action=lecture.created").await.len(), 0);
    // A proxy may have ended TLS. A bearer proves more than a cookie, so it needs no origin. A read changes nothing.
    lecture(&sale).header("cookie", &cookie).header("origin", &format!("https://{address}")).expect(201).await;
    sale.admin(lecture(&sale)).expect(201).await;
    sale.caller.get("/admin/keys").header("cookie", &cookie).header("origin", "http://evil.example").expect(200).await;
}

#[tokio::test]
async fn a_public_url_is_the_only_origin() {
    let sale = start(&[("ONSALE_PUBLIC_URL", "https://shop.example/tickets")]).await;
    sign_in(&sale, ROOT).refused(403, "origin-not-allowed").await;
    let body = json!({"key": ROOT});
    let reply = sale.caller.post("/desk/session").header("origin", "https://shop.example").json(&body).send().await;
    let cookie = cookie(&reply);
    let set = reply.header("set-cookie").unwrap();
    assert_eq!(set, format!("{cookie}; Path=/tickets; Max-Age=28800; HttpOnly; SameSite=Strict; Secure"));
    let write = |origin| lecture(&sale).header("cookie", &cookie).header("origin", origin);
    write(sale.instance.base()).refused(403, "origin-not-allowed").await;
    write("https://shop.example").expect(201).await;
}

#[tokio::test]
async fn a_bearer_is_used_instead_of_the_session() {
    let sale = start(&[]).await;
    let cookie = session(&sale, ROOT).await;
    for authorization in ["Bearer guess", "Basic guess", "Bearer", ""] {
        let read = sale.caller.get("/admin/keys").header("cookie", &cookie).header("authorization", authorization);
        read.refused(401, "admin-key-invalid").await;
        let read = sale.caller.get("/desk/session").header("cookie", &cookie).header("authorization", authorization);
        let refused = read.refused(401, "admin-key-invalid").await;
        assert!(text(&refused["detail"]).contains("the cookie of a sign-in"), "{refused}");
    }
    let door = key(&sale, "door", "door").await;
    let refused = answer(|| sale.caller.get("/desk/session").bearer(&door)).await;
    refused.refused(401, "admin-key-invalid");
    let detail = text(&refused.json()["detail"]);
    assert!(detail.contains("the cookie of a sign-in"), "the key itself is right: {detail}");
    let read = || sale.caller.get("/admin/keys").header("cookie", &cookie).bearer(&door);
    answer(read).await.refused(403, "role-insufficient");
}

#[tokio::test]
async fn a_sign_out_ends_the_session() {
    let sale = start(&[]).await;
    let (first, second) = (session(&sale, ROOT).await, session(&sale, ROOT).await);
    assert_ne!(first, second);
    for _ in 0..2 {
        let reply = with(&sale, sale.caller.delete("/desk/session"), &first).send().await;
        reply.expect(204);
        let set = reply.header("set-cookie").unwrap();
        assert_eq!(set, "onsale_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
        sale.caller.get("/desk/session").header("cookie", &first).refused(401, "admin-key-invalid").await;
        with(&sale, lecture(&sale), &first).refused(401, "admin-key-invalid").await;
    }
    sale.caller.get("/desk/session").header("cookie", &second).expect(200).await;
    assert_eq!(log(&sale, "&action=session.started").await.len(), 2);
    let ended = log(&sale, "&action=session.ended").await;
    assert_eq!(ended.len(), 1, "the second sign-out changed nothing: {ended:?}");
    audit(&sale).await;
}

#[tokio::test]
async fn wrong_keys_and_bodies_start_no_session() {
    let sale = start(&[]).await;
    let real = key(&sale, "front desk", "support").await;
    for wrong in ["guess", super::UNKNOWN, &real[..real.len() - 1]] {
        let reply = answer(|| sign_in(&sale, wrong)).await;
        reply.refused(401, "admin-key-invalid");
        assert_eq!(reply.header("set-cookie"), None);
    }
    for (body, field) in [
        (json!({}), "key"),
        (json!({"key": ""}), "key"),
        (json!({"key": "two words"}), "key"),
        (json!({"key": 7}), "key"),
        (json!({"key": "x".repeat(1_001)}), "key"),
        (json!({"key": ROOT, "name": "x"}), "name"),
    ] {
        let call = sale.caller.post("/desk/session").header("origin", sale.instance.base()).json(&body);
        let refused = call.refused(422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    for wrong in ["onsale_session=", "onsale_session=x", &format!("onsale_session={}", "A".repeat(43)), "a=b"] {
        sale.caller.get("/desk/session").header("cookie", wrong).refused(401, "admin-key-invalid").await;
        with(&sale, lecture(&sale), wrong).refused(401, "admin-key-invalid").await;
    }
    assert_eq!(log(&sale, "&action=session.started").await.len(), 0);
    let nothing = Launch::new(ONSALE).start().await;
    let nothing = Sale { caller: nothing.caller().await, instance: nothing };
    answer(|| sign_in(&nothing, ROOT)).await.refused(404, "not-found");
    answer(|| nothing.caller.get("/desk/session")).await.refused(404, "not-found");
}

#[tokio::test]
async fn an_address_signs_in_ten_times_a_minute() {
    let sale = start(&[("ONSALE_RATE_LIMIT_LOOPBACK", "true")]).await;
    for number in 0..10 {
        // A foreign page uses up none.
        let foreign = sale.caller.post("/desk/session").header("origin", "http://evil.example");
        foreign.json(&json!({"key": ROOT})).refused(403, "origin-not-allowed").await;
        let key = if number % 2 == 0 { ROOT } else { "guess" };
        let reply = sign_in(&sale, key).send().await;
        assert_eq!(reply.status, if number % 2 == 0 { 204 } else { 401 }, "{reply:?}");
    }
    let reply = sign_in(&sale, ROOT).send().await;
    reply.refused(429, "too-many-requests");
    let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    sale.admin(lecture(&sale)).expect(201).await;
    let metrics = sale.caller.get("/metrics").send().await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let counted = metrics.lines().find(|line| line.contains("\"address-sign-ins\""));
    assert!(counted.is_some_and(|line| line.ends_with(" 1")), "{counted:?}");
}

#[tokio::test]
async fn a_session_survives_a_restart_and_ends_with_its_key() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let made = made(&sale, "front desk", "support").await;
    let of_key = session(&sale, &text(&made["key"])).await;
    let of_root = session(&sale, ROOT).await;
    sale.instance.kill().await;
    let sale = Sale::start(&launch).await;
    let get = |sale: &Sale, cookie: &str| sale.caller.get("/desk/session").header("cookie", cookie);
    assert_eq!(answer(|| get(&sale, &of_key)).await.expect(200)["name"], "front desk");
    assert_eq!(get(&sale, &of_root).expect(200).await["name"], "root");
    assert!(sale.instance.terminate().await.success());

    // The key of the settings is changed: the former one serves as long as it is named.
    let launch = launch.set("ONSALE_ADMIN_KEY", "the-next-admin-key-of-tests").set("ONSALE_ADMIN_KEY_PREVIOUS", ROOT);
    let sale = Sale::start(&launch).await;
    get(&sale, &of_root).expect(200).await;
    let of_next = session(&sale, "the-next-admin-key-of-tests").await;
    assert!(sale.instance.terminate().await.success());
    let launch = launch.set("ONSALE_ADMIN_KEY_PREVIOUS", "");
    let sale = Sale::start(&launch).await;
    get(&sale, &of_root).refused(401, "admin-key-invalid").await;
    get(&sale, &of_next).expect(200).await;
    answer(|| get(&sale, &of_key)).await.expect(200);

    let path = format!("/admin/keys/{}", text(&made["keyId"]));
    with(&sale, sale.caller.delete(&path), &of_next).expect(204).await;
    let ended = async || (answer(|| get(&sale, &of_key)).await.status == 401).then_some(());
    until("the session ends with its key", ended).await;
    audit(&sale).await;
}

#[tokio::test]
async fn the_database_holds_no_secret() {
    let launch = Sale::launch(ONSALE).on("sqlite://onsale.db");
    let sale = Sale::start(&launch).await;
    let cookie = session(&sale, ROOT).await;
    let secret = cookie.split_once('=').unwrap().1;
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, secret).unwrap();
    assert!(sale.instance.terminate().await.success());
    let db = rusqlite::Connection::open(launch.folder().join("onsale.db")).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let sessions: i64 = db.query_row("SELECT count(*) FROM staff_sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(sessions, 1);
    drop(db);
    let file = std::fs::read(launch.folder().join("onsale.db")).unwrap();
    for hidden in [secret.as_bytes(), &bytes, ROOT.as_bytes()] {
        assert!(!file.windows(hidden.len()).any(|window| window == hidden), "a secret is in the file");
    }
}

#[tokio::test]
async fn a_cashier_charges_with_a_session() {
    let sale = start(&[("ONSALE_CHARGE", "staff")]).await;
    let cookie = session(&sale, &key(&sale, "till", "cashier").await).await;
    let charge = || sale.caller.patch("/point/ada/charge").json(&json!({"amount": 5})).header("cookie", &cookie);
    answer(|| charge().header("origin", sale.instance.base())).await.expect(200);
    answer(charge).await.refused(403, "origin-not-allowed");
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 5);
}

#[tokio::test]
async fn a_session_reads_the_data_of_users() {
    let sale = start(&BY_SECRET).await;
    let cookie = session(&sale, &key(&sale, "support", "support").await).await;
    answer(|| sale.caller.get("/point/ada").header("cookie", &cookie)).await.expect(200);
    let charge = sale.caller.patch("/point/ada/charge").json(&json!({"amount": 5}));
    with(&sale, charge, &cookie).refused(401, "authentication-required").await;
    sale.caller.get("/point/ada").refused(401, "authentication-required").await;
    sale.caller.get("/point/ada").bearer(&bearer("ada")).header("cookie", &cookie).expect(200).await;
}
