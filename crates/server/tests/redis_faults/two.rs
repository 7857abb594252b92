//! Two servers each believe to be the one.

use onsale_testing::redis::{Keeps, Redis};
use serde_json::json;

use crate::conditions::is_raised;
use crate::line::{Line, tokens};
use crate::support::{at_once, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hand_out_places_and_none_twice() {
    let (one, other) = (Redis::start(Keeps::Nothing).await, Redis::start(Keeps::Nothing).await);
    let port = one.address().port().to_string();
    other.run::<()>(&["REPLICAOF", "127.0.0.1", &port]);
    let Some(line) = Line::start(&[one.url()], 10).await else { return };
    let caught_up =
        async || other.run::<String>(&["INFO", "replication"]).contains("master_link_status:up").then_some(());
    until("the copy has caught up", caught_up).await;
    other.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    let beyond = line.start_another(&other.url()).await;
    let enter = |sale: &onsale_testing::Sale, number: usize| {
        let body = json!({"userId": format!("crowd-{number}"), "concertId": line.concert});
        sale.caller.post("/queue/tokens").json(&body)
    };
    let calls = (0..400).map(|number| enter(if number % 2 == 0 { line.at(0) } else { &beyond }, number));
    let replies = at_once(calls.collect::<Vec<_>>()).await;
    let all = tokens(&replies);
    assert_eq!(all.len(), 400, "each user entered");
    line.positions(&all).await;
    line.stands().await;
    // Each instance reports that the other one takes its rooms, as long as they do so.
    for sale in [line.at(0), &beyond] {
        is_raised(sale, "split", "from another Redis").await;
    }
    line.admits_in_order().await;
}
