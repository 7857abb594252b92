//! The server refuses a transaction for a reason of its own: the batch is run again, one command at a time.

use std::net::SocketAddr;

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Reply, without};
use serde_json::{Value, json};

use crate::scene::{Scene, charge, database, in_time, metric};
use crate::support::room::room;
use crate::support::{at_once, until};

/// This many charges of one wallet at once.
const TOGETHER: usize = 24;

const RERUN: &str = "onsale_desk_batches_rerun_total";

async fn start() -> (Database, Scene, SocketAddr, Client) {
    let database = database().await;
    let address = shared().await.address();
    let scene = Scene::on(address, &database, 1).await;
    let sql = scene.sql(address).await;
    (database, scene, address, sql)
}

/// From now on, entries of the ledger are refused with this error this many times: at once, or at the commit. A sequence
/// counts, as it is not rolled back.
async fn inject(sql: &Client, code: &str, times: i64, when: &str) {
    let trigger = match when {
        "at once" => "CREATE TRIGGER fault BEFORE INSERT ON ledger",
        _ => "CREATE CONSTRAINT TRIGGER fault AFTER INSERT ON ledger DEFERRABLE INITIALLY DEFERRED",
    };
    let statements = format!(
        "DROP TRIGGER IF EXISTS fault ON ledger; DROP SEQUENCE IF EXISTS faults; CREATE SEQUENCE faults;
         CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('faults') <= {times} THEN RAISE EXCEPTION 'a fault' USING ERRCODE = '{code}'; END IF;
            RETURN NEW; END $$;
         {trigger} FOR EACH ROW EXECUTE FUNCTION fault()"
    );
    sql.batch_execute(&statements).await.unwrap();
}

/// Many charge one wallet at once, each a different amount; the replies.
async fn together(scene: &Scene, wallet: &str) -> Vec<Reply> {
    let amounts = (0..TOGETHER).map(|number| (number, 1 << number));
    at_once(amounts.map(|(number, amount)| charge(scene.sale(), wallet, amount, &format!("{wallet}-{number}")))).await
}

/// A wallet's balance and history are those of all charges, each once, and each caller got the right answer.
async fn is_right(scene: &Scene, wallet: &str, replies: &[Reply]) {
    let rows = scene.sale().caller.get(&format!("/point/{wallet}/histories?limit=200")).expect(200).await;
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), replies.len(), "each once");
    for (number, reply) in replies.iter().enumerate() {
        let row = rows.iter().find(|row| row["amount"] == 1 << number).unwrap();
        assert_eq!(reply.expect(200)["balance"], row["balanceAfter"], "{wallet}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_caller_of_a_refused_batch_gets_the_right_answer() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address, sql) = start().await;
    let mut deadlocks = 0;
    // The whole batch at most twice, then one command after the other. Each is tried three times at most.
    for (round, (code, times, when)) in [
        ("40001", 1, "at once"),
        ("40P01", 1, "at once"),
        ("40001", 3, "at once"),
        ("40001", 1, "late"),
        ("23505", 3, "late"),
    ]
    .into_iter()
    .enumerate()
    {
        inject(&sql, code, times, when).await;
        let before = metric(scene.sale(), RERUN).await;
        let wallet = format!("wallet-{round}");
        let replies = together(&scene, &wallet).await;
        is_right(&scene, &wallet, &replies).await;
        let rerun = metric(scene.sale(), RERUN).await - before;
        assert!(rerun > 0, "{code} {when}: a batch was run again");
        deadlocks += u64::from(code == "40P01");
        println!("{code} {when}, {times} times: {rerun} batches run again");
    }
    scene.is_in_order(address, deadlocks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_never_first_gets_503() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address, sql) = start().await;
    // Twice with its batch, and then each time that it is tried alone.
    inject(&sql, "40001", 5, "at once").await;
    let replies = together(&scene, "wallet").await;
    let late: Vec<usize> = (0..TOGETHER).filter(|number| replies[*number].status == 503).collect();
    assert_eq!(late.len(), 1, "one of them, and no other: {late:?}");
    let mut answers = replies.clone();
    replies[late[0]].refused(503, "unavailable");
    assert!(replies[late[0]].header("retry-after").is_some());
    answers[late[0]] = charge(scene.sale(), "wallet", 1 << late[0], &format!("wallet-{}", late[0])).send().await;
    is_right(&scene, "wallet", &answers).await;
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_command_fails_alone() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address, sql) = start().await;
    let check = "ALTER TABLE ledger ADD CONSTRAINT fault CHECK (amount <> 64)";
    sql.batch_execute(check).await.unwrap();
    let mut replies = together(&scene, "wallet").await;
    replies[6].refused(500, "internal");
    sql.batch_execute("ALTER TABLE ledger DROP CONSTRAINT fault").await.unwrap();
    replies[6] = charge(scene.sale(), "wallet", 64, "wallet-6").send().await;
    is_right(&scene, "wallet", &replies).await;
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_with_a_foreign_session_is_resolved() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address, sql) = start().await;
    let sale = scene.sale();
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let token = sale.active(&concert, "ada").await;
    sale.charge("ada", 100).await;
    // Another session takes locks against the order, and is patient: the instance gives way before it is a deadlock.
    sql.batch_execute("SET deadlock_timeout = '10min'; BEGIN").await.unwrap();
    let lock = "SELECT FROM performances WHERE performance_id = $1::text::uuid FOR UPDATE";
    sql.execute(lock, &[&performance]).await.unwrap();
    let body = json!({"performanceId": performance, "seats": [1]});
    let held = tokio::spawn(in_time(sale.caller.post("/reservations").token(&token).json(&body)));
    let other = scene.sql(address).await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waits = async || (other.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) > 0).then_some(());
    until("the instance waits for the performance", waits).await;
    sql.execute("SELECT FROM accounts WHERE user_id = 'ada' FOR UPDATE", &[]).await.unwrap();
    sql.batch_execute("COMMIT").await.unwrap();
    assert_eq!(held.await.unwrap().expect(201)["seats"], json!([1]));
    scene.is_in_order(address, 0).await;
}
