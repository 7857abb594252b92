//! The form of lists, and who may read them.

use onsale_testing::Call;
use serde_json::{Value, json};

use crate::support::evening::Evening;
use crate::support::raw::{exchange, request};
use crate::support::{answer, audit, start, text, walk};
use crate::{cells, csv_of};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

const HEADER: [&str; 6] = ["seat", "grade", "userId", "paymentId", "paidAt", "checkedInAt"];

/// A cell as JSON has the value.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn a_list_is_the_same_as_json_and_as_csv() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, .. } = &evening;
    let seats = json!([
        {"from": 1, "to": 10, "grade": "=SUM(A1), \"front\""}, {"from": 11, "to": 20, "grade": "특별석"}
    ]);
    let performance = sale.performance(concert, &seats).await;
    let mut payments = Vec::new();
    for (user, wanted) in [("-1", vec![3, 12]), ("ada", vec![2]), ("_", vec![19, 4, 1])] {
        sale.charge(user, 1_000_000).await;
        let token = sale.active(concert, user).await;
        let held = sale.hold(&token, &performance, &wanted).await;
        payments.push(sale.pay(&token, &held).expect(201).await);
    }
    // Neither a hold nor a seat that was refunded is in the list.
    sale.hold(&sale.active(concert, "bob").await, &performance, &[5]).await;
    let refund = format!("/admin/payments/{}/refunds", text(&payments[0]["paymentId"]));
    let body = json!({"seats": [3], "reason": "r"});
    sale.admin(sale.caller.post(&refund)).json(&body).expect(201).await;

    let path = format!("/admin/performances/{performance}/attendees");
    let rows = walk(&format!("{path}?limit=2"), |page| sale.admin(sale.caller.get(page))).await;
    let found: Vec<_> = rows.iter().map(|row| (row["seat"].clone(), row["userId"].clone())).collect();
    let expected = [(1, "_"), (2, "ada"), (4, "_"), (12, "-1"), (19, "_")];
    assert_eq!(found, expected.map(|(seat, user)| (json!(seat), json!(user))));
    assert_eq!(rows[0]["paymentId"], payments[2]["paymentId"]);
    assert_eq!((&rows[0]["paidAt"], &rows[0]["checkedInAt"]), (&payments[2]["paidAt"], &Value::Null));
    assert_eq!((&rows[0]["grade"], &rows[4]["grade"]), (&json!("=SUM(A1), \"front\""), &json!("특별석")));

    let reply = csv_of(sale, &performance).send().await;
    let header = |name: &str| reply.header(name).unwrap_or_default().to_owned();
    assert_eq!(header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"attendees-{performance}.csv\""));
    assert_eq!((header("cache-control"), header("content-length")), ("no-store".into(), reply.body.len().to_string()));
    let written = cells(&reply);
    assert_eq!(written[0], HEADER);
    assert_eq!(rows[0].as_object().unwrap().len(), HEADER.len());
    let expected: Vec<Vec<_>> = rows.iter().map(|row| HEADER.iter().map(|name| cell(&row[*name])).collect()).collect();
    assert_eq!(written[1..], expected);

    let by_accept = sale.admin(sale.caller.get(&path)).header("accept", "text/csv").send().await;
    assert_eq!(by_accept.body, reply.body, "by Accept and by path");
    let with_mark = sale.admin(sale.caller.get(&format!("{path}.csv?bom=true"))).send().await;
    assert_eq!(with_mark.body, ["\u{feff}".as_bytes(), &reply.body].concat());
    let json = sale.admin(sale.caller.get(&path)).header("accept", "application/json, text/csv").expect(200).await;
    assert_eq!(json, json!(rows));

    let log = sale.admin(sale.caller.get("/admin/log?action=list.exported")).expect(200).await;
    let entries: Vec<_> = log.as_array().unwrap().iter().map(|entry| entry["subject"].clone()).collect();
    assert_eq!(entries, vec![json!(format!("performance:{performance}")); 3], "one for each CSV, none for JSON");
    assert_eq!((&log[0]["before"], &log[0]["after"]), (&Value::Null, &json!({"list": "attendees"})));
    audit(sale).await;
}

#[tokio::test]
async fn the_applicants_of_a_lecture_are_exported_by_place() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(5).await;
    for user in ["ada", "-bob", "cy"] {
        let body = json!({"userId": user, "lectureId": lecture});
        sale.caller.post("/lectures/apply").json(&body).expect(201).await;
    }
    sale.caller.delete(&format!("/lectures/application/ada/{lecture}")).expect(204).await;
    let path = format!("/admin/lectures/{lecture}/applicants");
    let reply = sale.admin(sale.caller.get(&format!("{path}.csv"))).send().await;
    let written = cells(&reply);
    let shown: Vec<_> = written.iter().map(|row| (&*row[0], &*row[1])).collect();
    assert_eq!(shown, [("seatNumber", "userId"), ("2", "'-bob"), ("3", "cy")]);
    assert_eq!(written[0][2], "appliedAt");
    assert!(written[1][2].ends_with('Z'), "{written:?}");
    let by_accept = sale.admin(sale.caller.get(&path)).header("accept", "text/csv").send().await;
    let header = |name: &str| by_accept.header(name).unwrap_or_default().to_owned();
    assert_eq!(by_accept.body, reply.body, "by Accept and by path");
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"applicants-{lecture}.csv\""));
    let with_mark = sale.admin(sale.caller.get(&format!("{path}?bom=true"))).header("accept", "text/csv").send().await;
    assert_eq!(with_mark.body, ["\u{feff}".as_bytes(), &reply.body].concat());
    let json = sale.admin(sale.caller.get(&path)).expect(200).await;
    assert_eq!((&json[1]["userId"], json.as_array().unwrap().len()), (&json!("cy"), 2), "{json}");
    let log = sale.admin(sale.caller.get("/admin/log?action=list.exported")).expect(200).await;
    let subjects: Vec<_> = log.as_array().unwrap().iter().map(|entry| text(&entry["subject"])).collect();
    assert_eq!(subjects, vec![format!("lecture:{lecture}"); 3], "one for each CSV, none for JSON");
    audit(&sale).await;
}

#[tokio::test]
async fn an_empty_list_has_its_header_row() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    assert_eq!(cells(&csv_of(sale, performance).send().await), [HEADER]);
    let path = format!("/admin/performances/{performance}/attendees");
    assert_eq!(sale.admin(sale.caller.get(&path)).expect(200).await, json!([]));
}

#[tokio::test]
async fn bad_calls_are_refused_and_leave_no_entry() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let get = |path: &str| sale.admin(sale.caller.get(path));
    let of = |call: Call| async { call.send().await };
    for form in ["", ".csv"] {
        let reply = of(get(&format!("/admin/performances/{UNKNOWN}/attendees{form}"))).await;
        reply.refused(404, "performance-not-found");
        of(get(&format!("/admin/performances/none/attendees{form}"))).await.refused(422, "invalid-request");
        let path = format!("/admin/performances/{performance}/attendees{form}");
        for query in ["bom=yes", "bom=true&bom=true", "key=x", "limit=0"] {
            of(get(&format!("{path}?{query}"))).await.refused(422, "invalid-request");
        }
        sale.caller.get(&path).refused(401, "admin-key-invalid").await;
    }
    of(get(&format!("/admin/lectures/{UNKNOWN}/applicants.csv"))).await.refused(404, "lecture-not-found");
    // A request for the head alone exports nothing.
    let line = format!("HEAD /admin/performances/{performance}/attendees.csv");
    let bearer = format!("authorization: Bearer {}", onsale_testing::ADMIN_KEY);
    let head = exchange(sale.instance.base(), &request(line.as_bytes(), &[bearer.as_bytes()], b"")).await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0), "{head:?}");
    assert_eq!(get("/admin/log?action=list.exported").expect(200).await, json!([]));
}

#[tokio::test]
async fn each_role_reads_the_lists_of_the_contract() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let lecture = sale.lecture(5).await;
    let attendees = format!("/admin/performances/{performance}/attendees");
    for role in ["owner", "organiser", "support", "door", "cashier"] {
        let body = json!({"name": role, "role": role});
        let key = text(&sale.admin(sale.caller.post("/admin/keys")).json(&body).expect(201).await["key"]);
        for path in [attendees.clone(), format!("{attendees}.csv")] {
            let status = answer(|| sale.caller.get(&path).bearer(&key)).await.status.as_u16();
            assert_eq!(status, if role == "cashier" { 403 } else { 200 }, "{role}: {path}");
        }
        let applicants = format!("/admin/lectures/{lecture}/applicants.csv");
        let status = answer(|| sale.caller.get(&applicants).bearer(&key)).await.status.as_u16();
        assert_eq!(status, if ["door", "cashier"].contains(&role) { 403 } else { 200 }, "{role}: {applicants}");
    }
    let log = sale.admin(sale.caller.get("/admin/log?action=list.exported&actor=door")).expect(200).await;
    assert_eq!(log.as_array().unwrap().len(), 1, "{log}");
}
