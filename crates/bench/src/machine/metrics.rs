//! The metrics of a program, from `/metrics`.

use std::net::SocketAddr;

use onsale_load_generator::{Connection, Outcome, Request};

/// The metrics of one moment.
pub(crate) struct Metrics(String);

impl Metrics {
    /// Requests the metrics of a program.
    pub(crate) fn of(address: SocketAddr) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let text = runtime.block_on(async {
            let mut connection = Connection::open(address).await?;
            let request = Request::get("/metrics").to_bytes();
            let reply = connection.exchange(&request).await?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(reply.body).into_owned())
        })?;
        Ok(Self(text))
    }

    /// All lines, as they were sent.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The value of a metric, named without `onsale_`.
    pub(crate) fn number(&self, name: &str) -> Outcome<f64> {
        let value = |line: &str| Some(line.strip_prefix("onsale_")?.strip_prefix(name)?.strip_prefix(' ')?.to_owned());
        let found = self.0.lines().find_map(value);
        found.and_then(|value| value.parse().ok()).ok_or_else(|| format!("/metrics has no onsale_{name}").into())
    }
}
