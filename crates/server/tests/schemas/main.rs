//! The schemas of events: served as they stand in the repository, true of real events, and never narrower than what landed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;

use onsale_testing::{Caller, Sale};
use serde_json::{Value, json};
use support::room::room;
use support::{ONSALE, text};

/// Makes every event of lectures.
async fn use_lectures(sale: &Sale) {
    let lecture = sale.lecture(3).await;
    let body = json!({"userId": "ada", "lectureId": lecture});
    sale.caller.post("/lectures/apply").json(&body).expect(201).await;
    sale.caller.delete(&format!("/lectures/application/ada/{lecture}")).expect(204).await;
    let full = sale.lecture(1).await;
    for (user, status) in [("ada", 201), ("bob", 202), ("cyd", 202)] {
        let body = json!({"userId": user, "lectureId": full, "waitlist": true});
        sale.caller.post("/lectures/apply").json(&body).expect(status).await;
    }
    for user in ["ada", "cyd"] {
        sale.caller.delete(&format!("/lectures/application/{user}/{full}")).expect(204).await;
    }
    let path = format!("/admin/lectures/{lecture}");
    let change = json!({"title": "Locks \"and\" rows", "lecturer": "Ada", "opensAt": "2026-01-01T00:00:00Z"});
    sale.admin(sale.caller.patch(&path)).json(&change).expect(200).await;
    let cancel = json!({"reason": "the \"speaker\" is ill"});
    sale.admin(sale.caller.post(&format!("{path}/cancel"))).json(&cancel).expect(202).await;
}

#[tokio::test]
async fn every_event_fits_its_schema() {
    let launch = Sale::launch(ONSALE).set("ONSALE_HOLD_SECONDS", 300);
    let sale = Sale::start(&launch).await;
    use_lectures(&sale).await;
    sale.charge("ada", 500_000).await;
    sale.caller.patch("/point/ada/use").json(&json!({"amount": 5})).expect(200).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &json!(null)).await;
    let token = sale.active(&concert, "ada").await;
    let given_back = sale.hold(&token, &performance, &[1, 2]).await;
    let path = format!("/reservations/{}", text(&given_back["reservationId"]));
    sale.caller.delete(&path).token(&token).expect(204).await;
    let held = sale.hold(&token, &performance, &[3]).await;
    let extend = json!({"seconds": 60, "reason": "payment \"was\" down"});
    let path = format!("/admin/performances/{performance}/holds/extend");
    sale.admin(sale.caller.post(&path)).json(&extend).expect(200).await;
    let closed = json!({"closed": true, "refundPolicy": [{"hoursBefore": 24, "feePercent": 10}]});
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&closed).expect(200).await;
    for what in ["blocks", "unblocks"] {
        let call = sale.caller.post(&format!("/admin/performances/{performance}/{what}"));
        sale.admin(call).json(&json!({"seats": [9, 10], "reason": "a \"camera\""})).expect(200).await;
    }
    let notice = json!({
        "notice": {"ko": "결제 시간을 늘렸습니다.", "en": "More \"time\""}, "opensAt": "2020-01-01T00:00:00Z", "maxSeatsPerUser": 5
    });
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}"))).json(&notice).expect(200).await;
    let paid = sale.pay(&token, &held).expect(201).await;
    let tickets = sale.caller.get(&format!("/payments/{}/tickets", text(&paid["paymentId"]))).expect(200).await;
    let scan = json!({"performanceId": performance, "code": tickets[0]["code"], "device": "gate \"2\"", "scanId": "1",
        "scannedAt": "2026-11-22T11:12:13Z", "deviceNow": "2026-11-22T11:12:13Z"});
    let scanned = sale.admin(sale.caller.post("/check-ins").json(&scan)).expect(201).await;
    let undo = sale.caller.delete(&format!("/check-ins/{}", text(&scanned["checkInId"])));
    sale.admin(undo).expect(204).await;
    let refund = sale.caller.post(&format!("/admin/payments/{}/refunds", text(&paid["paymentId"])));
    sale.admin(refund).json(&json!({"reason": "the \"view\" is restricted"})).expect(201).await;
    let cancel = sale.caller.post(&format!("/admin/performances/{performance}/cancel"));
    sale.admin(cancel).json(&json!({"reason": "the \"singer\" is ill"})).expect(202).await;
    let adjust = sale.caller.post("/admin/point/ada/adjustments").json(&json!({"amount": -7, "reason": "twice"}));
    sale.admin(adjust).expect(201).await;

    let reader = Caller::new(sale.instance.base());
    let listed = reader.get("/events/schemas").send().await.json();
    let mut kinds: BTreeSet<String> = listed.as_array().unwrap().iter().map(|one| text(&one["type"])).collect();
    let run = launch.command(&["events", "--json"]).output().await.unwrap();
    for line in String::from_utf8(run.stdout).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let kind = text(&event["type"]);
        let schema = reader.get(&format!("/events/schemas/{kind}")).send().await.json();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{kind}: {wrong:?}: {event}");
        kinds.remove(&kind);
    }
    assert!(kinds.is_empty(), "events of these types were not seen: {kinds:?}");
    assert_eq!(reader.get("/events/schemas/onsale.points.charged.v9").send().await.status, 404);
}

/// What an event of this schema may look like, by path: whether it must be there, and of which type it is.
fn fields(schema: &Value, path: &str, into: &mut Vec<(String, bool, Value)>) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        let kind = json!([field["type"], field["const"], field["format"], field["items"]["type"]]);
        into.push((path.clone(), required.contains(&name.as_str()), kind));
        fields(field, &path, into);
    }
}

/// A consumer of yesterday's events reads today's: no field is gone, optional by now, or of another type.
#[test]
fn a_released_schema_does_not_change() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read =
        |path: std::path::PathBuf| -> Value { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let mut count = 0;
    for landed in std::fs::read_dir(folder.join("tests/schemas/landed")).unwrap() {
        let landed = landed.unwrap().path();
        let today = read(folder.join("schemas").join(landed.file_name().unwrap()));
        let (mut before, mut after) = (Vec::new(), Vec::new());
        fields(&read(landed.clone()), "", &mut before);
        fields(&today, "", &mut after);
        for field in &before {
            assert!(after.contains(field), "{}: {field:?} is no longer so; make a new version", landed.display());
        }
        count += 1;
    }
    assert_eq!(count, 23);
}
