//! The start of nearly every test of the whole program: an administrator, concerts, users with tokens and points.

use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::{Call, Caller};
use crate::instance::{Instance, Launch};
use crate::instant::iso;
use crate::patience::PATIENCE;

/// The admin key of test servers.
pub const ADMIN_KEY: &str = "an-admin-key-for-tests-only";

/// A running server with admin calls.
pub struct Sale {
    /// The server that sells.
    pub instance: Instance,
    /// A caller without credentials.
    pub caller: Caller,
}

impl Sale {
    /// Starts a server with an admin key.
    pub async fn start(launch: &Launch) -> Self {
        let instance = launch.start().await;
        let caller = instance.caller().await;
        Self { instance, caller }
    }

    /// Starts this many instances at once, each in its own folder and on its own port. They serve one sale if the
    /// launch names a database that they can share ([`Launch::on`]).
    ///
    /// # Panics
    /// If one of them does not start.
    pub async fn start_many(launch: &Launch, count: usize) -> Vec<Self> {
        let start = |launch: Launch| tokio::spawn(async move { Self::start(&launch).await });
        let starting: Vec<_> = (0..count).map(|_| start(launch.another())).collect();
        let mut sales = Vec::new();
        for started in starting {
            sales.push(started.await.expect("each instance starts"));
        }
        sales
    }

    /// A launch for [`Sale::start`].
    #[must_use]
    pub fn launch(program: &str) -> Launch {
        Launch::new(program).set("ONSALE_ADMIN_KEY", ADMIN_KEY)
    }

    /// A call with the admin key.
    pub fn admin(&self, call: Call) -> Call {
        call.bearer(ADMIN_KEY)
    }

    /// Creates a lecture that starts in a day. Returns its id.
    pub async fn lecture(&self, capacity: u32) -> String {
        self.lecture_at(capacity, 86_400).await
    }

    /// Creates a lecture that starts in this many seconds. Returns its id.
    pub async fn lecture_at(&self, capacity: u32, seconds_from_now: i64) -> String {
        let body = json!({"title": "A lecture", "startsAt": iso(seconds_from_now), "capacity": capacity});
        let made = self.admin(self.caller.post("/admin/lectures").json(&body)).expect(201).await;
        text(&made["lectureId"])
    }

    /// Creates a concert whose room has these settings (`{}` for the server's defaults). Returns its id.
    pub async fn concert(&self, queue: &Value) -> String {
        let body = json!({"title": "A concert", "venue": "A hall", "queue": queue});
        let made = self.admin(self.caller.post("/admin/concerts").json(&body)).expect(201).await;
        text(&made["concertId"])
    }

    /// Adds a performance in ten days with these seats (`null` for 50). Returns its id.
    pub async fn performance(&self, concert: &str, seats: &Value) -> String {
        self.performance_at(concert, seats, 10 * 86_400).await
    }

    /// Adds a performance that starts in this many seconds. Returns its id.
    pub async fn performance_at(&self, concert: &str, seats: &Value, seconds_from_now: i64) -> String {
        let mut body = json!({"startsAt": iso(seconds_from_now)});
        if !seats.is_null() {
            body["seats"] = seats.clone();
        }
        let path = format!("/admin/concerts/{concert}/performances");
        let made = self.admin(self.caller.post(&path).json(&body)).expect(201).await;
        text(&made["performanceId"])
    }

    /// The answer to a user who enters.
    pub async fn enter(&self, concert: &str, user: &str) -> Value {
        let body = json!({"userId": user, "concertId": concert});
        let reply = self.caller.post("/queue/tokens").json(&body).send().await;
        assert!(reply.status.is_success(), "{}: {:?}", reply.call, reply.body);
        reply.json()
    }

    /// A user's token once it is active.
    pub async fn active(&self, concert: &str, user: &str) -> String {
        let token = text(&self.enter(concert, user).await["token"]);
        self.until_status(&token, "ACTIVE").await;
        token
    }

    /// Polls a token until it has this status.
    pub async fn until_status(&self, token: &str, status: &str) -> Value {
        self.until(token, |place| place["status"] == status).await
    }

    /// Polls a token until its state meets the condition.
    ///
    /// # Panics
    /// If it does not in time.
    pub async fn until(&self, token: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let place = self.caller.get("/queue/token").token(token).expect(200).await;
                if wanted(&place) {
                    return place;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the place never came to be as wanted")
    }

    /// Charges a user's wallet with this many points.
    pub async fn charge(&self, user: &str, amount: i64) -> Value {
        self.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": amount})).expect(200).await
    }

    /// Holds seats. Returns the reservation.
    pub async fn hold(&self, token: &str, performance: &str, seats: &[u32]) -> Value {
        let body = json!({"performanceId": performance, "seats": seats});
        self.caller.post("/reservations").token(token).json(&body).expect(201).await
    }

    /// A call that pays a reservation.
    pub fn pay(&self, token: &str, reservation: &Value) -> Call {
        let body = json!({"reservationId": reservation["reservationId"]});
        self.caller.post("/payments").token(token).json(&body)
    }
}

/// The text of a JSON string.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
