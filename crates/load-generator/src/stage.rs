//! What is there before the crowd comes: concerts, performances, lectures; made by an administrator, call by call.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::program::ADMIN_KEY;
use super::{Connection, Outcome, Request};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many hours from now the earliest performance starts.
const EARLIEST_HOURS: i64 = 10 * 24;

/// The start of a performance or lecture this many days after the earliest, in RFC 3339.
fn starts_at(day: i64) -> String {
    let instant = Timestamp::now() + SignedDuration::from_hours(EARLIEST_HOURS + 24 * day);
    format!("{instant:.0}")
}

/// A performance: its id, and its date in the server's zone.
#[derive(Clone, Debug)]
pub struct Performance {
    /// Its id.
    pub id: String,
    /// Such as `2026-11-22`.
    pub date: String,
}

/// A server and the key to set the stage with.
#[derive(Clone, Debug)]
pub struct Stage {
    address: SocketAddr,
    admin_key: String,
}

impl Stage {
    /// A server that was started as a [`super::Program`].
    pub fn of(address: SocketAddr) -> Self {
        Self::with_key(address, ADMIN_KEY)
    }

    /// A server with an admin key of its own.
    pub fn with_key(address: SocketAddr, admin_key: &str) -> Self {
        Self { address, admin_key: admin_key.to_owned() }
    }

    /// Sends one request over a connection of its own; the body of a success.
    ///
    /// # Errors
    /// If no success comes back.
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
            tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| "no reply in time")?
        })
    }

    /// A request as the administrator.
    #[must_use]
    pub fn admin(&self, request: Request) -> Request {
        request.bearer(&self.admin_key)
    }

    fn make(&self, path: &str, body: &Value) -> Outcome<Value> {
        let request = self.admin(Request::post(path)).json(body.to_string());
        self.call(&request).map_err(|error| format!("POST {path}: {error}").into())
    }

    /// Makes a concert whose room has these settings; its id.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn concert(&self, queue: &Value) -> Outcome<String> {
        let body = json!({"title": "A concert", "venue": "A hall", "queue": queue});
        text(&self.make("/admin/concerts", &body)?, "concertId")
    }

    /// Adds a performance with this many seats at this price, this many days after the earliest possible date.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn performance(&self, concert: &str, seats: u32, price: i64, day: i64) -> Outcome<Performance> {
        let body = json!({"startsAt": starts_at(day), "seats": seats, "price": price});
        let made = self.make(&format!("/admin/concerts/{concert}/performances"), &body)?;
        Ok(Performance { id: text(&made, "performanceId")?, date: text(&made, "date")? })
    }

    /// Makes a lecture; its id.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn lecture(&self, capacity: u32) -> Outcome<String> {
        let body = json!({"title": "A lecture", "startsAt": starts_at(0), "capacity": capacity});
        text(&self.make("/admin/lectures", &body)?, "lectureId")
    }

    /// How many are in line, and how many have a turn.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn line(&self, concert: &str) -> Outcome<(u64, u64)> {
        let request = self.admin(Request::get(&format!("/admin/concerts/{concert}/queue")));
        let queue = self.call(&request)?;
        let count = |name: &str| queue[name].as_u64().ok_or_else(|| format!("no {name}: {queue}"));
        Ok((count("waiting")?, count("active")?))
    }
}

fn text(made: &Value, name: &str) -> Outcome<String> {
    made[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name}: {made}").into())
}
