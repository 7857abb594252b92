//! A sale in which everything has happened once, for tests of the audit and the event log.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::instance::Launch;
use crate::instant::iso;
use crate::patience::PATIENCE;
use crate::sale::Sale;

/// All objects, by name.
pub struct Used {
    /// The objects as answered: `lecture`, `concert`, `line` and `performance` as ids; `paid`, `held`,
    /// `released`, `expired` and `other` as reservations; `payment` and `other-payment` as payments; `applied` and
    /// `token` as the first applicant's place and turn.
    pub objects: BTreeMap<&'static str, Value>,
}

impl Used {
    /// Creates everything, and returns the running server too. The launch holds seats for 300 seconds from now on.
    ///
    /// # Panics
    /// If a request is refused.
    pub async fn make(launch: Launch) -> (Self, Launch, Sale) {
        let launch = launch.set("ONSALE_HOLD_SECONDS", 1);
        let sale = Sale::start(&launch).await;
        let concert = sale.concert(&json!({})).await;
        let performance = sale.performance(&concert, &json!(null)).await;
        let dan = sale.active(&concert, "dan").await;
        let expired = sale.hold(&dan, &performance, &[12]).await;
        until_listed(&launch, "onsale.seats.released.v1").await;
        assert!(sale.instance.terminate().await.success());

        let launch = launch.set("ONSALE_HOLD_SECONDS", 300);
        let sale = Sale::start(&launch).await;
        let mut used = Self { objects: BTreeMap::new() };
        used.put("concert", json!(concert));
        used.put("performance", json!(performance));
        used.put("expired", expired);
        used.points(&sale).await;
        used.lecture(&sale).await;
        used.seats(&sale).await;
        used.line(&sale).await;
        (used, launch, sale)
    }

    fn put(&mut self, name: &'static str, object: Value) {
        self.objects.insert(name, object);
    }

    /// The id of an object.
    ///
    /// # Panics
    /// If there is no such object.
    pub fn id(&self, name: &str) -> &str {
        let object = self.objects.get(name).unwrap_or_else(|| panic!("no {name}"));
        let ids = [object, &object["paymentId"], &object["reservationId"]];
        ids.iter().find_map(|id| id.as_str()).unwrap_or_else(|| panic!("{name} has no id: {object}"))
    }

    /// The names of all objects with an id.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.objects.keys().copied().filter(|name| !["applied", "token"].contains(name))
    }

    async fn points(&mut self, sale: &Sale) {
        sale.charge("ada", 200_000).await;
        sale.charge("ada", 50_000).await;
        sale.charge("eve", 50_000).await;
        sale.caller.patch("/point/ada/use").json(&json!({"amount": 1_000})).expect(200).await;
    }

    async fn lecture(&mut self, sale: &Sale) {
        let lecture = sale.lecture(5).await;
        for user in ["ada", "bob", "cyd", "dan"] {
            let body = json!({"userId": user, "lectureId": lecture});
            let applied = sale.caller.post("/lectures/apply").json(&body).expect(201).await;
            if user == "ada" {
                self.put("applied", applied);
            }
        }
        sale.caller.delete(&format!("/lectures/application/bob/{lecture}")).expect(204).await;
        self.put("lecture", json!(lecture));
    }

    async fn seats(&mut self, sale: &Sale) {
        let (concert, performance) = (self.id("concert").to_owned(), self.id("performance").to_owned());
        for (user, seats, paid, payment) in
            [("ada", &[7, 8][..], "paid", "payment"), ("eve", &[1], "other", "other-payment")]
        {
            let token = sale.active(&concert, user).await;
            let held = sale.hold(&token, &performance, seats).await;
            let answer = sale.pay(&token, &held).expect(201).await;
            self.put(paid, held);
            self.put(payment, answer);
            self.objects.entry("token").or_insert(json!(token));
        }
        let bob = sale.active(&concert, "bob").await;
        let released = sale.hold(&bob, &performance, &[9]).await;
        let path = format!("/reservations/{}", released["reservationId"].as_str().unwrap());
        sale.caller.delete(&path).token(&bob).expect(204).await;
        self.put("released", released);
        let cyd = sale.active(&concert, "cyd").await;
        self.put("held", sale.hold(&cyd, &performance, &[10, 11]).await);
    }

    /// Adds a performance `matinee` with refunds: of `bought` with its payment `purchase` seat 1 by the buyer (`refund`) and seat
    /// 2 by staff (`staff-refund`); of `returned` all seats. Seat 40 is blocked, and prices have changed. And corrects a wallet of
    /// the user `kim`.
    ///
    /// # Panics
    /// If a request is refused.
    pub async fn refunds(&mut self, sale: &Sale) {
        let concert = sale.concert(&json!({})).await;
        let policy = json!([{"hoursBefore": 24, "feePercent": 10}]);
        let body = json!({"startsAt": iso(10 * 86_400), "refundPolicy": policy});
        let path = format!("/admin/concerts/{concert}/performances");
        let made = sale.admin(sale.caller.post(&path).json(&body)).expect(201).await;
        let performance = made["performanceId"].as_str().unwrap().to_owned();
        let refund = async |path: &str, body: Value| {
            let call = sale.caller.post(path).json(&body);
            let call = if path.starts_with("/admin") { sale.admin(call) } else { call };
            let refunded = call.expect(201).await;
            refunded["refundId"].clone()
        };
        for (user, seats, reservation, payment) in
            [("kim", &[1, 2, 3][..], "bought", "purchase"), ("lee", &[4], "returned", "return")]
        {
            sale.charge(user, 200_000).await;
            let token = sale.active(&concert, user).await;
            let held = sale.hold(&token, &performance, seats).await;
            let paid = sale.pay(&token, &held).expect(201).await;
            self.put(reservation, held);
            self.put(payment, paid);
        }
        let (purchase, of_lee) = (self.id("purchase").to_owned(), self.id("return").to_owned());
        self.put("refund", refund(&format!("/payments/{purchase}/refunds"), json!({"seats": [1]})).await);
        let by_staff = json!({"seats": [2], "fee": 100, "reason": "moved"});
        self.put("staff-refund", refund(&format!("/admin/payments/{purchase}/refunds"), by_staff).await);
        self.put("last-refund", refund(&format!("/payments/{of_lee}/refunds"), json!({})).await);
        let adjust = sale.caller.post("/admin/point/kim/adjustments").json(&json!({"amount": 7, "reason": "late"}));
        sale.admin(adjust).expect(201).await;
        for (what, seats) in [("blocks", json!([40, 41])), ("unblocks", json!([41]))] {
            let path = format!("/admin/performances/{performance}/{what}");
            let body = json!({"seats": seats, "reason": "a camera"});
            sale.admin(sale.caller.post(&path).json(&body)).expect(200).await;
        }
        let priced = json!({"prices": [{"grade": "R", "price": 60_000}]});
        let path = format!("/admin/performances/{performance}");
        sale.admin(sale.caller.patch(&path).json(&priced)).expect(200).await;
        self.put("matinee", json!(performance));
    }

    /// Adds a performance `off` that was cancelled: `gone` was paid with `gone-payment`, and `dropped` was held. All of it is
    /// settled.
    ///
    /// # Panics
    /// If a request is refused, or if the cancellation is not done in time.
    pub async fn cancellation(&mut self, sale: &Sale) {
        let concert = sale.concert(&json!({})).await;
        let performance = sale.performance(&concert, &json!(null)).await;
        sale.charge("mia", 200_000).await;
        let mia = sale.active(&concert, "mia").await;
        self.put("dropped", sale.hold(&mia, &performance, &[3]).await);
        let held = sale.hold(&mia, &performance, &[1, 2]).await;
        self.put("gone-payment", sale.pay(&mia, &held).expect(201).await);
        self.put("gone", held);
        let path = format!("/admin/performances/{performance}");
        let cancel = sale.caller.post(&format!("{path}/cancel")).json(&json!({"reason": "the singer is ill"}));
        sale.admin(cancel).expect(202).await;
        let begun = std::time::Instant::now();
        while sale.admin(sale.caller.get(&format!("{path}/cancellation"))).expect(200).await["state"] != "DONE" {
            assert!(begun.elapsed() < PATIENCE, "the cancellation is not done");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.put("off", json!(performance));
    }

    /// Adds a lecture `waited` with one place and a waiting list. Versions: 1 `una` applied, 2 to 5 `wes`, `xia`, `yan` and `zed`
    /// joined the list, 6 `xia` left it, 7 `una` cancelled, 8 `wes` was promoted. `yan` and `zed` wait.
    ///
    /// # Panics
    /// If a request is refused.
    pub async fn waiting_list(&mut self, sale: &Sale) {
        let lecture = sale.lecture(1).await;
        for (user, status) in [("una", 201), ("wes", 202), ("xia", 202), ("yan", 202), ("zed", 202)] {
            let body = json!({"userId": user, "lectureId": lecture, "waitlist": true});
            sale.caller.post("/lectures/apply").json(&body).expect(status).await;
        }
        for user in ["xia", "una"] {
            sale.caller.delete(&format!("/lectures/application/{user}/{lecture}")).expect(204).await;
        }
        self.put("waited", json!(lecture));
    }

    async fn line(&mut self, sale: &Sale) {
        let line = sale.concert(&json!({})).await;
        let pause = sale.caller.patch(&format!("/admin/concerts/{line}/queue")).json(&json!({"paused": true}));
        sale.admin(pause).expect(200).await;
        for user in ["fin", "gil", "hal", "ivy"] {
            let token = sale.enter(&line, user).await["token"].as_str().unwrap().to_owned();
            if user == "hal" {
                sale.caller.delete("/queue/token").token(&token).expect(204).await;
            }
        }
        self.put("line", json!(line));
    }
}

/// Waits until the event log has an event of this type.
async fn until_listed(launch: &Launch, kind: &str) {
    let looking = async {
        while !String::from_utf8_lossy(&launch.run(&["events"]).await.stdout).contains(kind) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("the event is in the log in time");
}
