//! `onsale serve --demo`: something to look at, and something to paste.

use std::process::{Command, Stdio};

use onsale_testing::{Caller, Launch, Sale};
use serde_json::{Value, json};

use super::commands::samples;
use super::support::{ONSALE, until};

/// A demonstration that runs, with everything that it printed.
async fn demonstrate(launch: &Launch) -> (Sale, String) {
    let sale = Sale::start(launch).await;
    let whole = async || sale.instance.output().contains("docs").then(|| sale.instance.output());
    until("a greeting", whole).await;
    // The greeting comes in one piece; what is pasted ends it.
    let output =
        until("all of it", async || Some(sale.instance.output()).filter(|text| text.contains("my-first-seat"))).await;
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

/// What the greeting tells to paste: the indented lines.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pasted_buys_a_seat() {
    if !has_tools() {
        return println!("skipped: bash, curl and jq are needed");
    }
    let launch = Launch::new(ONSALE).with("--demo");
    let (sale, output) = demonstrate(&launch).await;
    let script = pasted(&output);
    let bash = || {
        let run = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap();
        assert!(run.status.success(), "{script}\n{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    };
    let shown = bash();
    let replies: Vec<Value> = serde_json::Deserializer::from_str(&shown).into_iter().map(Result::unwrap).collect();
    let [dates, payment] = &replies[..] else { panic!("dates and a payment: {shown}") };
    assert!(dates[0]["remaining"].as_u64() > Some(0), "{dates}");
    assert_eq!(payment["seats"], json!([7]));
    let id = payment["paymentId"].as_str().unwrap();
    let caller = Caller::new(sale.instance.base());
    assert_eq!(caller.get(&format!("/payments/{id}")).expect(200).await, *payment);
    let points = caller.get("/point/42").expect(200).await;
    assert_eq!(points["balance"], payment["balance"]);
    assert!(launch.run(&["audit"]).await.status.success());
}
