//! Tickets and check-ins: what is answered, what is refused and in which order, and what a door without a network gets to know.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use onsale_testing::{Call, Sale};
use serde_json::{Value, json};
use support::evening::Evening;
use support::{ONSALE, audit, text};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

/// The start of the test at the door: the clock of a device that is right.
const NOW: &str = "2026-11-22T11:12:13Z";

/// Ada buys these seats. Returns the payment.
async fn bought(evening: &Evening, seats: &Value) -> String {
    let Evening { sale, ada, .. } = evening;
    sale.charge("ada", 500_000).await;
    let held = evening.hold(ada, seats).expect(201).await;
    text(&sale.pay(ada, &held).expect(201).await["paymentId"])
}

async fn tickets(sale: &Sale, payment: &str) -> Value {
    sale.caller.get(&format!("/payments/{payment}/tickets")).expect(200).await
}

fn reissue(sale: &Sale, payment: &str, ticket: &Value) -> Call {
    sale.caller.post(&format!("/payments/{payment}/tickets/{}/reissue", text(&ticket["ticketId"])))
}

fn scan(performance: &str, ticket: &Value, id: &str, scanned_at: &str) -> Value {
    json!({"performanceId": performance, "code": ticket["code"], "device": "gate", "scanId": id, "scannedAt": scanned_at,
        "deviceNow": NOW})
}

fn check_in(sale: &Sale, body: &Value) -> Call {
    sale.admin(sale.caller.post("/check-ins").json(body))
}

async fn admin(sale: &Sale, path: &str) -> Value {
    sale.admin(sale.caller.get(path)).expect(200).await
}

fn statuses(tickets: &Value) -> Vec<(u64, String)> {
    let all = tickets.as_array().unwrap().iter();
    all.map(|ticket| (ticket["seat"].as_u64().unwrap(), text(&ticket["status"]))).collect()
}

fn of(rows: &[(u64, &str)]) -> Vec<(u64, String)> {
    rows.iter().map(|(seat, status)| (*seat, (*status).to_owned())).collect()
}

#[tokio::test]
async fn each_paid_seat_is_a_ticket_with_a_code_that_clients_can_verify() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let payment = bought(&evening, &json!([8, 7])).await;
    let all = tickets(sale, &payment).await;
    assert_eq!(statuses(&all), of(&[(8, "VALID"), (7, "VALID")]));
    assert_eq!(tickets(sale, &payment).await, all, "always the same text");
    let keys = sale.caller.get("/tickets/keys").expect(200).await;
    assert_eq!((keys.as_array().unwrap().len(), &keys[0]["retiredAt"]), (1, &Value::Null));
    let public: [u8; 32] = URL_SAFE_NO_PAD.decode(text(&keys[0]["publicKey"])).unwrap().try_into().unwrap();
    let public = VerifyingKey::from_bytes(&public).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for ticket in all.as_array().unwrap() {
        let code = URL_SAFE_NO_PAD.decode(text(&ticket["code"]).strip_prefix("T1.").unwrap()).unwrap();
        let (signed, signature) = code.split_at(41);
        let message = [b"onsale-ticket-1\0", signed].concat();
        public.verify_strict(&message, &Signature::from_slice(signature).unwrap()).unwrap();
        let seat = u32::try_from(ticket["seat"].as_u64().unwrap()).unwrap();
        let ids = [&ticket["ticketId"], &json!(performance)].map(|id| text(id).replace('-', ""));
        let expected = format!("01{}{}{}{}", text(&keys[0]["keyId"]), ids[0], ids[1], hex(&seat.to_be_bytes()));
        assert_eq!(hex(signed), expected);
    }
    let of_ada = sale.caller.get("/users/ada/tickets").expect(200).await;
    assert_eq!((&of_ada[0]["code"], &of_ada[1]["paymentId"]), (&all[0]["code"], &json!(payment)));
    assert_eq!(sale.caller.get("/users/bob/tickets").expect(200).await, json!([]));
    sale.caller.get(&format!("/payments/{UNKNOWN}/tickets")).refused(404, "payment-not-found").await;
    audit(sale).await;
}

#[tokio::test]
async fn a_new_ticket_makes_the_old_one_void_and_so_does_a_refund() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let payment = bought(&evening, &json!([7, 8, 9])).await;
    let first = tickets(sale, &payment).await;
    let new = reissue(sale, &payment, &first[1]).expect(201).await;
    assert_ne!(new["code"], first[1]["code"]);
    let all = tickets(sale, &payment).await;
    assert_eq!(statuses(&all), of(&[(7, "VALID"), (8, "VALID"), (8, "VOID"), (9, "VALID")]));
    assert_eq!((&all[1], &all[2]["code"]), (&new, &first[1]["code"]));
    reissue(sale, &payment, &first[1]).refused(409, "ticket-void").await;
    reissue(sale, &payment, &json!({"ticketId": UNKNOWN})).refused(404, "ticket-not-found").await;
    reissue(sale, UNKNOWN, &first[0]).refused(404, "payment-not-found").await;
    check_in(sale, &scan(performance, &first[1], "old", NOW)).refused(409, "ticket-void").await;
    check_in(sale, &scan(performance, &new, "new", NOW)).expect(201).await;
    reissue(sale, &payment, &new).refused(409, "already-checked-in").await;
    let refund = json!({"seats": [8, 9], "reason": "a storm"});
    sale.admin(sale.caller.post(&format!("/admin/payments/{payment}/refunds")).json(&refund)).expect(201).await;
    let all = tickets(sale, &payment).await;
    assert_eq!(statuses(&all), of(&[(7, "VALID"), (8, "VOID"), (8, "VOID"), (9, "VOID")]));
    check_in(sale, &scan(performance, &first[2], "refunded", NOW)).refused(409, "ticket-void").await;
    let manifest = admin(sale, &format!("/check-ins/manifest?performanceId={performance}")).await;
    assert_eq!(manifest["void"], json!([first[1]["ticketId"], new["ticketId"], first[2]["ticketId"]]));
    let cancel = sale.admin(sale.caller.post(&format!("/admin/performances/{performance}/cancel")));
    cancel.json(&json!({"reason": "a storm"})).expect(202).await;
    check_in(sale, &scan(performance, &first[0], "cancelled", NOW)).refused(409, "ticket-void").await;
    let all = tickets(sale, &payment).await;
    assert!(statuses(&all).iter().all(|(_, status)| status == "VOID"), "{all}");
    audit(sale).await;
}

#[tokio::test]
async fn a_buyer_gets_nothing_back_for_a_seat_that_is_checked_in() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 0}]});
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&policy).expect(200).await;
    let payment = bought(&evening, &json!([7, 8, 9])).await;
    let all = tickets(sale, &payment).await;
    let refund =
        |seats: Value| sale.caller.post(&format!("/payments/{payment}/refunds")).json(&json!({"seats": seats}));
    let inside = check_in(sale, &scan(performance, &all[0], "1", NOW)).expect(201).await;
    refund(json!([7])).refused(409, "refund-closed").await;
    refund(json!([7, 8])).refused(409, "refund-closed").await;
    refund(json!([8])).expect(201).await;
    let undo = sale.caller.delete(&format!("/check-ins/{}", text(&inside["checkInId"])));
    sale.admin(undo).expect(204).await;
    refund(json!([7])).expect(201).await;
    check_in(sale, &scan(performance, &all[2], "2", NOW)).expect(201).await;
    refund(json!([9])).refused(409, "refund-closed").await;
    let by_staff = sale.caller.post(&format!("/admin/payments/{payment}/refunds")).json(&json!({"reason": "a storm"}));
    sale.admin(by_staff).expect(201).await;
    audit(sale).await;
}

#[tokio::test]
async fn scans_are_judged_in_order_and_answered_for_good() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, .. } = &evening;
    let other = sale.performance(concert, &Value::Null).await;
    let payment = bought(&evening, &json!([7, 8])).await;
    let all = tickets(sale, &payment).await;
    let forged = json!({"code": format!("{}A", text(&all[0]["code"]))});
    let refused = check_in(sale, &scan(performance, &forged, "1", NOW)).refused(422, "ticket-invalid").await;
    check_in(sale, &scan(&other, &all[0], "2", NOW)).refused(409, "ticket-other-performance").await;
    check_in(sale, &scan(UNKNOWN, &all[0], "3", NOW)).refused(404, "performance-not-found").await;
    let scanned = check_in(sale, &scan(performance, &all[0], "4", NOW)).expect(201).await;
    assert_eq!(scanned, check_in(sale, &scan(performance, &all[0], "4", NOW)).expect(201).await, "the same scan");
    assert_eq!((&scanned["seat"], &scanned["clockDoubtful"]), (&json!(7), &json!(true)), "long before the start");
    let again = check_in(sale, &scan(performance, &all[0], "5", NOW)).refused(409, "already-checked-in").await;
    assert_eq!((&again["device"], &again["checkedInAt"]), (&json!("gate"), &scanned["checkedInAt"]));
    let good = check_in(sale, &scan(performance, &all[1], "1", NOW)).refused(422, "ticket-invalid").await;
    assert_eq!(good, refused, "the first answer to this scan");
    let typed = json!({"performanceId": performance, "ticketId": all[1]["ticketId"], "device": "gate", "scanId": "6",
        "scannedAt": NOW, "deviceNow": NOW});
    check_in(sale, &typed).expect(201).await;
    assert_eq!(statuses(&tickets(sale, &payment).await), of(&[(7, "CHECKED_IN"), (8, "CHECKED_IN")]));
    let attendees = admin(sale, &format!("/admin/performances/{performance}/attendees")).await;
    assert_eq!(attendees[0]["checkedInAt"], scanned["checkedInAt"]);
    let undo = || sale.admin(sale.caller.delete(&format!("/check-ins/{}", text(&scanned["checkInId"]))));
    undo().expect(204).await;
    undo().expect(204).await;
    sale.admin(sale.caller.delete(&format!("/check-ins/{UNKNOWN}"))).refused(404, "check-in-not-found").await;
    assert_eq!(statuses(&tickets(sale, &payment).await), of(&[(7, "VALID"), (8, "CHECKED_IN")]));
    let log = admin(sale, "/admin/log?action=check-in.cancelled").await;
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert_eq!(log[0]["after"]["checkInId"], scanned["checkInId"]);
    audit(sale).await;
}

/// Two doors that were offline send the same ticket.
#[tokio::test]
async fn doors_that_were_offline_are_settled_by_the_time_of_their_scans() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, ada, .. } = &evening;
    // Soon enough that the clocks of the devices are not in doubt.
    let performance = &sale.performance_at(concert, &Value::Null, 3_600).await;
    sale.charge("ada", 500_000).await;
    let held = sale.hold(ada, performance, &[7, 8]).await;
    let payment = text(&sale.pay(ada, &held).expect(201).await["paymentId"]);
    let all = tickets(sale, &payment).await;
    let (early, late) = ("2026-11-22T11:02:13Z", "2026-11-22T11:07:13Z");
    let path = format!("/check-ins/manifest?performanceId={performance}");
    let before = admin(sale, &path).await;
    let batch = |scans: &[Value]| sale.admin(sale.caller.post("/check-ins/batch").json(&json!({"checkIns": scans})));
    let second = batch(&[scan(performance, &all[0], "b1", late), scan(performance, &all[1], "b2", late)]);
    let second = second.expect(200).await;
    assert_eq!((&second[0]["status"], &second[1]["status"]), (&json!(201), &json!(201)));
    assert_eq!(second[0]["checkIn"]["clockDoubtful"], false);
    let first = batch(&[
        scan(performance, &all[0], "a1", early),
        scan(performance, &all[0], "b1", late),
        scan(performance, &all[1], "a2", NOW),
    ]);
    let first = first.expect(200).await;
    let shown: Vec<_> =
        first.as_array().unwrap().iter().map(|one| (one["status"].clone(), one["code"].clone())).collect();
    assert_eq!(
        shown,
        [(json!(201), Value::Null), (json!(201), Value::Null), (json!(409), json!("already-checked-in"))]
    );
    assert_eq!(first[1]["checkIn"], second[0]["checkIn"], "the first answer for good");
    let conflicts = admin(sale, &format!("/admin/performances/{performance}/check-ins?conflict=true")).await;
    let conflicts = conflicts.as_array().unwrap();
    assert_eq!(conflicts.len(), 2);
    for conflict in conflicts {
        assert_eq!(conflict["kind"], "twice");
        let scans = conflict["scans"].as_array().unwrap().iter();
        let scans: Vec<_> = scans.map(|one| (text(&one["scanId"]), text(&one["status"]))).collect();
        let expected = match conflict["seat"].as_u64() {
            Some(7) => [("a1", "COUNTS"), ("b1", "SUPERSEDED")],
            _ => [("b2", "COUNTS"), ("a2", "REFUSED")],
        };
        assert_eq!(scans, expected.map(|(id, status)| (id.to_owned(), status.to_owned())));
    }
    let after = admin(sale, &format!("{path}&after={}", before["version"])).await;
    let mut scanned: Vec<String> = after["checkedIn"].as_array().unwrap().iter().map(text).collect();
    scanned.sort_unstable();
    let mut expected = [text(&all[0]["ticketId"]), text(&all[1]["ticketId"])];
    expected.sort_unstable();
    assert_eq!(scanned, expected);
    let none = admin(sale, &format!("{path}&after={}", after["version"])).await;
    assert_eq!((&none["checkedIn"], &none["void"], &none["undone"]), (&json!([]), &json!([]), &json!([])));
    let listed = admin(sale, &format!("/admin/performances/{performance}/check-ins?limit=3")).await;
    assert_eq!(listed.as_array().unwrap().len(), 3);
    audit(sale).await;
}

#[tokio::test]
async fn a_thousand_scans_fit_into_one_call_and_one_more_does_not() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let payment = bought(&evening, &json!([7])).await;
    let all = tickets(sale, &payment).await;
    let of = |many: usize| {
        let scans: Vec<Value> = (0..many).map(|id| scan(performance, &all[0], &format!("scan-{id}"), NOW)).collect();
        sale.admin(sale.caller.post("/check-ins/batch").json(&json!({"checkIns": scans})))
    };
    of(1_001).refused(422, "invalid-request").await;
    of(0).refused(422, "invalid-request").await;
    let answers = of(1_000).expect(200).await;
    let admitted = answers.as_array().unwrap().iter().filter(|one| one["status"] == 201).count();
    assert_eq!((admitted, answers.as_array().unwrap().len()), (1, 1_000));
    audit(sale).await;
}

#[tokio::test]
async fn only_the_door_and_those_who_run_the_sale_check_in() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let payment = bought(&evening, &json!([7])).await;
    let ticket = tickets(sale, &payment).await[0].clone();
    for (role, status) in [("support", 403), ("cashier", 403), ("door", 201)] {
        let body = json!({"name": role, "role": role});
        let key = sale.admin(sale.caller.post("/admin/keys").json(&body)).expect(201).await;
        let call = sale.caller.post("/check-ins").bearer(&text(&key["key"]));
        assert_eq!(call.json(&scan(performance, &ticket, role, NOW)).send().await.status, status, "{role}");
    }
    let scans = admin(sale, &format!("/admin/performances/{performance}/check-ins")).await;
    assert_eq!((&scans[0]["by"], scans.as_array().unwrap().len()), (&json!("door"), 1));
    sale.caller.post("/check-ins").json(&scan(performance, &ticket, "x", NOW)).refused(401, "admin-key-invalid").await;
}

/// The key of the settings signs from the restart on, and what another one signed stays as it is.
#[tokio::test]
async fn a_code_stays_the_same_when_another_key_signs() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let concert = sale.concert(&support::room::room(10)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    sale.charge("ada", 500_000).await;
    let token = sale.active(&concert, "ada").await;
    let (one, two) = (sale.hold(&token, &performance, &[7]).await, sale.hold(&token, &performance, &[8]).await);
    let before = text(&sale.pay(&token, &one).expect(201).await["paymentId"]);
    let old = tickets(&sale, &before).await;
    assert!(sale.instance.terminate().await.success());
    let launch = launch.set("ONSALE_TICKET_KEY", STANDARD.encode([7_u8; 32]));
    let sale = Sale::start(&launch).await;
    assert_eq!(tickets(&sale, &before).await, old);
    let after = text(&sale.pay(&token, &two).expect(201).await["paymentId"]);
    let new = tickets(&sale, &after).await;
    let keys = sale.caller.get("/tickets/keys").expect(200).await;
    assert_eq!((keys[0]["retiredAt"].is_null(), keys[1]["retiredAt"].is_null()), (true, false));
    for (id, ticket) in [("old", &old[0]), ("new", &new[0])] {
        check_in(&sale, &scan(&performance, ticket, id, NOW)).expect(201).await;
    }
    audit(&sale).await;
}
