//! `onsale serve --demo`: a sale to see, and commands to paste.

use std::process::{Command, Stdio};

use onsale_testing::{Caller, Launch, Sale};
use serde_json::{Value, json};

use super::commands::samples;
use super::support::{ONSALE, logged, until};

/// A demonstration that runs, with everything that it printed.
async fn demonstrate(launch: &Launch) -> (Sale, String) {
    let sale = Sale::start(launch).await;
    let whole = async || sale.instance.output().contains("docs").then(|| sale.instance.output());
    until("a greeting", whole).await;
    // The greeting comes in one piece; what is pasted ends it.
    let output = until("all of it", async || Some(sale.instance.output()).filter(|text| text.contains("| jq\n"))).await;
    (sale, output)
}

/// The admin key that a greeting names.
fn admin_key(output: &str) -> Option<String> {
    let line = output.lines().find(|line| line.contains("admin key"))?;
    line.rsplit(' ').next().map(str::to_owned)
}

#[tokio::test]
async fn a_demonstration_fills_an_empty_database_alone() {
    let launch = Launch::new(ONSALE).with("--demo");
    let (sale, output) = demonstrate(&launch).await;
    assert!(output.starts_with(&format!("onsale listening on {}", sale.instance.base())), "{output}");
    let before = samples(&sale).await;
    assert!(before[0].as_array().unwrap().len() > 1 && before[1].as_array().unwrap().len() > 1, "{before:?}");
    assert!(before[2]["balance"].as_i64().unwrap() > 0);
    let first = admin_key(&output).expect("a fresh admin key");
    assert!(sale.instance.terminate().await.success());
    let (sale, output) = demonstrate(&launch).await;
    assert_eq!(samples(&sale).await, before, "a second demonstration adds nothing");
    let second = admin_key(&output).expect("a fresh admin key");
    assert_ne!(first, second, "each run has its own");
    let body = json!({"title": "A lecture", "startsAt": onsale_testing::iso(86_400)});
    let lecture = |key: &str| sale.caller.post("/admin/lectures").json(&body).bearer(key);
    lecture(&first).refused(401, "admin-key-invalid").await;
    assert_eq!(lecture(&second).expect(201).await["capacity"], 30);
    assert!(!sale.instance.log().contains(&second), "it is shown, and not logged");
    // Admin calls work.
    logged(&sale, "\"admin\":true").await;

    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    sale.lecture(3).await;
    assert!(sale.instance.terminate().await.success());
    let launch = launch.with("--demo");
    let sale = Sale::start(&launch).await;
    until("a greeting", async || sale.instance.output().contains("/docs").then_some(())).await;
    let [lectures, concerts, points] = samples(&sale).await;
    assert_eq!((lectures.as_array().unwrap().len(), concerts, &points["balance"]), (1, json!([]), &json!(0)));
    assert_eq!(admin_key(&sale.instance.output()), None, "a key that is set is not printed");
}

#[tokio::test]
async fn without_a_key_there_are_no_admin_calls() {
    let server = Launch::new(ONSALE).start().await;
    let caller = server.caller().await;
    let body = json!({"title": "A lecture", "startsAt": onsale_testing::iso(86_400)});
    caller.post("/admin/lectures").json(&body).bearer("a-key").refused(404, "not-found").await;
    assert_eq!(server.output().lines().count(), 1, "nothing but the address is printed: {}", server.output());
}

/// The commands in the greeting: its indented lines.
fn pasted(output: &str) -> String {
    let lines = output.lines().filter(|line| line.starts_with("  "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Whether the tools are here that the greeting needs. Only outside of CI may they be missing.
fn has_tools() -> bool {
    let has =
        |tool: &str| Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let all = ["bash", "curl", "jq"].iter().all(|tool| has(tool));
    assert!(all || std::env::var_os("CI").is_none(), "bash, curl and jq are needed");
    all
}

/// Runs commands as a shell does into which they are pasted, but ends at the first that fails. What they printed, as
/// JSON values.
fn paste(script: &str) -> Vec<Value> {
    let run = Command::new("bash").args(["-euo", "pipefail", "-c", script]).output().unwrap();
    let shown = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{script}\n{shown}\n{}", String::from_utf8_lossy(&run.stderr));
    let words = shown.trim_end().strip_suffix("\nPAID").map(|json| format!("{json} \"PAID\""));
    let values = words.unwrap_or(shown);
    serde_json::Deserializer::from_str(&values).into_iter().map(Result::unwrap).collect()
}

/// Waits until buyers of this concert see the seats of a payment as sold: what is cached may lag by 3 s.
async fn until_sold(sale: &Sale, concert: &str, payment: &Value) {
    let path = format!("/reservations/{}", payment["reservationId"].as_str().unwrap());
    let bought = sale.caller.get(&path).expect(200).await;
    let path = format!("/concerts/{concert}/seats?date={}", bought["date"].as_str().unwrap());
    let token = sale.active(concert, "looker").await;
    until("the seats are sold", async || {
        let shown = sale.caller.get(&path).token(&token).expect(200).await;
        let all = shown["performances"].as_array().unwrap();
        let own = all.iter().find(|performance| performance["performanceId"] == bought["performanceId"])?;
        let is_sold = |seat: &&Value| seat["status"] == "SOLD";
        let sold: Vec<&Value> =
            own["seats"].as_array().unwrap().iter().filter(is_sold).map(|seat| &seat["seat"]).collect();
        payment["seats"].as_array().unwrap().iter().all(|seat| sold.contains(&seat)).then_some(())
    })
    .await;
}

/// Runs the commands of the greeting. Returns the seat that they bought.
async fn buy_as_greeted(sale: &Sale, output: &str) -> Value {
    let replies = paste(&pasted(output));
    let [dates, payment] = &replies[..] else { panic!("dates and a payment: {replies:?}") };
    assert!(dates[0]["remaining"].is_u64(), "{dates}");
    let id = payment["paymentId"].as_str().unwrap_or_else(|| panic!("no payment: {payment}"));
    let caller = Caller::new(sale.instance.base());
    assert_eq!(caller.get(&format!("/payments/{id}")).expect(200).await, *payment);
    assert_eq!(payment["seats"].as_array().unwrap().len(), 1);
    let concert = output.split("CONCERT=").nth(1).and_then(|rest| rest.split_whitespace().next());
    until_sold(sale, concert.expect("a concert in the greeting"), payment).await;
    payment["seats"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_greeting_buy_a_seat_each_time_and_after_a_restart() {
    if !has_tools() {
        return println!("skipped: bash, curl and jq are needed");
    }
    let launch = Launch::new(ONSALE).with("--demo");
    let (sale, output) = demonstrate(&launch).await;
    let mut bought = Vec::new();
    for _ in 0..6 {
        bought.push(buy_as_greeted(&sale, &output).await);
    }
    assert!(sale.instance.terminate().await.success());
    let (sale, output) = demonstrate(&launch).await;
    bought.push(buy_as_greeted(&sale, &output).await);
    assert_eq!(bought, [1, 2, 3, 4, 5, 6, 7].map(Value::from), "the next free seat each time");
    assert!(launch.run(&["audit"]).await.status.success());
}

/// The commands of the quick start's journey, for the server at this address.
fn journey(base: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/quick-start.md");
    let text = std::fs::read_to_string(page).unwrap();
    let section = text.split("## Buy a seat").nth(1).unwrap();
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(block.contains("B=http://127.0.0.1:8080\n"), "{block}");
    block.replace("http://127.0.0.1:8080", base)
}

/// The concert that the journey picks.
async fn concert_on_sale(sale: &Sale) -> String {
    let (listed, today) = (sale.caller.get("/concerts").expect(200).await, onsale_testing::iso(0));
    let is_on_sale = |concert: &&Value| concert["lastDate"].as_str().is_some_and(|last| last >= &today[..10]);
    let concert = listed.as_array().unwrap().iter().find(is_on_sale).expect("a concert on sale");
    concert["concertId"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journey_of_the_quick_start_can_be_pasted_again() {
    if !has_tools() {
        return println!("skipped: bash, curl and jq are needed");
    }
    let launch = Launch::new(ONSALE).with("--demo");
    let (sale, _) = demonstrate(&launch).await;
    let mut bought = Vec::new();
    for _ in 0..3 {
        let replies = paste(&journey(sale.instance.base()));
        assert_eq!(replies.last(), Some(&json!("PAID")), "{replies:?}");
        let payment = &replies[replies.len() - 2];
        until_sold(&sale, &concert_on_sale(&sale).await, payment).await;
        bought.push(payment["seats"].clone());
    }
    assert_eq!(bought, [json!([1, 2]), json!([3, 4]), json!([5, 6])]);
    assert!(launch.run(&["audit"]).await.status.success());
}

/// The greeting of a server that is started with these settings on the launch's database.
async fn greeting(launch: &Launch) -> String {
    let server = launch.start().await;
    let whole = async || Some(server.output()).filter(|text| text.contains("/docs") && text.ends_with('\n'));
    let output = until("a greeting", async || whole().await.filter(|text| text.lines().count() > 4)).await;
    assert!(server.terminate().await.success());
    output
}

#[tokio::test]
async fn the_greeting_names_what_can_be_bought_now() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let past = sale.concert(&json!({})).await;
    sale.performance_at(&past, &json!(null), -3_600).await;
    let sold_out = sale.concert(&json!({})).await;
    let last = sale.performance(&sold_out, &json!(1)).await;
    let token = sale.active(&sold_out, "ada").await;
    let held = sale.hold(&token, &last, &[1]).await;
    sale.charge("ada", 50_000).await;
    sale.pay(&token, &held).expect(201).await;
    assert!(sale.instance.terminate().await.success());
    let launch = launch.with("--demo");
    let output = greeting(&launch).await;
    assert!(output.contains("No performance in this database has a free seat"), "{output}");
    assert!(!output.contains("Paste this"), "{output}");

    let sale = Sale::start(&launch).await;
    sale.performance_at(&past, &json!(null), 3_600).await;
    assert!(sale.instance.terminate().await.success());
    let output = greeting(&launch).await;
    assert!(output.contains(&format!("CONCERT={past} ")), "a performance that starts in an hour: {output}");

    let launch = launch.set("ONSALE_AUTH", "jwt").set("ONSALE_JWT_SECRET", "a-secret-of-thirty-two-characters");
    let output = greeting(&launch).await;
    assert!(output.contains("needs a bearer") && !output.contains("Paste this"), "{output}");
}
