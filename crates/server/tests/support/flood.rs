//! More requests than may wait, while the database stalls.

use onsale_testing::{Caller, Sale};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::raw::{connect, request};

/// More requests than may wait, with those that are decided together.
pub(crate) const REQUESTS_MAX: usize = 12_000;

async fn shed(metrics: &Caller) -> u64 {
    let text = String::from_utf8(metrics.get("/metrics").send().await.body.to_vec()).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("onsale_desk_shed_total "));
    count.unwrap().parse().unwrap()
}

/// Sends charges without waiting for answers, until the first is refused. The connections stay open.
pub(crate) async fn flood(sale: &Sale) -> Vec<TcpStream> {
    let metrics = Caller::new(sale.instance.base());
    let mut streams = Vec::new();
    while shed(&metrics).await == 0 {
        assert!(streams.len() < REQUESTS_MAX, "no charge is refused");
        for number in 0..250 {
            let line = format!("PATCH /point/user-{}/charge", number % 50);
            let mut stream = connect(sale.instance.base()).await;
            let bytes = request(line.as_bytes(), &[b"content-type: application/json"], br#"{"amount":1}"#);
            stream.write_all(&bytes).await.unwrap();
            streams.push(stream);
        }
    }
    streams
}
