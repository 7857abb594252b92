//! An answer that is still being sent is not idle.

use std::time::{Duration, Instant};

use onsale_testing::{PATIENCE, Sale};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::client::{Client, address, get};
use crate::support::room::{configure, token};
use crate::support::stream::Stream;
use crate::support::{millis, start, text};

#[tokio::test]
async fn an_event_stream_outlives_the_idle_limit() {
    let sale = start(&[("ONSALE_IDLE_SECONDS", "1")]).await;
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 8});
    let concert = sale.concert(&settings).await;
    let active = sale.active(&concert, "ada").await;
    let next = token(&sale.enter(&concert, "bob").await);
    let open = async |token: &str| {
        Stream::open(sale.instance.base(), &format!("/queue/token/events?token={token}"), &[]).await
    };
    let (mut of_active, mut of_waiting) = (open(&active).await, open(&next).await);
    of_active.next_named("active").await;
    assert_eq!(of_waiting.next_named("position").await["position"], 1);

    // Longer than every limit on silence, without any change.
    let since = millis(&sale.caller.get("/queue/token").token(&next).expect(200).await["asOf"]);
    sale.until(&next, |place| {
        assert_eq!(place["status"], "WAITING", "the stream keeps the turn: {place}");
        millis(&place["asOf"]) > since + 40_000
    })
    .await;
    configure(&sale, &concert, &json!({"maxActive": 2})).await;
    of_waiting.next_named("active").await;
    sale.caller.delete("/queue/token").token(&active).expect(204).await;
    assert_eq!(of_active.next_named("expired").await["status"], "EXPIRED");
    assert!(of_active.next().await.is_none());
}

/// A seat map of 100,000 seats on a connection, and the length of the answer in bytes.
struct Download {
    client: Client,
    head: usize,
    whole: usize,
}

impl Download {
    async fn begin(sale: &Sale) -> Self {
        let concert = sale.concert(&json!({})).await;
        sale.performance(&concert, &json!(100_000)).await;
        let token = sale.active(&concert, "ada").await;
        let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&token).expect(200).await;
        let path = format!("/concerts/{concert}/seats?date={}", text(&dates[0]["date"]));
        // With default socket buffers at both ends, which hide most of the reader's slowness.
        let mut client = Client::connect(address(sale.instance.base())).await;
        let asking = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nqueue-token: {token}\r\n\r\n");
        client.send(asking.as_bytes()).await.unwrap();
        let mut bytes = vec![0; 4_096];
        let length = client.stream.peek(&mut bytes).await.unwrap();
        let start = String::from_utf8_lossy(&bytes[..length]).to_lowercase();
        let (head, _) = start.split_once("\r\n\r\n").expect("a head");
        let body: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        Self { client, head: head.len() + 4, whole: head.len() + 4 + body }
    }

    /// Reads this many bytes a second for this long, and the rest at full speed.
    async fn read(mut self, slow: usize, slow_for: Duration) {
        let began = Instant::now();
        let mut read = Vec::with_capacity(self.whole);
        while read.len() < self.whole {
            let mut some = [0; 3_000];
            let reading = tokio::time::timeout(PATIENCE, self.client.stream.read(&mut some)).await;
            let count = reading.expect("bytes in time").expect("no reset");
            assert!(count > 0, "it ends after {} of {} bytes and {:?}", read.len(), self.whole, began.elapsed());
            read.extend_from_slice(&some[..count]);
            let due = Duration::from_secs_f64(read.len() as f64 / slow as f64);
            if due < slow_for {
                tokio::time::sleep_until((began + due).into()).await;
            }
        }
        let map: Value = serde_json::from_slice(&read[self.head..]).unwrap();
        assert_eq!(map["performances"][0]["seats"].as_array().unwrap().len(), 100_000);
        assert!(began.elapsed() >= slow_for, "it was slow");
    }
}

#[tokio::test]
async fn a_slow_download_arrives_completely() {
    let sale = start(&[("ONSALE_IDLE_SECONDS", "1")]).await;
    Download::begin(&sale).await.read(30_000, Duration::from_secs(45)).await;
}

#[tokio::test]
async fn a_slow_download_does_not_lose_its_place_to_new_connections() {
    let sale = start(&[("ONSALE_CONNECTIONS_MAX", "4")]).await;
    let download = Download::begin(&sale).await;
    let at = address(sale.instance.base());
    let crowd = async {
        loop {
            let mut client = Client::connect(at).await;
            assert_eq!(client.ask(&get("/healthz")).await.status, 200);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let silent = async {
        let mut open = Vec::new();
        while open.len() < 6 {
            open.push(Client::connect(at).await);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        std::future::pending::<()>().await;
        drop(open);
    };
    tokio::select! {
        () = download.read(200_000, Duration::from_secs(6)) => {}
        () = crowd => {}
        () = silent => {}
    }
}
