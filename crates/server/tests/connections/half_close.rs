//! Clients that send a whole request and then shut their sending side.

use futures_util::future::join_all;
use onsale_testing::Sale;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, address, get, send};
use crate::support::room::{configure, place, token};
use crate::support::{millis, start, text};

/// Sends all of this, shuts the sending side, and reads the replies.
async fn half_closed(sale: &Sale, requests: &[u8]) -> Vec<(u16, String)> {
    let mut client = Client::connect(address(sale.instance.base())).await;
    client.send(requests).await.unwrap();
    client.stream.shutdown().await.unwrap();
    let mut replies = Vec::new();
    while let Some(reply) = client.reply().await.expect("no reset") {
        replies.push((reply.status, String::from_utf8(reply.body).unwrap()));
    }
    replies
}

#[tokio::test]
async fn every_charge_of_a_half_closed_connection_is_answered() {
    let sale = start(&[]).await;
    let charges = join_all((0..200).map(|number| {
        let charge = send("PATCH", &format!("/point/user-{}/charge", number % 10), "", r#"{"amount": 5}"#);
        let sale = &sale;
        async move { half_closed(sale, &charge).await }
    }))
    .await;
    for replies in &charges {
        assert_eq!(replies.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200]);
    }
    for number in 0..10 {
        assert_eq!(sale.caller.get(&format!("/point/user-{number}")).expect(200).await["balance"], 100);
    }
}

#[tokio::test]
async fn every_method_and_pipelined_requests_are_answered_after_a_half_close() {
    let sale = start(&[]).await;
    let lecture = sale.lecture(30).await;
    let apply = send("POST", "/lectures/apply", "", &json!({"userId": "ada", "lectureId": lecture}).to_string());
    let cancel = format!("DELETE /lectures/application/ada/{lecture} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes();
    let charge = send("PATCH", "/point/ada/charge", "", r#"{"amount": 7}"#);
    let chunked = b"PATCH /point/ada/charge HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
        transfer-encoding: chunked\r\n\r\n8\r\n{\"amount\r\n6\r\n\": 11}\r\n0\r\n\r\n"
        .to_vec();
    let head = b"HEAD /point/ada HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".to_vec();
    for (request, status) in [
        (&get("/point/ada"), 200),
        (&apply, 201),
        (&cancel, 204),
        (&charge, 200),
        (&chunked, 200),
        (&get("/nowhere"), 404),
        (&send("POST", "/payments", "", "{}"), 401),
    ] {
        let replies = half_closed(&sale, request).await;
        assert_eq!(replies.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [status]);
    }
    let mut client = Client::connect(address(sale.instance.base())).await;
    client.send(&head).await.unwrap();
    client.stream.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    client.stream.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200 ") && bytes.ends_with(b"\r\n\r\n"));

    let in_a_row = [charge.clone(), get("/point/ada"), charge.clone(), get("/point/ada")].concat();
    let replies = half_closed(&sale, &in_a_row).await;
    assert_eq!(replies.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200; 4]);
    assert!(replies[3].1.contains("\"balance\":32"), "in their order: {replies:?}");
    // An incomplete request has no effect.
    let half = &charge[..charge.len() - 3];
    let replies = half_closed(&sale, half).await;
    assert!(replies.iter().all(|(status, _)| (400..500).contains(status)), "{replies:?}");
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 32);
}

#[tokio::test]
async fn an_event_stream_stays_open_after_a_half_close_until_its_client_is_gone() {
    let sale = start(&[]).await;
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 5});
    let concert = sale.concert(&settings).await;
    configure(&sale, &concert, &json!({"paused": true})).await;
    let followed = token(&sale.enter(&concert, "ada").await);
    let next = token(&sale.enter(&concert, "bob").await);
    let mut client = Client::connect(address(sale.instance.base())).await;
    client.send(&get(&format!("/queue/token/events?token={followed}"))).await.unwrap();
    client.stream.shutdown().await.unwrap();
    let mut text_of = async |wanted: &str| {
        let reading = async {
            let mut seen = String::new();
            while !seen.contains(wanted) {
                let mut some = [0; 4_096];
                let length = client.stream.read(&mut some).await.expect("no reset");
                assert!(length > 0, "the stream ended: {seen}");
                seen.push_str(&String::from_utf8_lossy(&some[..length]));
            }
        };
        tokio::time::timeout(onsale_testing::PATIENCE, reading).await.expect("in time");
    };
    text_of("event: position").await;
    configure(&sale, &concert, &json!({"paused": false})).await;
    text_of("event: active").await;
    // Several times the time after which a silent visitor loses the turn.
    let since = millis(&place(&sale, &next).await["asOf"]);
    sale.until(&next, |place| {
        assert_eq!(place["status"], "WAITING", "who reads still has the turn: {place}");
        millis(&place["asOf"]) > since + 15_000
    })
    .await;
    drop(client);
    // A client that closed is noticed at once, and not by a time limit on silence: the connection would stay open for longer
    // than this waits if the server did not see the end.
    sale.until_status(&next, "ACTIVE").await;
    assert_eq!(text(&place(&sale, &followed).await["status"]), "EXPIRED");
}
