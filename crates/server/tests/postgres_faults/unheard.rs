//! Asynchronous replication: commits that did not reach the standby are lost, acknowledged or not, and the instances
//! continue from the state of the standby without a contradiction.

use onsale_testing::{Sale, without};
use serde_json::{Value, json};

use crate::scene::{Replication, charge, recovered, with_heir};
use crate::support::room::room;
use crate::support::{text, until};

/// Number of charges that are acknowledged while the standby receives nothing.
const UNHEARD: i64 = 50;

/// The taken seats of a performance, as a user with a turn sees them; `None` if the read fails.
async fn taken(sale: &Sale, concert: &str, date: &str, token: &str) -> Option<Vec<u64>> {
    let path = format!("/concerts/{concert}/seats?date={date}");
    let reply = sale.caller.get(&path).token(token).send().await;
    if reply.status == 503 {
        return None;
    }
    let shown = reply.expect(200);
    let seats = shown["performances"][0]["seats"].as_array().unwrap().iter();
    Some(seats.filter(|seat| seat["status"] != "AVAILABLE").map(|seat| seat["seat"].as_u64().unwrap()).collect())
}

/// Waits until exactly these seats are shown as taken: a map may lag by 3 s.
async fn are_taken(sale: &Sale, concert: &str, date: &str, token: &str, seats: &[u64]) {
    let shown = async || (taken(sale, concert, date, token).await? == seats).then_some(());
    until(&format!("the seats {seats:?} are taken"), shown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_the_standby_lacks_are_lost_and_not_shown() {
    if without("postgres") {
        return;
    }
    let (primary, standby, _database, scene) = with_heir(Replication::Asynchronous).await;
    let sale = scene.sale();
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let (ada, bob) = (sale.active(&concert, "ada").await, sale.active(&concert, "bob").await);
    sale.hold(&ada, &performance, &[1]).await;
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&bob).expect(200).await;
    let date = text(&dates[0]["date"]);
    are_taken(sale, &concert, &date, &bob, &[1]).await;
    charge(sale, "ada", 7, "replicated").expect(200).await;
    standby.follow(&primary).await;

    standby.kill().await;
    for number in 0..UNHEARD {
        charge(sale, "ada", 1, &format!("unheard-{number}")).expect(200).await;
    }
    sale.hold(&ada, &performance, &[2]).await;
    are_taken(sale, &concert, &date, &bob, &[1, 2]).await;
    let lost = text(&sale.enter(&concert, "carl").await["token"]);
    scene.take_over(&primary, &standby).await;

    let (read, took) = recovered(|| sale.caller.get("/point/ada")).await;
    let left = read.expect(200)["balance"].as_i64().unwrap();
    println!("{} of {UNHEARD} acknowledged charges are lost; served again after {took:?}", 7 + UNHEARD - left);
    assert_eq!(left, 7, "the charges that were not replicated are gone");
    // A hold that was lost is shown no more.
    are_taken(sale, &concert, &date, &bob, &[1]).await;

    // It is done anew under the same key, once.
    let again = charge(sale, "ada", 1, "unheard-0").send().await;
    assert_eq!((again.expect(200)["balance"].as_i64(), again.header("idempotency-replayed")), (Some(8), None));
    sale.hold(&bob, &performance, &[2]).await;
    are_taken(sale, &concert, &date, &bob, &[1, 2]).await;
    // A lost place has ended, and its user gets another.
    sale.until_status(&lost, "EXPIRED").await;
    let again = text(&sale.enter(&concert, "carl").await["token"]);
    assert_ne!(again, lost);
    sale.until_status(&again, "ACTIVE").await;
    // It has the number of the one that was lost, which is of no use all the same.
    let held = json!({"performanceId": performance, "seats": [3]});
    sale.caller.post("/reservations").token(&lost).json(&held).refused(403, "queue-token-expired").await;
    sale.caller.delete("/queue/token").token(&lost).expect(204).await;
    sale.hold(&again, &performance, &[3]).await;
    scene.is_in_order(standby.address(), 0).await;
}
