//! What staff read of concerts: figures from counters, of each performance and in total.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::support::evening::Evening;
use crate::support::room::room;
use crate::support::{answer, audit, start, text};

fn list(sale: &Sale, query: &str) -> Call {
    sale.admin(sale.caller.get(&format!("/admin/concerts{query}")))
}

async fn one(sale: &Sale, concert: &str) -> Value {
    sale.admin(sale.caller.get(&format!("/admin/concerts/{concert}"))).expect(200).await
}

fn figures(of: &Value) -> Value {
    let names = ["capacity", "available", "held", "sold", "blocked", "revenue", "refunded"];
    names.iter().map(|name| of[name].clone()).collect()
}

#[tokio::test]
async fn figures_follow_every_sale() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, ada, bob } = &evening;
    let matinee = sale.performance(concert, &json!([{"from": 1, "to": 10, "price": 7}])).await;
    sale.charge("ada", 1_000_000).await;
    let of = |shown: &Value, id: &str| {
        let performances = shown["performances"].as_array().unwrap();
        figures(performances.iter().find(|performance| performance["performanceId"] == id).unwrap())
    };
    let shown = one(sale, concert).await;
    assert_eq!(of(&shown, performance), json!([50, 50, 0, 0, 0, 0, 0]));
    assert_eq!(of(&shown, &matinee), json!([10, 10, 0, 0, 0, 0, 0]));
    assert_eq!(shown["room"], json!({"waiting": 0, "active": 2, "admittedTotal": 2, "paused": false}));

    let held = evening.hold(ada, &json!([1, 2])).expect(201).await;
    let other = evening.hold(bob, &json!([3])).expect(201).await;
    assert_eq!(of(&one(sale, concert).await, performance), json!([50, 47, 3, 0, 0, 0, 0]));
    evening.release(bob, &other).expect(204).await;
    let paid = sale.pay(ada, &held).expect(201).await;
    assert_eq!(of(&one(sale, concert).await, performance), json!([50, 48, 0, 2, 0, 100_000, 0]));
    let path = format!("/admin/payments/{}/refunds", text(&paid["paymentId"]));
    let refund = json!({"seats": [1], "fee": 10_000, "reason": "moved"});
    sale.admin(sale.caller.post(&path)).json(&refund).expect(201).await;
    sale.hold(bob, &matinee, &[4]).await;

    let shown = one(sale, concert).await;
    assert_eq!(of(&shown, performance), json!([50, 49, 0, 1, 0, 60_000, 40_000]));
    assert_eq!(of(&shown, &matinee), json!([10, 9, 1, 0, 0, 0, 0]));
    assert_eq!(figures(&shown["totals"]), json!([60, 58, 1, 1, 0, 60_000, 40_000]));
    let listed = list(sale, "").expect(200).await;
    assert_eq!(listed[0]["totals"], shown["totals"]);
    assert_eq!((&listed[0]["concertId"], listed.as_array().unwrap().len()), (&json!(concert), 1));
    audit(sale).await;
}

#[tokio::test]
async fn concerts_are_found_by_text_and_by_date() {
    let sale = start(&[]).await;
    let make = async |title: &str, venue: &str, starts: &[&str]| {
        let body = json!({"title": title, "venue": venue});
        let made = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
        let concert = text(&made["concertId"]);
        for starts_at in starts {
            let path = format!("/admin/concerts/{concert}/performances");
            sale.admin(sale.caller.post(&path)).json(&json!({"startsAt": starts_at})).expect(201).await;
        }
        concert
    };
    // 16:00 in UTC is the next day in Seoul.
    let past = make("Night of the Locks", "Hall of Rows", &["2020-03-01T16:00:00Z"]).await;
    let coming = make("밤의 콘서트", "HALL OF KEYS", &["2090-03-01T10:00:00Z", "2090-03-09T10:00:00Z"]).await;
    let bare = make("Without dates", "A square", &[]).await;
    let found = async |query: &str| -> Vec<String> {
        let listed = list(&sale, query).expect(200).await;
        listed.as_array().unwrap().iter().map(|concert| text(&concert["concertId"])).collect()
    };
    assert_eq!(found("").await, [past.clone(), coming.clone(), bare.clone()]);
    assert_eq!(found("?q=hall%20of").await, [past.clone(), coming.clone()]);
    assert_eq!(found("?q=LOCKS").await, std::slice::from_ref(&past));
    assert_eq!(found("?q=%EB%B0%A4").await, std::slice::from_ref(&coming));
    assert_eq!(found("?q=%25").await, Vec::<String>::new(), "each character stands for itself");
    assert_eq!(found("?to=2020-03-02").await, std::slice::from_ref(&past));
    assert_eq!(found("?to=2020-03-01").await, Vec::<String>::new());
    assert_eq!(found("?from=2090-03-09").await, std::slice::from_ref(&coming));
    assert_eq!(found("?from=2090-03-02&to=2090-03-08").await, Vec::<String>::new(), "one performance must be within");
    let first = list(&sale, "?limit=2").send().await;
    assert_eq!(first.json().as_array().unwrap().len(), 2);
    let next = first.header("link").expect("a further page").to_owned();
    let path = next.trim_start_matches('<').split('>').next().unwrap().to_owned();
    assert_eq!(found(path.trim_start_matches("/admin/concerts")).await, [bare]);
    for wrong in ["?q=", "?from=soon", "?to=2020-13-01", "?date=2020-01-01", "?limit=0"] {
        list(&sale, wrong).refused(422, "invalid-request").await;
    }
}

#[tokio::test]
async fn figures_are_for_staff() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let path = format!("/admin/concerts/{concert}");
    for path in ["/admin/concerts", &path] {
        sale.caller.get(path).refused(401, "admin-key-invalid").await;
        for (role, status) in [("organiser", 200), ("support", 200), ("door", 403), ("cashier", 403)] {
            let body = json!({"name": format!("{role} of {path}"), "role": role});
            let key = sale.admin(sale.caller.post("/admin/keys")).json(&body).expect(201).await;
            let reply = answer(|| sale.caller.get(path).bearer(key["key"].as_str().unwrap())).await;
            assert_eq!(reply.status, status, "{role} reads {path}");
        }
    }
    let unknown = "/admin/concerts/019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
    sale.admin(sale.caller.get(unknown)).refused(404, "concert-not-found").await;
}
