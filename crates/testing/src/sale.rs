//! What nearly every test of the whole program begins with: an administrator, concerts, people with tokens and points.

use std::time::Duration;

use onsale_traffic::iso;
use serde_json::{Value, json};

use crate::caller::{Call, Caller};
use crate::instance::{Instance, Launch, PATIENCE};

/// The admin key of test servers.
pub const ADMIN_KEY: &str = "an-admin-key-for-tests-only";

/// A running server with an administrator at hand.
pub struct Sale {
    /// The server.
    pub instance: Instance,
    /// Whoever calls.
    pub caller: Caller,
}

impl Sale {
    /// Starts a server with an admin key.
    pub async fn start(launch: &Launch) -> Self {
        let instance = launch.start().await;
        let caller = instance.caller().await;
        Self { instance, caller }
    }

    /// Starts this many instances at once, each in a folder and on a port of its own. They are one sale where the
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

    /// A launch that [`Sale::start`] can use.
    #[must_use]
    pub fn launch(program: &str) -> Launch {
        Launch::new(program).set("ONSALE_ADMIN_KEY", ADMIN_KEY)
    }

    /// A call as the administrator.
    pub fn admin(&self, call: Call) -> Call {
        call.bearer(ADMIN_KEY)
    }

    /// Makes a lecture that starts in a day; its id.
    pub async fn lecture(&self, capacity: u32) -> String {
        self.lecture_at(capacity, 86_400).await
    }

    /// Makes a lecture that starts in so many seconds; its id.
    pub async fn lecture_at(&self, capacity: u32, seconds_from_now: i64) -> String {
        let body = json!({"title": "A lecture", "startsAt": iso(seconds_from_now), "capacity": capacity});
        let made = self.admin(self.caller.post("/admin/lectures").json(&body)).expect(201).await;
        text(&made["lectureId"])
    }

    /// Makes a concert whose room has these settings (`{}` for the server's own); its id.
    pub async fn concert(&self, queue: &Value) -> String {
        let body = json!({"title": "A concert", "venue": "A hall", "queue": queue});
        let made = self.admin(self.caller.post("/admin/concerts").json(&body)).expect(201).await;
        text(&made["concertId"])
    }

    /// Adds a performance in ten days with these seats (`null` for 50); its id.
    pub async fn performance(&self, concert: &str, seats: &Value) -> String {
        self.performance_at(concert, seats, 10 * 86_400).await
    }

    /// Adds a performance that starts in so many seconds; its id.
    pub async fn performance_at(&self, concert: &str, seats: &Value, seconds_from_now: i64) -> String {
        let mut body = json!({"startsAt": iso(seconds_from_now)});
        if !seats.is_null() {
            body["seats"] = seats.clone();
        }
        let path = format!("/admin/concerts/{concert}/performances");
        let made = self.admin(self.caller.post(&path).json(&body)).expect(201).await;
        text(&made["performanceId"])
    }

    /// A user's place in line, as answered.
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

    /// Asks for a token's place until it has this status.
    pub async fn until_status(&self, token: &str, status: &str) -> Value {
        self.until(token, |place| place["status"] == status).await
    }

    /// Asks for a token's place until it is as wanted.
    ///
    /// # Panics
    /// If it never is.
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

    /// Puts points into a wallet.
    pub async fn charge(&self, user: &str, amount: i64) -> Value {
        self.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": amount})).expect(200).await
    }

    /// Holds seats; the reservation.
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
