//! The worked example of a payment provider (`examples/payments`): both programs run against a real server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use std::process::Stdio;

use onsale_testing::{PATIENCE, Sale, absent, without};
use serde_json::{Value, json};
use support::{audit, start, text};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/payments");

const SECRET: &str = "shared-with-the-provider";

/// One of the programs of the example.
fn program(name: &str, secret: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(format!("{EXAMPLE}/{name}")).env("WEBHOOK_SECRET", secret).env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A server whose points are charged by staff.
struct Shop {
    sale: Sale,
}

/// A receiver that runs, and what it prints.
struct Receiver {
    url: String,
    /// Read no further, but kept open: a program that prints into a closed pipe ends.
    _printed: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Shop {
    async fn open() -> Option<Self> {
        let has_python = std::process::Command::new("python3").arg("--version").output().is_ok();
        if without("python") || absent(has_python, "python3") {
            return None;
        }
        Some(Self { sale: start(&[("ONSALE_CHARGE", "staff")]).await })
    }

    async fn key(&self, role: &str) -> String {
        let made = self.sale.caller.post("/admin/keys").json(&json!({"name": role, "role": role}));
        text(&self.sale.admin(made).expect(201).await["key"])
    }

    /// A receiver that does not send its first answers.
    async fn receiver(&self, key: &str, answers_to_lose: u32) -> Receiver {
        let mut command = program("receiver.py", SECRET);
        command.args(["--onsale", self.sale.instance.base(), "--orders", &format!("{EXAMPLE}/orders.json")]);
        command.args(["--port", "0", "--lose-answers", &answers_to_lose.to_string()]);
        let mut process = command.env("ONSALE_KEY", key).stdout(Stdio::piped()).spawn().unwrap();
        let mut printed = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, printed.next_line()).await.expect("it starts").unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Receiver { url, _printed: printed, _process: process }
    }

    /// The charges of a user: each with its amount.
    async fn charges(&self, user: &str) -> Vec<Value> {
        let entries = self.sale.caller.get(&format!("/point/{user}/histories")).expect(200).await;
        entries.as_array().unwrap().iter().map(|entry| entry["amount"].clone()).collect()
    }
}

/// What the provider printed, and whether all of its deliveries were accepted.
async fn provide(to: &Receiver, secret: &str, payment: [&str; 3], further: &[&str]) -> (bool, String) {
    let [payment, order, amount] = payment;
    let mut command = program("provider.py", secret);
    command.args(["--to", &to.url, "--payment", payment, "--order", order, "--amount", amount]);
    // A key that was just made may be answered with 503 for a moment.
    command.args(["--pause", "0.1", "--attempts", "100"]).args(further);
    let run = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    assert!(run.stderr.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
    (run.status.success(), String::from_utf8(run.stdout).unwrap())
}

const FIRST: [&str; 3] = ["pay_1", "order-1", "50000"];

#[tokio::test]
async fn a_payment_that_is_delivered_many_times_at_once_is_charged_once() {
    let Some(shop) = Shop::open().await else { return };
    let key = shop.key("cashier").await;
    let receivers = [shop.receiver(&key, 0).await, shop.receiver(&key, 0).await];
    let both = tokio::join!(
        provide(&receivers[0], SECRET, FIRST, &[]),
        provide(&receivers[1], SECRET, FIRST, &["--deliveries", "4"])
    );
    assert!(both.0.0 && both.1.0, "{both:?}");
    for delivery in [&both.0.1, &both.1.1] {
        assert!(delivery.contains(r#""outcome": "charged", "balance": 50000"#), "{delivery}");
    }
    // A day later the provider sends it again.
    let (accepted, said) = provide(&receivers[0], SECRET, FIRST, &[]).await;
    assert!(accepted, "{said}");
    assert_eq!(shop.charges("42").await, [50_000]);
    audit(&shop.sale).await;
}

#[tokio::test]
async fn a_retry_after_a_lost_answer_charges_nothing_more() {
    let Some(shop) = Shop::open().await else { return };
    let receiver = shop.receiver(&shop.key("cashier").await, 2).await;
    let (accepted, said) = provide(&receiver, SECRET, FIRST, &["--deliveries", "1"]).await;
    assert!(accepted, "{said}");
    assert_eq!(said.lines().filter(|line| line.contains(": 0 no answer")).count(), 2, "{said}");
    assert!(said.lines().last().unwrap().contains(r#": 200 {"paymentId": "pay_1", "outcome": "charged""#), "{said}");
    assert_eq!(shop.charges("42").await, [50_000]);
    audit(&shop.sale).await;
}

#[tokio::test]
async fn what_is_not_signed_in_time_for_an_order_charges_nothing() {
    let Some(shop) = Shop::open().await else { return };
    let receiver = shop.receiver(&shop.key("cashier").await, 0).await;
    let old = ["--age", "600"];
    let ahead = ["--age", "-600"];
    let cases: [(&str, [&str; 3], &[&str], &str); 6] = [
        ("guessed", FIRST, &[], r#"401 {"code": "signature-wrong""#),
        ("guessed", FIRST, &old, r#"401 {"code": "signature-wrong""#),
        (SECRET, FIRST, &old, r#"401 {"code": "timestamp-old""#),
        (SECRET, FIRST, &ahead, r#"401 {"code": "timestamp-old""#),
        (SECRET, ["pay_1", "order-9", "50000"], &[], r#"422 {"code": "user-unknown""#),
        (SECRET, ["pay_1", "order-1", "49999"], &[], r#"422 {"code": "amount-wrong""#),
    ];
    for (secret, payment, further, refusal) in cases {
        let (accepted, said) = provide(&receiver, secret, payment, further).await;
        assert!(!accepted && said.matches(refusal).count() == 2, "{refusal}: {said}");
    }
    assert_eq!(shop.charges("42").await, [] as [Value; 0]);
    // The same payment for another order afterwards: an alarm, and no points.
    assert!(provide(&receiver, SECRET, FIRST, &[]).await.0);
    let (accepted, said) = provide(&receiver, SECRET, ["pay_1", "order-2", "20000"], &[]).await;
    assert!(accepted && said.contains(r#""outcome": "not charged", "code": "external-id-reused""#), "{said}");
    assert_eq!((shop.charges("42").await, shop.charges("43").await), (vec![json!(50_000)], vec![]));
}

#[tokio::test]
async fn a_key_of_another_role_charges_nothing_and_the_provider_keeps_trying() {
    let Some(shop) = Shop::open().await else { return };
    let receiver = shop.receiver(&shop.key("door").await, 0).await;
    let (accepted, said) = provide(&receiver, SECRET, FIRST, &["--attempts", "20", "--deliveries", "1"]).await;
    assert!(!accepted && said.lines().count() == 20, "{said}");
    // The first attempts may come before the server can check the key.
    assert!(said.contains(r#"500 {"code": "key-refused""#), "{said}");
    assert_eq!(shop.charges("42").await, [] as [Value; 0]);
}
