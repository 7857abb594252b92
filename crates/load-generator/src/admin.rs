//! Calls of an administrator: they create the concerts, performances and lectures that requests are sent for.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::program::ADMIN_KEY;
use super::{Connection, Outcome, Request};

/// Maximum duration of one call.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many hours from now the earliest performance starts.
const EARLIEST_HOURS: i64 = 10 * 24;

/// The start of a performance or lecture this many days after the earliest, in RFC 3339.
fn starts_at(day: i64) -> String {
    let instant = Timestamp::now() + SignedDuration::from_hours(EARLIEST_HOURS + 24 * day);
    format!("{instant:.0}")
}

/// A performance as the server created it.
#[derive(Clone, Debug)]
pub struct Performance {
    /// Its id, as the server wrote it.
    pub id: String,
    /// Its date in the server's time zone, such as `2026-11-22`.
    pub date: String,
}

/// The administrator of a server.
#[derive(Clone, Debug)]
pub struct Admin {
    address: SocketAddr,
    admin_key: String,
}

impl Admin {
    /// The administrator of a server that was started as a [`super::Program`].
    pub fn of(address: SocketAddr) -> Self {
        Self::with_key(address, ADMIN_KEY)
    }

    /// The administrator of a server that has this admin key.
    pub fn with_key(address: SocketAddr, admin_key: &str) -> Self {
        Self { address, admin_key: admin_key.to_owned() }
    }

    /// Sends one request over a new connection. Returns the JSON body.
    ///
    /// # Errors
    /// If the status is 300 or more, or the call takes longer than 30 s.
    pub fn call(&self, request: &Request) -> Outcome<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let exchange = async {
                let mut connection = Connection::open(self.address).await?;
                let bytes = request.to_bytes();
                let reply = connection.exchange(&bytes).await?;
                if reply.status >= 300 {
                    return Err(format!("{}: {}", reply.status, String::from_utf8_lossy(reply.body)).into());
                }
                Ok(serde_json::from_slice(reply.body).unwrap_or_default())
            };
            tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| "the server did not reply within 30 s")?
        })
    }

    /// The same request with the admin key.
    #[must_use]
    pub fn authorize(&self, request: Request) -> Request {
        request.bearer(&self.admin_key)
    }

    fn create(&self, path: &str, body: &Value) -> Outcome<Value> {
        let request = self.authorize(Request::post(path)).json(body.to_string());
        self.call(&request).map_err(|error| format!("POST {path}: {error}").into())
    }

    /// Creates a concert whose waiting room has these settings. Returns its id.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub fn concert(&self, queue: &Value) -> Outcome<String> {
        let body = json!({"title": "A concert", "venue": "A hall", "queue": queue});
        text(&self.create("/admin/concerts", &body)?, "concertId")
    }

    /// Creates a performance with this many seats at this price in points, this many days after the earliest one.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub fn performance(&self, concert: &str, seats: u32, price: i64, day: i64) -> Outcome<Performance> {
        let body = json!({"startsAt": starts_at(day), "seats": seats, "price": price});
        let created = self.create(&format!("/admin/concerts/{concert}/performances"), &body)?;
        Ok(Performance { id: text(&created, "performanceId")?, date: text(&created, "date")? })
    }

    /// Creates a lecture with this many places. Returns its id.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub fn lecture(&self, capacity: u32) -> Outcome<String> {
        let body = json!({"title": "A lecture", "startsAt": starts_at(0), "capacity": capacity});
        text(&self.create("/admin/lectures", &body)?, "lectureId")
    }

    /// Number of users in line, and of users with a turn.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub fn line(&self, concert: &str) -> Outcome<(u64, u64)> {
        let request = self.authorize(Request::get(&format!("/admin/concerts/{concert}/queue")));
        let queue = self.call(&request)?;
        let count = |name: &str| queue[name].as_u64().ok_or_else(|| format!("no {name}: {queue}"));
        Ok((count("waiting")?, count("active")?))
    }
}

fn text(created: &Value, name: &str) -> Outcome<String> {
    created[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name}: {created}").into())
}
