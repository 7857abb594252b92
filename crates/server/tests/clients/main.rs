//! Real tools read the OpenAPI document: linters find nothing, generated clients buy a seat, and a fuzzer finds no
//! undocumented answer. `clients/install` installs the tools.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

#[path = "../support/mod.rs"]
mod support;
mod tools;

use onsale_testing::Sale;
use serde_json::{Value, json};
use support::{audit, start, until};
use tools::{Tools, missing};

/// A sale, and a place for the tools to work in that holds the sale's document as `openapi.json`.
async fn scene(settings: &[(&str, &str)]) -> (Sale, Tools) {
    let sale = start(settings).await;
    let tools = Tools::beside(sale.instance.folder());
    let document = sale.caller.get("/openapi.json").send().await;
    document.expect(200);
    tools.write("openapi.json", &document.body);
    (sale, tools)
}

/// How many problems each linter finds in a document, warnings and hints included.
async fn problems(tools: &Tools, document: &str) -> (Value, usize) {
    let mut redocly = tools.node("@redocly/cli/bin/cli.js", &["lint", document, "--format=json"]);
    let redocly = tools.run(redocly.arg("--config").arg(tools.pinned("redocly.yaml"))).await;
    let report: Value = serde_json::from_slice(&redocly.stdout).unwrap_or_else(|_| panic!("{redocly:?}"));
    let mut spectral =
        tools.node("@stoplight/spectral-cli/dist/index.js", &["lint", document, "--format=json", "--quiet"]);
    let spectral = tools.run(spectral.arg("--ruleset").arg(tools.pinned("spectral.yaml"))).await;
    let findings: Vec<Value> = serde_json::from_slice(&spectral.stdout).unwrap_or_else(|_| panic!("{spectral:?}"));
    (report["totals"].clone(), findings.len())
}

#[tokio::test]
async fn linters_accept_the_openapi_document() {
    if missing("node") {
        return;
    }
    let (sale, tools) = scene(&[]).await;
    let clean = json!({"errors": 0, "warnings": 0, "ignored": 0});
    assert_eq!(problems(&tools, "openapi.json").await, (clean, 0));

    // Both linters work: they refuse a document with known faults.
    let mut faulty: Value = sale.caller.get("/openapi.json").expect(200).await;
    faulty["paths"]["/healthz"]["get"].as_object_mut().unwrap().remove("security");
    faulty["paths"]["/healthz"]["get"].as_object_mut().unwrap().remove("description");
    tools.write("faulty.json", faulty.to_string().as_bytes());
    let (redocly, spectral) = problems(&tools, "faulty.json").await;
    assert!(redocly["errors"] == 1 && spectral == 1, "{redocly} {spectral}");
}

/// A client waits for its turn and buys a seat. Its output agrees with the server's state.
async fn buys_a_seat(sale: &Sale, tools: &Tools, journey: &mut tokio::process::Command) {
    let concert = sale.concert(&json!({"maxActive": 1})).await;
    sale.performance(&concert, &json!(null)).await;
    let first = sale.active(&concert, "the-first").await;
    let journey = journey.args([sale.instance.base(), &concert, "the-second"]);
    let leaves = async {
        let room = format!("/admin/concerts/{concert}/queue");
        until("the client is in line", async || {
            let room = sale.admin(sale.caller.get(&room)).expect(200).await;
            (room["waiting"] == 1).then_some(())
        })
        .await;
        sale.caller.delete("/queue/token").token(&first).expect(204).await;
    };
    let (run, ()) = tokio::join!(tools.run(journey), leaves);
    assert!(run.status.success(), "{}", tools::said(&run));
    let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", tools::said(&run)));
    for status in ["WAITING", "ACTIVE"] {
        assert!(report["seen"].as_array().unwrap().contains(&json!(status)), "it polled: {report}");
    }
    let payment = &report["payment"];
    let known = sale.caller.get(&format!("/payments/{}", payment["paymentId"].as_str().unwrap())).expect(200).await;
    for member in ["reservationId", "amount", "balance", "seats"] {
        assert_eq!(known[member], payment[member], "{member}");
    }
    assert_eq!((&report["reservation"]["status"], &report["reference"]), (&json!("PAID"), &payment["paymentId"]));
    assert_eq!(sale.caller.get("/users/the-second/payments").expect(200).await, json!([known]));
    audit(sale).await;
}

#[tokio::test]
async fn a_generated_typescript_client_buys_a_seat() {
    if missing("node") {
        return;
    }
    let (sale, tools) = scene(&[]).await;
    tools.copy("typescript");
    tools.write("package.json", br#"{"type": "module"}"#);
    tools.link("node_modules");
    tools.passes(&mut tools.node("openapi-typescript/bin/cli.js", &["openapi.json", "-o", "schema.d.ts"])).await;
    tools.passes(&mut tools.node("typescript/bin/tsc", &["-p", "."])).await;
    buys_a_seat(&sale, &tools, tools.command("node").arg("journey.js")).await;
}

#[tokio::test]
async fn a_generated_python_client_buys_a_seat() {
    if missing("python") {
        return;
    }
    let (sale, tools) = scene(&[]).await;
    tools.copy("python");
    tools.passes(&mut tools.python("openapi-spec-validator", &["openapi.json"])).await;
    let arguments = ["generate", "--path", "openapi.json", "--output-path", "onsale_client", "--meta", "none"];
    let mut generate = tools.python("openapi-python-client", &arguments);
    tools.passes(generate.arg("--fail-on-warning")).await;
    tools.passes(&mut tools.python("mypy", &["--strict", "--follow-imports=silent", "journey.py"])).await;
    buys_a_seat(&sale, &tools, &mut tools.python("python", &["journey.py"])).await;
}

/// Random requests, valid and not, with an admin key and an active token: no answer may be one that is not described,
/// and no body that is not as described may pass.
#[tokio::test]
async fn every_answer_to_a_fuzzer_matches_the_openapi_document() {
    if missing("python") {
        return;
    }
    let (sale, tools) = scene(&[("ONSALE_RATE_LIMIT_PER_SECOND", "0"), ("ONSALE_ENTRIES_PER_MINUTE", "0")]).await;
    let concert = sale.concert(&json!({})).await;
    sale.performance(&concert, &json!(null)).await;
    let token = format!("Queue-Token: {}", sale.active(&concert, "ada").await);
    let key = format!("Authorization: Bearer {}", onsale_testing::ADMIN_KEY);
    let arguments = [
        ["run", "openapi.json"],
        ["--url", sale.instance.base()],
        // A stream has no end, and a token that was given up opens nothing.
        ["--exclude-path", "/queue/token/events"],
        ["--exclude-operation-id", "leaveQueue"],
        ["--checks", "all"],
        // A valid form is not enough: most ids and seats do not exist. And `open` mode needs no credentials.
        ["--exclude-checks", "positive_data_acceptance,ignored_auth"],
        ["--phases", "examples,coverage,fuzzing"],
        ["--max-examples", "15"],
        ["--seed", "42"],
        ["--suppress-health-check", "all"],
        ["-H", &token],
        ["-H", &key],
    ];
    tools.passes(&mut tools.python("schemathesis", arguments.as_flattened())).await;
    audit(&sale).await;
}
