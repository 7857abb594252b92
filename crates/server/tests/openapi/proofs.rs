//! Credentials of calls, and the codes of their refusals.

use std::collections::{BTreeMap, BTreeSet};

use onsale_testing::Launch;
use serde_json::{Value, json};

use super::support::{ONSALE, text};
use super::{OPEN, all, document, operations};

#[tokio::test]
async fn proofs_are_described() {
    let (_sale, document) = document().await;
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let operations = operations(&document);
    for (call, operation) in &operations {
        let security = operation["security"].as_array().cloned().unwrap_or_else(|| panic!("{call}: no security"));
        let named: BTreeSet<String> =
            security.iter().flat_map(|all| all.as_object().unwrap().keys().cloned()).collect();
        for name in &named {
            assert!(schemes.contains_key(name), "{call}: {name} is no scheme");
        }
        let is_admins = call.contains("/admin/") || call.contains("/check-ins");
        let either = json!([{"adminKey": []}, {"deskSession": []}]);
        assert_eq!(operation["security"] == either, is_admins, "{call}");
    }
    let points = document["paths"]["/point/{id}"]["get"]["security"].as_array().unwrap();
    assert!(points.contains(&json!({})), "points need nothing where the queue is not strict: {points:?}");
    let is_open = |call: &&str| operations[*call]["security"] == json!([]);
    let open: Vec<&str> = operations.keys().map(String::as_str).filter(is_open).collect();
    assert_eq!(open, OPEN, "calls that need nothing say so");
    let places: BTreeSet<_> = schemes
        .values()
        .filter(|scheme| scheme["type"] == "apiKey")
        .map(|scheme| (text(&scheme["in"]), text(&scheme["name"])))
        .collect();
    let places: Vec<(&str, &str)> = places.iter().map(|(place, name)| (place.as_str(), name.as_str())).collect();
    assert_eq!(
        places,
        [("cookie", "onsale_session"), ("cookie", "onsale_user"), ("header", "Queue-Token"), ("query", "token")]
    );
    let in_query = schemes.iter().find(|(_, scheme)| scheme["in"] == "query").unwrap().0;
    for (call, operation) in operations {
        let takes = operation["security"].as_array().unwrap().iter().any(|all| all[in_query].is_array());
        let is_stream = ["GET /queue/token/events", "GET /concerts/{concertId}/seats/events"].contains(&call.as_str());
        assert_eq!(takes, is_stream, "{call}");
    }
}

#[tokio::test]
async fn one_code_has_one_status_and_one_title() {
    let (_sale, document) = document().await;
    let mut known: BTreeMap<String, (Value, Value, Value)> = BTreeMap::new();
    let mut found = Vec::new();
    all(&document["paths"], "examples", &mut found);
    for examples in found {
        for (code, example) in examples.as_object().unwrap() {
            let problem = &example["value"];
            let said = (problem["status"].clone(), problem["title"].clone(), problem["type"].clone());
            let first = known.entry(code.clone()).or_insert_with(|| said.clone());
            assert_eq!(*first, said, "{code}");
        }
    }
    assert!(known.len() > 30, "{known:?}");
}

#[tokio::test]
async fn the_program_prints_the_same() {
    let (sale, document) = document().await;
    let launch = Launch::new(ONSALE);
    let printed = launch.run(&["openapi"]).await;
    assert!(printed.status.success());
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), document);
    assert!(!launch.folder().join("onsale.db").exists(), "no database is needed for it");
    assert!(sale.instance.terminate().await.success());
}
