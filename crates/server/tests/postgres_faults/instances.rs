//! One instance dies or stands still in the midst of a batch; another sells on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Dice, Signal, Workload, without};

use crate::scene::{RECOVERY_MAX, Scene, charge, database, in_time, recovered, until_decided};
use crate::support::until;

/// What is written of the first instance's charge, and of no other.
const AMOUNT: i64 = 4_711;
const TRACE: &str = r#""amount":4711"#;

/// An instance stands still for longer than it waits for any answer.
const STANDS_STILL: Duration = Duration::from_secs(7);

/// Commands of other instances are answered soon: the server ends the session of a paused instance after two seconds. The rest
/// is for a slow machine.
const OTHERS_MAX: Duration = Duration::from_secs(2 + 18);

fn rounds() -> usize {
    if std::env::var_os("ONSALE_TEST_LONG").is_some() { 10 } else { 1 }
}

async fn start() -> (Database, Scene, SocketAddr) {
    let database = database().await;
    let address = shared().await.address();
    let scene = Scene::on(address, &database, 2).await;
    (database, scene, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_instance_with_locks_delays_no_other() {
    if without("postgres") {
        return;
    }
    let (_database, mut scene, address) = start().await;
    scene.wire.stall_before(TRACE).await;
    let sent = tokio::spawn(charge(scene.sale(), "ada", AMOUNT, "key").try_send());
    scene.wire.until_held().await;
    scene.sales.remove(0).instance.kill().await;
    // What the system does with the connections of a process that is gone.
    scene.wire.drop_connections().await;
    sent.await.unwrap().expect_err("the instance that was to answer is dead");

    let (reply, took) = recovered(|| charge(scene.sale(), "ada", 1, "another-key")).await;
    assert_eq!(reply.expect(200)["balance"], 1, "what the dead one had begun is undone");
    let again = charge(scene.sale(), "ada", AMOUNT, "key").expect(200).await;
    assert_eq!(again["balance"], AMOUNT + 1, "done once, by another");
    println!("the other goes on after {took:?}");
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_change_of_a_killed_instance_is_kept() {
    if without("postgres") {
        return;
    }
    let (_database, mut scene, address) = start().await;
    let running = Workload::prepare(scene.sale(), 16, Dice::seed()).await.start(&scene.sale().caller);
    until_decided(scene.sale(), 200).await;
    scene.sales.remove(0).instance.kill().await;
    let (reply, took) = recovered(|| charge(scene.sale(), "another-user", 1, "key")).await;
    assert_eq!(reply.expect(200)["balance"], 1);
    let load = running.stop().await;
    println!("{} acknowledged, {} left open; the other goes on after {took:?}", load.acknowledged(), load.unanswered());
    // The same people go on at the other.
    let running = load.start(&scene.sale().caller);
    until_decided(scene.sale(), 200).await;
    scene.agrees_with(address, &mut running.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_instance_with_locks_learns_of_its_ended_session() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address) = start().await;
    let (first, second) = (&scene.sales[0], &scene.sales[1]);
    scene.wire.stall_before(TRACE).await;
    let sent = tokio::spawn(charge(first, "ada", AMOUNT, "key").send());
    scene.wire.until_held().await;
    first.instance.signal(Signal::STOP);

    // Its lock is in the way until the server takes it away.
    let (reply, took) = recovered(|| charge(second, "ada", 1, "other-0")).await;
    assert_eq!(reply.expect(200)["balance"], 1);
    assert!(took < OTHERS_MAX, "others wait for {took:?}");
    let since = Instant::now();
    let mut sold = 1;
    while since.elapsed() < STANDS_STILL {
        let reply = in_time(charge(second, "ada", 1, &format!("other-{sold}"))).await;
        sold += 1;
        assert_eq!(reply.expect(200)["balance"], sold);
    }
    // The wire is whole before it wakes: what it had sent arrives on a connection that is closed.
    scene.wire.heal().await;
    first.instance.signal(Signal::CONT);
    let woken = Instant::now();
    let reply = sent.await.unwrap();
    let answered = woken.elapsed();
    let (again, _) = recovered(|| charge(first, "ada", AMOUNT, "key")).await;
    assert_eq!(again.expect(200)["balance"], AMOUNT + sold, "once, after all that was done meanwhile");
    assert!(reply.status == 503 || reply.body == again.body, "{reply:?}");
    assert!(answered < RECOVERY_MAX, "answered {answered:?} after it woke");
    println!("others waited {took:?}, then {sold} charges; its own caller got {} {answered:?} after", reply.status);
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_paused_under_load_does_nothing_twice() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address) = start().await;
    let (first, second) = (&scene.sales[0], &scene.sales[1]);
    let mut load = Workload::prepare(first, 16, Dice::seed()).await;
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        let running = load.start(&first.caller);
        until_decided(first, 100).await;
        first.instance.signal(Signal::STOP);
        let since = Instant::now();
        let mut sold = 0;
        while since.elapsed() < STANDS_STILL {
            // The wallet that its callers share: their lock may be in the way.
            let (reply, took) = recovered(|| charge(second, &format!("hot-{round}"), 1, &format!("{sold}"))).await;
            sold += 1;
            assert_eq!(reply.expect(200)["balance"], sold);
            longest = longest.max(took);
        }
        first.instance.signal(Signal::CONT);
        let (reply, took) = recovered(|| charge(first, "ada", 1, &format!("round-{round}"))).await;
        reply.expect(200);
        until_decided(first, 100).await;
        load = running.stop().await;
        println!("{sold} charges elsewhere, each within {longest:?}; it serves {took:?} after it woke");
        until("the instances agree", async || agree(&scene).await.then_some(())).await;
        scene.agrees_with(address, &mut load).await;
    }
}

/// Whether both instances show the same points to the users of the test.
async fn agree(scene: &Scene) -> bool {
    let mut shown = Vec::new();
    for sale in &scene.sales {
        shown.push(sale.caller.get("/point/ada").expect(200).await);
    }
    shown[0] == shown[1]
}
