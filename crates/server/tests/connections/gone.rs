//! Clients that vanish without closing their connection, such as a phone in a tunnel.

use std::time::Instant;

use onsale_testing::{Caller, in_own_network, without};
use serde_json::json;

use crate::client::{Client, address, get};
use crate::support::room::token;
use crate::support::{start, until};

#[test]
fn an_event_stream_with_lost_packets_does_not_keep_the_turn() {
    if without("iptables") {
        return;
    }
    in_own_network(async |network| {
        let sale = start(&[]).await;
        let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 1});
        let concert = sale.concert(&settings).await;
        let followed = sale.active(&concert, "ada").await;
        let mut client = Client::connect(address(sale.instance.base())).await;
        client.send(&get(&format!("/queue/token/events?token={followed}"))).await.unwrap();
        client.stream.readable().await.unwrap();
        let next = token(&sale.enter(&concert, "bob").await);

        network.lose_packets_of(client.stream.local_addr().unwrap().port());
        let since = Instant::now();
        // A stream with nothing to say sends a comment every 5 seconds, bytes that are not acknowledged for 20 seconds end
        // a connection, and the turn is lost a second later: this waits for twice as long.
        sale.until_status(&next, "ACTIVE").await;
        println!("the turn went on after {:?}", since.elapsed());
        drop(client);
    });
}

#[test]
fn an_idle_connection_whose_packets_are_lost_is_closed() {
    if without("iptables") {
        return;
    }
    in_own_network(async |network| {
        let sale = start(&[("ONSALE_IDLE_SECONDS", "3600")]).await;
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = Client::connect(address(sale.instance.base())).await;
            client.ask(&get("/healthz")).await;
            clients.push(client);
        }
        let caller = Caller::new(sale.instance.base());
        let open = async || {
            let text = String::from_utf8(caller.get("/metrics").send().await.body.to_vec()).unwrap();
            let open = text.lines().find_map(|line| line.strip_prefix("onsale_http_server_open_connections "));
            open.unwrap().parse::<usize>().unwrap()
        };
        assert!(open().await > 20);
        for client in &clients {
            network.lose_packets_of(client.stream.local_addr().unwrap().port());
        }
        let since = Instant::now();
        // The kernel probes a silent client every few seconds, and closes the connection after 20 s without an answer. This
        // waits for three times as long.
        until("all of them are given up", async || (open().await < 5).then_some(())).await;
        println!("given up after {:?}", since.elapsed());
        drop(clients);
    });
}
