//! Presale codes: who enters and holds while a code is needed, wrong codes, and the calls of organisers.

use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Call, Sale, without};
use serde_json::{Value, json};

use crate::support::room::room;
use crate::support::{at_once, audit, count, start, text, until};

/// A concert whose presale lasts for an hour, with a performance of 50 seats for 50,000 points each.
struct Presale {
    sale: Sale,
    concert: String,
    performance: String,
}

impl Presale {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let sale = start(settings).await;
        let concert = sale.concert(&room(100)).await;
        let performance = sale.performance(&concert, &Value::Null).await;
        let presale = Self { sale, concert, performance };
        presale.change(&json!({"codesUntil": onsale_testing::iso(3_600)})).expect(200).await;
        presale
    }

    fn change(&self, body: &Value) -> Call {
        self.sale.admin(self.sale.caller.patch(&format!("/admin/concerts/{}", self.concert))).json(body)
    }

    fn codes(&self, body: &Value) -> Call {
        self.sale.admin(self.sale.caller.post(&format!("/admin/concerts/{}/codes", self.concert))).json(body)
    }

    async fn code(&self, text: &str, uses: u32, uses_per_user: u32) {
        let code = json!([{"code": text, "uses": uses, "usesPerUser": uses_per_user, "from": null, "until": null}]);
        self.codes(&code).expect(201).await;
    }

    async fn listed(&self) -> Value {
        let list = self.sale.caller.get(&format!("/admin/concerts/{}/codes", self.concert));
        self.sale.admin(list).expect(200).await
    }

    fn enter(&self, user: &str, code: Option<&str>) -> Call {
        let mut body = json!({"userId": user, "concertId": self.concert});
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        self.sale.caller.post("/queue/tokens").json(&body)
    }

    /// The token of a user who enters with a code, once it is active.
    async fn active(&self, user: &str, code: &str) -> String {
        let place = self.enter(user, Some(code)).expect(201).await;
        let token = text(&place["token"]);
        self.sale.until_status(&token, "ACTIVE").await;
        token
    }

    fn hold(&self, token: &str, seats: &[u32], code: Option<&str>) -> Call {
        let mut body = json!({"performanceId": self.performance, "seats": seats});
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        self.sale.caller.post("/reservations").token(token).json(&body)
    }
}

#[tokio::test]
async fn a_code_is_needed_to_enter_and_to_hold_until_the_presale_ends() {
    let presale = Presale::start(&[]).await;
    let shown = presale.change(&json!({"notice": null})).expect(200).await;
    let codes_until = shown["codesUntil"].clone();
    assert!(codes_until.is_string());
    until("the list for buyers has it", async || {
        let concerts = presale.sale.caller.get("/concerts").expect(200).await;
        (concerts[0]["codesUntil"] == codes_until).then_some(())
    })
    .await;
    presale.code("FAN", 2, 1).await;

    let reply = presale.enter("ada", None).send().await;
    let refused = reply.refused(403, "code-required");
    assert_eq!(refused["codesUntil"], codes_until);
    let seconds: u32 = reply.header("retry-after").expect("when to ask again").parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    presale.enter("ada", Some("fan")).refused(403, "code-invalid").await;
    let ada = presale.active("ada", "FAN").await;
    let again = presale.enter("ada", None).expect(200).await;
    assert_eq!(again["token"], json!(ada), "who has a place needs no code for it");
    assert_eq!(presale.listed().await[0]["used"], 0, "entering uses nothing");

    let refused = presale.hold(&ada, &[1], None).refused(403, "code-required").await;
    assert_eq!(refused["codesUntil"], codes_until);
    presale.hold(&ada, &[1], Some("WRONG")).refused(403, "code-invalid").await;
    presale.hold(&ada, &[51], Some("FAN")).refused(422, "seat-unknown").await;
    let held = presale.hold(&ada, &[1, 2], Some("FAN")).expect(201).await;
    presale.hold(&ada, &[3], Some("FAN")).refused(409, "code-used-up").await;
    assert_eq!(presale.listed().await[0]["used"], 1, "one hold, whatever number of seats it has");
    let path = format!("/reservations/{}", text(&held["reservationId"]));
    presale.sale.caller.delete(&path).token(&ada).expect(204).await;
    presale.hold(&ada, &[3], Some("FAN")).expect(201).await;

    presale.change(&json!({"codesUntil": null})).expect(200).await;
    presale.enter("bob", None).expect(201).await;
    presale.hold(&ada, &[4], None).expect(201).await;
    presale.hold(&ada, &[5], Some("WRONG")).expect(201).await;
    audit(&presale.sale).await;
}

/// The code is checked before Redis hands out a place.
#[tokio::test]
async fn a_code_is_needed_if_redis_hands_out_places_too() {
    if without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let presale = Presale::start(&[("ONSALE_REDIS_URL", &redis.url())]).await;
    presale.code("FAN", 1, 1).await;
    presale.enter("ada", None).refused(403, "code-required").await;
    presale.enter("ada", Some("WRONG")).refused(403, "code-invalid").await;
    let ada = presale.active("ada", "FAN").await;
    for code in [None, Some("WRONG")] {
        assert_eq!(presale.enter("ada", code).expect(200).await["token"], json!(ada));
    }
    presale.hold(&ada, &[1], None).refused(403, "code-required").await;
    presale.hold(&ada, &[1], Some("FAN")).expect(201).await;
    presale.enter("bob", Some("FAN")).refused(409, "code-used-up").await;
    presale.change(&json!({"codesUntil": null})).expect(200).await;
    presale.enter("bob", None).expect(201).await;
    audit(&presale.sale).await;
}

#[tokio::test]
async fn the_last_use_goes_to_one_of_many() {
    let presale = Presale::start(&[]).await;
    presale.code("FAN", 3, 2).await;
    let mut tokens = Vec::new();
    for number in 0..12 {
        tokens.push(presale.active(&format!("user-{number}"), "FAN").await);
    }
    let holds = tokens.iter().zip(1..).map(|(token, seat)| presale.hold(token, &[seat], Some("FAN")));
    let replies = at_once(holds).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 409, "code-used-up")), (3, 9), "{replies:?}");
    presale.enter("late", Some("FAN")).refused(409, "code-used-up").await;
    assert_eq!(presale.listed().await[0]["used"], 3);
    audit(&presale.sale).await;
}

#[tokio::test]
async fn a_key_keeps_the_hold_and_neither_a_missing_nor_a_wrong_code() {
    let presale = Presale::start(&[]).await;
    presale.code("FAN", 1, 1).await;
    let ada = presale.active("ada", "FAN").await;
    for (code, refusal) in [(None, "code-required"), (Some("LATER"), "code-invalid")] {
        presale.hold(&ada, &[1], code).key("one").refused(403, refusal).await;
    }
    presale.code("LATER", 1, 1).await;
    let first = presale.hold(&ada, &[1], Some("LATER")).key("one").send().await;
    first.expect(201);
    for _ in 0..2 {
        let again = presale.hold(&ada, &[1], Some("LATER")).key("one").send().await;
        assert_eq!((again.status, again.json()), (first.status, first.json()));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    presale.hold(&ada, &[1], None).key("one").refused(422, "idempotency-key-reused").await;
    // A refusal that was decided under a key is kept, although the use is free again.
    presale.hold(&ada, &[2], Some("LATER")).key("two").refused(409, "code-used-up").await;
    let path = format!("/reservations/{}", text(&first.json()["reservationId"]));
    presale.sale.caller.delete(&path).token(&ada).expect(204).await;
    presale.hold(&ada, &[2], Some("LATER")).key("two").refused(409, "code-used-up").await;
    presale.hold(&ada, &[2], Some("LATER")).key("three").expect(201).await;
    // After ten wrong codes a key still returns what it keeps.
    for _ in 0..12 {
        presale.hold(&ada, &[3], Some("WRONG")).send().await;
    }
    presale.hold(&ada, &[3], Some("WRONG")).refused(429, "too-many-requests").await;
    let again = presale.hold(&ada, &[1], Some("LATER")).key("one").send().await;
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    audit(&presale.sale).await;
}

/// The clients of these tests are on this machine, so only their users are limited.
#[tokio::test]
async fn a_user_gets_an_answer_to_ten_wrong_codes_a_minute() {
    let presale = Presale::start(&[]).await;
    presale.code("FAN", 9, 9).await;
    let ada = presale.active("ada", "FAN").await;
    for number in 0..5 {
        presale.enter("bob", Some("WRONG")).refused(403, "code-invalid").await;
        presale.hold(&ada, &[1], Some(&format!("WRONG-{number}"))).refused(403, "code-invalid").await;
        // A missing code is not a wrong one.
        presale.enter("bob", None).refused(403, "code-required").await;
    }
    for _ in 0..5 {
        presale.hold(&ada, &[1], Some("WRONG")).refused(403, "code-invalid").await;
        presale.enter("bob", Some("WRONG")).refused(403, "code-invalid").await;
    }
    for (code, call) in [
        ("the right one", presale.hold(&ada, &[1], Some("FAN"))),
        ("a wrong one", presale.hold(&ada, &[1], Some("WRONG"))),
        ("the right one", presale.enter("bob", Some("FAN"))),
    ] {
        let reply = call.send().await;
        reply.refused(429, "too-many-requests");
        let seconds: u32 = reply.header("retry-after").expect("when to ask again").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{code}: {seconds}");
    }
    presale.enter("cid", Some("FAN")).expect(201).await;
    presale.enter("ada", Some("WRONG")).expect(200).await;
    // Without a presale no code is needed, so none is refused.
    presale.change(&json!({"codesUntil": null})).expect(200).await;
    presale.hold(&ada, &[1], Some("WRONG")).expect(201).await;
    audit(&presale.sale).await;
}

#[tokio::test]
async fn an_address_gets_an_answer_to_ten_wrong_codes_a_minute() {
    let presale = Presale::start(&[("ONSALE_TRUSTED_PROXIES", "127.0.0.1")]).await;
    presale.code("FAN", 50, 1).await;
    let from =
        |user: &str, code: &str, address: &str| presale.enter(user, Some(code)).header("x-forwarded-for", address);
    for number in 0..10 {
        let wrong = from(&format!("guess-{number}"), "WRONG", "198.51.100.1");
        wrong.refused(403, "code-invalid").await;
    }
    from("guess-10", "WRONG", "198.51.100.1").refused(429, "too-many-requests").await;
    from("ada", "FAN", "198.51.100.1").refused(429, "too-many-requests").await;
    from("ada", "FAN", "198.51.100.2").expect(201).await;
    // Users with the right code do not count, however many of them share an address.
    for number in 0..30 {
        from(&format!("fan-{number}"), "FAN", "198.51.100.3").expect(201).await;
    }
    let metrics = presale.sale.caller.get("/metrics").send().await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("reason=\"address-codes\"} 2"), "both are counted");
}

#[tokio::test]
async fn an_organiser_makes_lists_and_deletes_codes() {
    let presale = Presale::start(&[]).await;
    let body = json!([
        {"uses": 5, "usesPerUser": 2},
        {"code": "FAN-2", "uses": 1, "usesPerUser": 1, "from": "2020-01-01T00:00:00Z", "until": "2090-01-01T00:00:00Z"},
        {"code": "FAN-1", "uses": 1, "usesPerUser": 1, "from": null, "until": "2020-01-01T00:00:00Z"},
    ]);
    let made = presale.codes(&body).expect(201).await;
    let own = text(&made[0]["code"]);
    assert!(own.len() == 12 && own.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()), "{own}");
    assert_eq!((&made[0]["uses"], &made[0]["usesPerUser"], &made[0]["used"]), (&json!(5), &json!(2), &json!(0)));
    assert_eq!(made[1]["until"], "2090-01-01T00:00:00.000Z");
    let mut texts = [own.clone(), "FAN-1".to_owned(), "FAN-2".to_owned()];
    texts.sort();
    let listed: Vec<String> =
        presale.listed().await.as_array().unwrap().iter().map(|code| text(&code["code"])).collect();
    assert_eq!(listed, texts);
    // Page by page.
    let path = format!("/admin/concerts/{}/codes", presale.concert);
    let first = presale.sale.admin(presale.sale.caller.get(&format!("{path}?limit=2"))).send().await;
    assert_eq!(first.json().as_array().unwrap().len(), 2);
    let link = first.header("link").expect("a further page").to_owned();
    let next = link.split(['<', '>']).nth(1).unwrap();
    let next = &next[next.find("/admin").unwrap()..];
    let rest = presale.sale.admin(presale.sale.caller.get(next)).expect(200).await;
    assert_eq!(rest[0]["code"], json!(texts[2]));

    presale.enter("ada", Some("FAN-1")).refused(403, "code-invalid").await;
    presale.enter("ada", Some("FAN-2")).expect(201).await;
    presale
        .codes(&json!([{"code": "new", "uses": 1, "usesPerUser": 1}, {"code": "FAN-1", "uses": 1, "usesPerUser": 1}]))
        .refused(409, "code-exists")
        .await;
    assert_eq!(presale.listed().await.as_array().unwrap().len(), 3, "all or none");
    let delete = |code: &str| presale.sale.admin(presale.sale.caller.delete(&format!("{path}/{code}")));
    delete("FAN-2").expect(204).await;
    delete("FAN-2").refused(404, "code-not-found").await;
    presale.enter("bob", Some("FAN-2")).refused(403, "code-invalid").await;
    let unknown = "/admin/concerts/019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01/codes";
    let sale = &presale.sale;
    sale.admin(sale.caller.get(unknown)).refused(404, "concert-not-found").await;
    sale.admin(sale.caller.post(unknown)).json(&body).refused(404, "concert-not-found").await;

    let log = sale.admin(sale.caller.get("/admin/log")).expect(200).await;
    let entries = |action: &str| log.as_array().unwrap().iter().filter(|entry| entry["action"] == action).count();
    assert_eq!((entries("codes.created"), entries("code.deleted")), (1, 1));
    audit(sale).await;
}

#[tokio::test]
async fn a_wrong_list_of_codes_is_refused_as_a_whole() {
    let presale = Presale::start(&[]).await;
    let sound = json!({"code": "FAN", "uses": 5, "usesPerUser": 1});
    let with = |field: &str, value: Value| {
        let mut code = sound.clone();
        code[field] = value;
        code
    };
    let mut wrongs = vec![("body", json!([])), ("body", json!({})), ("0", json!([1])), ("1", json!([sound, "x"]))];
    for (field, value) in [
        ("code", json!("")),
        ("code", json!("a b")),
        ("code", json!("é")),
        ("code", json!("x".repeat(65))),
        ("code", json!(1)),
        ("code", json!(null)),
        ("uses", json!(0)),
        ("uses", json!(100_001)),
        ("uses", json!("1")),
        ("usesPerUser", json!(0)),
        ("usesPerUser", json!(null)),
        ("from", json!("soon")),
        ("until", json!(1)),
        ("section", json!("Floor")),
        ("unknown", json!(1)),
    ] {
        wrongs.push((field, json!([{"uses": 1, "usesPerUser": 1}, with(field, value)])));
    }
    let at = "2020-01-01T00:00:00Z";
    wrongs.push((
        "until",
        json!([{"uses": 1, "usesPerUser": 1}, {"uses": 1, "usesPerUser": 1, "from": at, "until": at}]),
    ));
    wrongs.push(("code", json!([sound, sound])));
    wrongs.push(("uses", json!([sound, {"usesPerUser": 1}])));
    wrongs.push(("usesPerUser", json!([sound, {"uses": 1}])));
    for (field, body) in wrongs {
        let problem = presale.codes(&body).refused(422, "invalid-request").await;
        let expected = if ["body", "0", "1"].contains(&field) { field.to_owned() } else { format!("1.{field}") };
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error["field"] == json!(expected)), "{body}: {problem}");
    }
    assert_eq!(presale.listed().await, json!([]));
    for (body, field) in [
        (json!({"opensAt": at, "codesUntil": at}), "codesUntil"),
        (json!({"opensAt": onsale_testing::iso(7_200)}), "opensAt"),
        (json!({"codesUntil": "soon"}), "codesUntil"),
    ] {
        let problem = presale.change(&body).refused(422, "invalid-request").await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for code in [json!(""), json!("x".repeat(65)), json!(1), json!(null)] {
        let body = json!({"userId": "ada", "concertId": presale.concert, "code": code});
        let problem = presale.sale.caller.post("/queue/tokens").json(&body).refused(422, "invalid-request").await;
        assert_eq!(problem["errors"][0]["field"], "code");
    }
    audit(&presale.sale).await;
}
