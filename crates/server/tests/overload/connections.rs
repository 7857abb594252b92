//! Limits on connections: health is always answered, idle connections make room, one address has a share.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use onsale_testing::{PATIENCE, Sale, Signal};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::ANSWER_MAX;
use super::support::raw::{self, RawReply};
use super::support::stream::Stream;
use super::support::{ONSALE, logged, start, until};

fn address(base: &str) -> SocketAddr {
    base.strip_prefix("http://").unwrap().parse().unwrap()
}

/// A connection from one of this machine's loopback addresses.
async fn connect_from(last: u8, base: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    socket.connect(address(base)).await.unwrap()
}

/// One request on a connection of its own, from one of this machine's loopback addresses.
async fn get_from(last: u8, base: &str, path: &str) -> RawReply {
    let mut stream = connect_from(last, base).await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    raw::read(stream).await.expect("an answer")
}

async fn get(base: &str, path: &str) -> RawReply {
    get_from(1, base, path).await
}

/// A number that `/metrics` shows, 0 if it is not there.
async fn shown(base: &str, sample: &str) -> u64 {
    let text = String::from_utf8(get(base, "/metrics").await.body).unwrap();
    text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok()).unwrap_or(0)
}

const IDLE_CLOSED: &str = "onsale_http_server_bounds_reached_total{bound=\"Connections\",outcome=\"IdleClosed\"}";
const REFUSED: &str = "onsale_http_server_bounds_reached_total{bound=\"Connections\",outcome=\"Refused\"}";

#[tokio::test]
async fn silent_connections_make_room_for_new_ones() {
    let sale = start(&[("ONSALE_CONNECTIONS_MAX", "40")]).await;
    let base = sale.instance.base();
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(raw::connect(base).await);
    }
    let half = raw::connect(base).await;
    half.try_write(b"GET /concerts HTTP/1.1\r\nhost: 127.").unwrap();
    // Health is answered at once, from the reserved slots if need be; everything else once a silent connection made room.
    assert_eq!(get(base, "/healthz").await.status, 200);
    assert_eq!(get(base, "/readyz").await.status, 200);
    let served = async || (get(base, "/concerts").await.status == 200).then_some(());
    until("an idle connection makes room", served).await;
    let health = Sale::launch(ONSALE).set("ONSALE_LISTEN", address(base)).run(&["health"]).await;
    assert!(health.status.success(), "{}", String::from_utf8_lossy(&health.stderr));
    assert!(shown(base, IDLE_CLOSED).await > 0);
    logged(&sale, "a bound was reached").await;
    let log = sale.instance.log();
    assert!(log.contains("ONSALE_CONNECTIONS_MAX"), "{log}");
}

#[tokio::test]
async fn health_is_answered_when_each_connection_is_a_stream() {
    let sale = start(&[("ONSALE_CONNECTIONS_MAX", "12")]).await;
    let base = sale.instance.base();
    let concert = sale.concert(&json!({"maxActive": 1})).await;
    sale.active(&concert, "first").await;
    let mut streams = Vec::new();
    for number in 0..12 {
        let token = sale.enter(&concert, &format!("waiting-{number}")).await["token"].as_str().unwrap().to_owned();
        let header = format!("Queue-Token: {token}");
        // The last ones take the places of the test's own connections, once these have been idle for long enough.
        let open = async || {
            let mut stream = Stream::open(base, "/queue/token/events", &[&header]).await;
            (stream.status == 200 && stream.next().await.is_some()).then_some(stream)
        };
        streams.push(until("a stream opens", open).await);
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(base, path).await.status, 200, "{path}");
    }
    let refused = get(base, "/concerts").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "overloaded"));
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(refused.header("retry-after").is_some());
    assert!(shown(base, REFUSED).await > 0);
    let health = Sale::launch(ONSALE).set("ONSALE_LISTEN", address(base)).run(&["health"]).await;
    assert!(health.status.success(), "{}", String::from_utf8_lossy(&health.stderr));

    streams.pop();
    let served = async || (get(base, "/concerts").await.status == 200).then_some(());
    until("a stream that ends makes room", served).await;
}

#[tokio::test]
async fn a_queue_token_has_a_bounded_number_of_streams() {
    let sale = start(&[]).await;
    let base = sale.instance.base();
    let concert = sale.concert(&json!({})).await;
    let token = format!("Queue-Token: {}", sale.active(&concert, "ada").await);
    let open = async || Stream::open(base, "/queue/token/events", &[&token]).await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(open().await);
        assert_eq!(streams.last().unwrap().status, 200);
    }
    assert_eq!(open().await.status, 429);
    let other = format!("Queue-Token: {}", sale.active(&concert, "bob").await);
    assert_eq!(Stream::open(base, "/queue/token/events", &[&other]).await.status, 200, "another token has its own");
    streams.pop();
    until("a stream that ends makes room", async || (open().await.status == 200).then_some(())).await;
}

const SHARES: [(&str, &str); 3] = [
    ("ONSALE_CONNECTIONS_PER_ADDRESS", "5"),
    ("ONSALE_RATE_LIMIT_LOOPBACK", "true"),
    ("ONSALE_RATE_LIMIT_PER_SECOND", "0"),
];

#[tokio::test]
async fn an_address_has_a_share_of_the_connections() {
    let sale = start(&SHARES).await;
    let base = sale.instance.base();
    let concert = sale.concert(&json!({"maxActive": 1})).await;
    let mut streams = Vec::new();
    for number in 0..5 {
        let token = sale.enter(&concert, &format!("user-{number}")).await["token"].as_str().unwrap().to_owned();
        let mut stream = connect_from(7, base).await;
        let request = format!("GET /queue/token/events HTTP/1.1\r\nhost: 127.0.0.1\r\nqueue-token: {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        streams.push(stream);
    }
    let refused = get_from(7, base, "/concerts").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "too-many-requests"));
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&seconds), "{seconds}");
    assert_eq!(get_from(7, base, "/healthz").await.status, 200);
    assert_eq!(get_from(8, base, "/concerts").await.status, 200, "another address is served");
    streams.clear();
    let served = async || (get_from(7, base, "/concerts").await.status == 200).then_some(());
    until("the address may connect again", served).await;
}

#[tokio::test]
async fn an_address_that_connects_without_end_keeps_no_other_waiting() {
    let sale = start(&SHARES).await;
    let base = sale.instance.base();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(connect_from(7, base).await);
    }
    for path in ["/healthz", "/concerts"] {
        let answered = tokio::time::timeout(ANSWER_MAX, get_from(8, base, path)).await;
        assert_eq!(answered.expect("an answer in time").status, 200, "{path}");
    }
    // Its own silent connections make room for its next ones.
    let served = async || (get_from(7, base, "/concerts").await.status == 200).then_some(());
    until("the address itself is served", served).await;
}

#[tokio::test]
async fn a_trusted_proxy_has_no_share_of_its_own() {
    let settings = [
        ("ONSALE_CONNECTIONS_PER_ADDRESS", "2"),
        ("ONSALE_RATE_LIMIT_LOOPBACK", "true"),
        ("ONSALE_RATE_LIMIT_PER_SECOND", "0"),
        ("ONSALE_TRUSTED_PROXIES", "127.0.0.7"),
    ];
    let sale = start(&settings).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(connect_from(7, sale.instance.base()).await);
    }
    assert_eq!(get_from(7, sale.instance.base(), "/concerts").await.status, 200);
}

/// Starts the server under limits on open files: soft, then hard.
async fn start_under(soft: u32, hard: u32) -> Sale {
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec {ONSALE} \"$@\"");
    let folder = Sale::launch(ONSALE);
    let program = folder.folder().join("limited");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let sale = Sale::start(&Sale::launch(program.to_str().unwrap())).await;
    drop(folder);
    sale
}

/// The soft limit on open files of a process.
fn open_files(sale: &Sale) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", sale.instance.pid().unwrap())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_limit_on_open_files_is_raised_and_a_low_one_is_named() {
    let sale = start_under(256, 4_096).await;
    assert_eq!(open_files(&sale), 4_096, "as far as the process may");

    let sale = start_under(128, 256).await;
    assert_eq!(open_files(&sale), 256);
    logged(&sale, "ONSALE_CONNECTIONS_MAX is 20000").await;
    let log = sale.instance.log();
    assert!(log.contains("open files"), "{log}");
    // Files are left for the database when connections have taken all that they may.
    let base = sale.instance.base();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(raw::connect(base).await);
    }
    assert_eq!(get(base, "/healthz").await.status, 200);
    let charged = async || {
        let charge = sale.caller.patch("/point/ada/charge").json(&json!({"amount": 1})).key("once").try_send().await;
        charge.is_ok_and(|reply| reply.status == 200).then_some(())
    };
    until("points are charged", charged).await;
}

#[tokio::test]
async fn a_thousand_connects_in_one_instant_are_all_queued() {
    let sale = start(&[]).await;
    let address = address(sale.instance.base());
    // While the process is stopped, only the system's queue takes connections.
    sale.instance.signal(Signal::STOP);
    let connecting: Vec<_> = (0..2_000)
        .map(|_| tokio::spawn(tokio::time::timeout(Duration::from_secs(20), TcpStream::connect(address))))
        .collect();
    let mut connected = Vec::new();
    for each in connecting {
        connected.extend(each.await.unwrap().ok().and_then(Result::ok));
    }
    sale.instance.signal(Signal::CONT);
    assert_eq!(connected.len(), 2_000);
    let last = connected.last_mut().unwrap();
    last.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    tokio::time::timeout(PATIENCE, last.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
}

/// Asks on a connection that stays open; whether the answer is 200.
async fn ask(stream: &mut TcpStream, path: &str) -> bool {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").as_bytes()).await.unwrap();
    let mut bytes = [0; 4_096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await.expect("an answer in time");
    bytes[..read.expect("no reset")].starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn connections_that_are_used_keep_their_places() {
    let sale = start(&[("ONSALE_CONNECTIONS_MAX", "4")]).await;
    let base = sale.instance.base().to_owned();
    // The callers' own connections are closed first.
    let Sale { instance, caller } = sale;
    drop(caller);
    let mut open = Vec::new();
    for _ in 0..4 {
        let place = async || {
            let mut stream = raw::connect(&base).await;
            ask(&mut stream, "/concerts").await.then_some(stream)
        };
        open.push(until("a place is free", place).await);
    }
    let newcomers = async {
        for _ in 0..20 {
            let status = get(&base, "/concerts").await.status;
            assert!([200, 503].contains(&status), "{status}");
        }
    };
    let used = async {
        for _ in 0..200 {
            for stream in &mut open {
                assert!(ask(stream, "/healthz").await, "a connection in use is served");
            }
        }
    };
    tokio::join!(used, newcomers);
    drop(open);
    assert!(instance.terminate().await.success());
}
