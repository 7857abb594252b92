//! A random sale on four instances at once, audited at the end.

use onsale_adapters::postgres::{PostgresAudit, PostgresUrl};
use onsale_app::audit::audit;
use onsale_domain::waiting_room::{self, Patch};
use onsale_testing::without;

use super::{Crowd, INSTANCES, answer_at_last};
use crate::follower::Follower;
use crate::kinds::Kinds;
use crate::lane::{Answer, Lane};
use crate::people::People;

/// Number of batches of each instance.
const BATCHES: usize = 250;

/// Number of batches that one instance runs alone first, to fill the sale.
const ALONE: usize = 60;

/// Runs the commands of a few users at one instance. Each result is the basis of later commands.
async fn act(lane: &mut Lane, people: &mut People, kinds: &mut Kinds, batches: usize) {
    for _ in 0..batches {
        let batch = people.next();
        let answers = answer_at_last(lane, &batch).await;
        people.learn(&batch, &answers);
        answers.into_iter().filter_map(Answer::decided).for_each(|outcome| kinds.count(&outcome));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_on_four_instances_is_in_order() {
    if without("postgres") {
        return;
    }
    let mut crowd = Crowd::new().await;
    let mut people = People::new(crowd.dice.below(u64::MAX));
    people.now = crowd.reader().now();
    let first = people.first();
    let lane = crowd.lane();
    // So short that holds expire during the test, which uses the database's clock.
    lane.hold_seconds = 1;
    let answers = lane.answer(&first).await.unwrap();
    people.learn(&first, &answers);
    // A large room: the test is about contention on seats and wallets, not about waiting.
    for concert in people.concerts.clone() {
        let patch = Patch { max_active: Some(20), admit_per_second: Some(100), ..Patch::default() };
        lane.done(waiting_room::Configure { concert, patch, draw: waiting_room::DrawPatch::default() }).await;
    }
    let mut kinds = Kinds::default();
    act(lane, &mut people, &mut kinds, ALONE).await;

    let mut acting = Vec::new();
    for mut lane in crowd.lanes.drain(..) {
        lane.hold_seconds = 1;
        let mut people = people.others(crowd.dice.below(u64::MAX));
        acting.push(tokio::spawn(async move {
            let mut kinds = Kinds::default();
            act(&mut lane, &mut people, &mut kinds, BATCHES).await;
            (lane, kinds)
        }));
    }
    for acted in acting {
        let (lane, more) = acted.await.unwrap();
        crowd.lanes.push(lane);
        kinds.add(&more);
    }
    println!("{}", kinds.counts());

    let url = PostgresUrl::parse(&crowd.database.url()).unwrap();
    let findings = audit(&PostgresAudit::open(&url).await.unwrap()).await.unwrap();
    for finding in &findings {
        assert_eq!(finding.broken, 0, "{}: {:?}", finding.invariant, finding.examples);
    }
    assert!(findings.iter().map(|finding| finding.checked).sum::<u64>() > 1_000);
    // A process that starts now reads all of it.
    assert!(Follower::default().follow(&crowd.stores[INSTANCES - 1]).await > 0);
    crowd.assert_no_deadlock();
}
