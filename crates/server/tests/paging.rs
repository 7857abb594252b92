//! Lists in pages: no row twice, none left out, also while rows are added.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use std::collections::BTreeSet;

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};
use support::evening::Evening;
use support::room::room;
use support::{next_page, start, text, until, walk};

/// A list, and what names its rows.
struct List {
    path: String,
    id: &'static str,
    is_admins: bool,
}

impl List {
    fn new(path: &str, id: &'static str) -> Self {
        Self { path: path.to_owned(), id, is_admins: path.starts_with("/admin") }
    }

    fn get(&self, sale: &Sale, path: &str) -> Call {
        let call = sale.caller.get(path);
        if self.is_admins { sale.admin(call) } else { call }
    }

    async fn pages(&self, sale: &Sale, query: &str) -> Vec<Value> {
        walk(&format!("{}{query}", self.path), |page| self.get(sale, page)).await
    }

    /// The whole list, once it has this many rows. A list may lag a little.
    async fn whole(&self, sale: &Sale, many: usize) -> Vec<Value> {
        let what = format!("{many} rows of {}", self.path);
        let rows = until(&what, async || {
            let rows = self.pages(sale, "?limit=200").await;
            (rows.len() == many).then_some(rows)
        });
        let rows = rows.await;
        assert_eq!(ids(&rows, self.id).len(), many, "{}: no row twice", self.path);
        rows
    }

    /// Every way to walk through gives the whole.
    async fn is_whole_in_pages(&self, sale: &Sale, many: usize) {
        let whole = self.whole(sale, many).await;
        for limit in [1, 2, 7, many - 1, many, many + 1] {
            let mut path = Some(format!("{}?limit={limit}", self.path));
            let mut rows = Vec::new();
            while let Some(page) = path {
                let reply = self.get(sale, &page).send().await;
                let found = reply.expect(200).as_array().unwrap().clone();
                path = next_page(&reply);
                let left = many - rows.len();
                assert_eq!(found.len(), left.min(limit), "{page}");
                assert_eq!(path.is_some(), left > limit, "{page}: a further page, and no empty one, is announced");
                rows.extend(found);
            }
            assert_eq!(rows, whole, "{} by {limit}", self.path);
        }
        let first = self.get(sale, &self.path).send().await;
        assert_eq!(first.expect(200).as_array().unwrap().len(), many.min(50), "{}: 50 unless said", self.path);
        assert_eq!(next_page(&first).is_some(), many > 50);
    }

    /// Walks in small pages and lets rows be added in between: those that were there come once, in their order.
    async fn stays_whole(&self, sale: &Sale, many: usize, mut add: impl AsyncFnMut(usize)) {
        let before: Vec<Value> = self.whole(sale, many).await.iter().map(|row| row[self.id].clone()).collect();
        let mut path = Some(format!("{}?limit=4", self.path));
        let (mut found, mut added) = (Vec::new(), 0);
        while let Some(page) = path {
            let reply = self.get(sale, &page).send().await;
            found.extend(reply.expect(200).as_array().unwrap().iter().map(|row| row[self.id].clone()));
            path = next_page(&reply);
            if added < 10 {
                add(added).await;
                added += 1;
            }
        }
        assert!(added >= 3, "rows were added on the way");
        let distinct: BTreeSet<String> = found.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), found.len(), "{}: a row came twice", self.path);
        found.retain(|id| before.contains(id));
        assert_eq!(found, before, "{}: a row was left out", self.path);
    }
}

fn ids(rows: &[Value], name: &str) -> BTreeSet<String> {
    rows.iter().map(|row| row[name].to_string()).collect()
}

#[tokio::test]
async fn histories_of_points() {
    let sale = start(&[]).await;
    for amount in 1..=55 {
        sale.charge("ada", amount).await;
    }
    sale.charge("bob", 1_000_000).await;
    let list = List::new("/point/ada/histories", "id");
    list.is_whole_in_pages(&sale, 55).await;
    list.stays_whole(&sale, 55, async |_| drop(sale.charge("ada", 1).await)).await;
}

#[tokio::test]
async fn refunds_of_a_payment_and_of_a_performance() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let mut last = String::new();
    for (user, token, seats) in [("ada", &evening.ada, [1, 2, 3, 4]), ("bob", &evening.bob, [5, 6, 7, 8])] {
        sale.charge(user, 200_000).await;
        let held = evening.hold(token, &json!(seats)).expect(201).await;
        last = text(&sale.pay(token, &held).expect(201).await["paymentId"]);
        for seat in seats {
            let body = json!({"seats": [seat], "reason": "r"});
            sale.admin(sale.caller.post(&format!("/admin/payments/{last}/refunds")).json(&body)).expect(201).await;
        }
    }
    List::new(&format!("/payments/{last}/refunds"), "refundId").is_whole_in_pages(sale, 4).await;
    List::new(&format!("/admin/performances/{performance}/refunds"), "refundId").is_whole_in_pages(sale, 8).await;
}

#[tokio::test]
async fn a_page_has_two_hundred_rows_at_most() {
    let sale = start(&[]).await;
    for _ in 0..201 {
        sale.charge("ada", 1).await;
    }
    let page = sale.caller.get("/point/ada/histories?limit=200").send().await;
    assert_eq!(page.expect(200).as_array().unwrap().len(), 200);
    let last = sale.caller.get(&next_page(&page).unwrap()).send().await;
    assert_eq!((last.expect(200).as_array().unwrap().len(), next_page(&last)), (1, None));
    for limit in ["0", "201"] {
        let call = sale.caller.get(&format!("/point/ada/histories?limit={limit}"));
        assert_eq!(call.refused(422, "invalid-request").await["errors"][0]["field"], "limit");
    }
}

async fn lecture(sale: &Sale, title: &str, starts_at: &str) {
    let body = json!({"title": title, "startsAt": starts_at});
    sale.admin(sale.caller.post("/admin/lectures").json(&body)).expect(201).await;
}

#[tokio::test]
async fn lectures_by_start() {
    let sale = start(&[]).await;
    // Several start at the same instant, and they are made in no order.
    for number in 0..52 {
        let hour = number * 7 % 10;
        lecture(&sale, &format!("{number}"), &format!("2090-05-02T{hour:02}:00:00Z")).await;
    }
    let list = List::new("/lectures", "lectureId");
    list.is_whole_in_pages(&sale, 52).await;
    let whole = list.whole(&sale, 52).await;
    assert!(whole.is_sorted_by_key(|row| text(&row["startsAt"])));
    // Rows come before, after and beside the place where a page has ended.
    let add = async |number: usize| {
        let (hour, day) = (number % 10, 1 + number % 3);
        lecture(&sale, "new", &format!("2090-05-{day:02}T{hour:02}:00:00Z")).await;
    };
    list.stays_whole(&sale, 52, add).await;
}

#[tokio::test]
async fn a_next_page_keeps_the_parameters_of_the_first() {
    let sale = start(&[]).await;
    for number in 0..9 {
        let date = if number % 3 == 0 { "2090-05-01" } else { "2090-05-02" };
        lecture(&sale, "x", &format!("{date}T0{number}:00:00Z")).await;
    }
    let list = List::new("/lectures", "lectureId");
    list.whole(&sale, 9).await;
    for (query, many) in [("?date=2090-05-02&limit=2", 6), ("?limit=1&available=true&date=2090-05-01", 3)] {
        let rows = list.pages(&sale, query).await;
        assert_eq!((rows.len(), ids(&rows, "lectureId").len()), (many, many), "{query}");
    }
}

#[tokio::test]
async fn concerts() {
    let sale = start(&[]).await;
    for _ in 0..52 {
        sale.concert(&json!({})).await;
    }
    let list = List::new("/concerts", "concertId");
    list.is_whole_in_pages(&sale, 52).await;
    let add = async |_| {
        let concert = sale.concert(&json!({})).await;
        sale.performance(&concert, &Value::Null).await;
    };
    list.stays_whole(&sale, 52, add).await;
}

#[tokio::test]
async fn the_history_of_a_lecture() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(1_000).await;
    let apply = async |number: usize| {
        let body = json!({"userId": format!("user-{number}"), "lectureId": lecture});
        sale.caller.post("/lectures/apply").json(&body).expect(201).await;
    };
    for number in 0..52 {
        apply(number).await;
    }
    let list = List::new(&format!("/admin/lectures/{lecture}/history"), "userId");
    list.is_whole_in_pages(&sale, 52).await;
    list.stays_whole(&sale, 52, async |number| apply(100 + number).await).await;
}

#[tokio::test]
async fn reservations_of_a_user() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    let hold = async |seat: usize| {
        let held = evening.hold(ada, &json!([seat % 50 + 1])).expect(201).await;
        evening.release(ada, &held).expect(204).await;
    };
    for number in 0..52 {
        hold(number).await;
    }
    evening.hold(&evening.bob, &json!([50])).expect(201).await;
    let list = List::new("/users/ada/reservations", "reservationId");
    list.is_whole_in_pages(sale, 52).await;
    list.stays_whole(sale, 52, hold).await;
}

#[tokio::test]
async fn payments_of_a_user() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let token = sale.active(&concert, "ada").await;
    sale.charge("ada", 10_000_000).await;
    // A seat that is held to the end keeps the turn.
    let kept = sale.performance(&concert, &json!(1)).await;
    sale.hold(&token, &kept, &[1]).await;
    let mut performances = Vec::new();
    for _ in 0..7 {
        performances.push(sale.performance(&concert, &json!(4)).await);
    }
    let buy = async |number: usize| {
        let seat = u32::try_from(number % 4).unwrap() + 1;
        let held = sale.hold(&token, &performances[number / 4], &[seat]).await;
        sale.pay(&token, &held).expect(201).await;
    };
    for number in 0..17 {
        buy(number).await;
    }
    let list = List::new("/users/ada/payments", "paymentId");
    list.is_whole_in_pages(&sale, 17).await;
    list.stays_whole(&sale, 17, async |number| buy(17 + number).await).await;
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let sale = start(&[]).await;
    for n in 0..3 {
        sale.charge("ada", 1 + n).await;
        lecture(&sale, "x", &iso(86_400)).await;
        sale.concert(&json!({})).await;
    }
    for path in ["/point/ada/histories", "/lectures", "/concerts", "/users/ada/reservations", "/users/ada/payments"] {
        for cursor in ["", "x", "nonsense", "%00%00", "Li4vLi4v", "0", "-1", "AAAAAAAAAAAAAAAAAAAAAA==", "bnVsbA"] {
            let call = sale.caller.get(&format!("{path}?limit=1&cursor={cursor}"));
            let problem = call.refused(422, "invalid-request").await;
            assert_eq!(problem["errors"][0]["field"], "cursor", "{path} {cursor}");
        }
        let long = format!("{path}?cursor={}", "A".repeat(6_000));
        sale.caller.get(&long).refused(422, "invalid-request").await;
    }
}
