//! An evening: a concert with one performance of 50 seats, and people whose turn it is.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use super::room::room;
use super::{start, text, until};

pub(crate) struct Evening {
    pub(crate) sale: Sale,
    pub(crate) concert: String,
    pub(crate) performance: String,
    /// Ada's token, with a turn.
    pub(crate) ada: String,
    /// Bob's token, with a turn.
    pub(crate) bob: String,
}

impl Evening {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let sale = start(settings).await;
        let concert = sale.concert(&room(1_000)).await;
        let performance = sale.performance(&concert, &Value::Null).await;
        let (ada, bob) = (sale.active(&concert, "ada").await, sale.active(&concert, "bob").await);
        Self { sale, concert, performance, ada, bob }
    }

    /// A call that holds seats of the performance.
    pub(crate) fn hold(&self, token: &str, seats: &Value) -> Call {
        self.ask(token, &json!({"performanceId": self.performance, "seats": seats}))
    }

    /// A call for a reservation, in any words.
    pub(crate) fn ask(&self, token: &str, body: &Value) -> Call {
        self.sale.caller.post("/reservations").token(token).json(body)
    }

    /// A call that extends all live holds of the performance.
    pub(crate) fn extend(&self, seconds: i64) -> Call {
        let body = json!({"seconds": seconds, "reason": "payment was down"});
        let path = format!("/admin/performances/{}/holds/extend", self.performance);
        self.sale.admin(self.sale.caller.post(&path)).json(&body)
    }

    pub(crate) fn release(&self, token: &str, reservation: &Value) -> Call {
        self.sale.caller.delete(&path_of(reservation)).token(token)
    }

    /// A reservation as it stands.
    pub(crate) async fn show(&self, reservation: &Value) -> Value {
        self.sale.caller.get(&path_of(reservation)).expect(200).await
    }

    pub(crate) async fn until_status(&self, reservation: &Value, status: &str) {
        until(status, async || (self.show(reservation).await["status"] == status).then_some(())).await;
    }

    /// Waits until these and no other seats of the performance have this status: a list may lag a little. Bob looks.
    pub(crate) async fn until_seats(&self, status: &str, expected: &[u32]) {
        let token = self.sale.active(&self.concert, "bob").await;
        let path = format!("/concerts/{}", self.concert);
        let dates = self.sale.caller.get(&format!("{path}/dates")).token(&token).expect(200).await;
        let path = format!("{path}/seats?date={}", text(&dates[0]["date"]));
        until(&format!("{status}: {expected:?}"), async || {
            let shown = self.sale.caller.get(&path).token(&token).expect(200).await;
            let seats = shown["performances"][0]["seats"].as_array().unwrap().clone();
            let found = seats.iter().filter(|seat| seat["status"] == status).map(|seat| seat["seat"].clone());
            found.eq(expected.iter().map(|seat| json!(seat))).then_some(())
        })
        .await;
    }
}

/// The path of a reservation's calls.
pub(crate) fn path_of(reservation: &Value) -> String {
    format!("/reservations/{}", text(&reservation["reservationId"]))
}
