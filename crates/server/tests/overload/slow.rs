//! Clients that stall are disconnected in time, and delay no other client.

use std::time::{Duration, Instant};

use onsale_testing::{Caller, PATIENCE, Sale};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::support::raw::connect;
use super::support::{start, until};
use super::{ANSWER_MAX, assert_served};

const HALF_A_HEAD: &[u8] = b"PATCH /point/ada/charge HTTP/1.1\r\nhost: localhost\r\ncontent-type: appl";
const HALF_A_BODY: &[u8] = b"PATCH /point/ada/charge HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
    content-length: 400\r\n\r\n{\"amount\": 5";

/// All that a connection still gives, until its end.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the end comes in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a first part, then a space now and then, until the connection is closed. Returns what came back.
async fn drip(base: &str, first: &[u8]) -> String {
    let (mut read, mut write) = connect(base).await.into_split();
    write.write_all(first).await.unwrap();
    let dripping = tokio::spawn(async move {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, read.read_to_end(&mut bytes)).await.expect("the end comes in time");
    dripping.abort();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// That a reply is the problem of a request that did not arrive.
#[track_caller]
fn assert_timed_out(reply: &str) {
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("a reply: {reply:?}"));
    assert!(head.starts_with("HTTP/1.1 408 ") && head.contains("application/problem+json"), "{reply}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&json!("request-timeout"), &json!(408)));
}

async fn start_with_token() -> (Sale, String) {
    let sale = start(&[]).await;
    let concert = sale.concert(&json!({})).await;
    let token = sale.active(&concert, "slow-user").await;
    (sale, token)
}

#[tokio::test]
async fn half_a_body_gets_408_in_time() {
    let (sale, token) = start_with_token().await;
    let began = Instant::now();
    let mut stream = connect(sale.instance.base()).await;
    stream.write_all(HALF_A_BODY).await.unwrap();
    assert_served(&sale, &token).await;
    let dripping = drip(sale.instance.base(), HALF_A_BODY);
    let (reply, dripped) = tokio::join!(
        async {
            let mut reply = [0; 4_096];
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut reply)).await.expect("a reply in time");
            let length = read.unwrap();
            assert!(began.elapsed() < ANSWER_MAX, "not after {:?}", began.elapsed());
            String::from_utf8_lossy(&reply[..length]).into_owned()
        },
        dripping
    );
    assert_timed_out(&reply);
    assert_timed_out(&dripped);
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 0);
}

#[tokio::test]
async fn an_incomplete_head_is_cut_off() {
    let (sale, token) = start_with_token().await;
    let base = sale.instance.base();
    let mut stream = connect(base).await;
    stream.write_all(HALF_A_HEAD).await.unwrap();
    let mut silent = connect(base).await;
    assert_served(&sale, &token).await;
    let (first, nothing, dripped) = tokio::join!(rest(&mut stream), rest(&mut silent), drip(base, HALF_A_HEAD));
    for reply in [first, nothing, dripped] {
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 408 "), "{reply}");
    }
    assert_served(&sale, &token).await;
}

/// Connections that the server counts as open, the asking one among them.
async fn open_connections(caller: &Caller) -> usize {
    let text = caller.get("/metrics").send().await;
    let text = String::from_utf8(text.body.to_vec()).unwrap();
    let open = text.lines().find_map(|line| line.strip_prefix("onsale_http_server_open_connections "));
    open.unwrap().parse().unwrap()
}

#[tokio::test]
async fn clients_that_never_read_delay_no_other() {
    let (sale, token) = start_with_token().await;
    let address = sale.instance.base().strip_prefix("http://").unwrap().parse().unwrap();
    let asking = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(500);
    let mut deaf = Vec::new();
    for _ in 0..100 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(&asking).await.unwrap();
        deaf.push(stream);
    }
    let caller = Caller::new(sale.instance.base());
    assert_served(&sale, &token).await;
    let taken_in = async || (open_connections(&caller).await >= 100).then_some(());
    until("all of them are there", taken_in).await;
    let cut_off = async || (open_connections(&caller).await < 10).then_some(());
    until("all of them are cut off", cut_off).await;
    assert_served(&sale, &token).await;
    drop(deaf);
}
