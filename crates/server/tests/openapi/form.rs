//! The form that linters and client generators need, beyond being sound OpenAPI. The tools themselves run in
//! `tests/clients`; these checks find the same faults without them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::support::text;
use super::{all, document, operations};

/// Formats that common generators know.
const FORMATS: [&str; 5] = ["date", "date-time", "int32", "int64", "uuid"];

/// What a schema holds that is a schema again, with its place.
fn within<'a>(place: &str, schema: &'a Map<String, Value>) -> Vec<(String, &'a Value)> {
    let mut found = Vec::new();
    for (name, value) in schema {
        let place = format!("{place}/{name}");
        match (name.as_str(), value) {
            ("items" | "not" | "contains", value) => found.push((place, value)),
            // Whether further members are allowed is a plain yes or no for every generator.
            ("additionalProperties" | "unevaluatedProperties", Value::Object(_)) => found.push((place, value)),
            ("properties" | "patternProperties" | "$defs", Value::Object(members)) => {
                found.extend(members.iter().map(|(name, member)| (format!("{place}/{name}"), member)));
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(choices)) => {
                found.extend(choices.iter().enumerate().map(|(at, choice)| (format!("{place}/{at}"), choice)));
            }
            _ => {}
        }
    }
    found
}

/// A schema and all schemas in it.
fn visit<'a>(place: &str, schema: &'a Value, see: &mut impl FnMut(&str, &'a Map<String, Value>)) {
    let members = schema.as_object().unwrap_or_else(|| panic!("{place} is {schema}: a schema must be an object"));
    see(place, members);
    for (place, schema) in within(place, members) {
        visit(&place, schema, see);
    }
}

/// Every schema of the document: of components, parameters, headers and bodies.
fn every_schema<'a>(document: &'a Value, mut see: impl FnMut(&str, &'a Map<String, Value>)) {
    let mut roots = Vec::new();
    all(&document["paths"], "schema", &mut roots);
    assert!(roots.len() > 100, "{}", roots.len());
    for schema in roots {
        visit("paths", schema, &mut see);
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        visit(name, schema, &mut see);
    }
}

#[tokio::test]
async fn every_schema_has_a_type_and_a_description() {
    let (_sale, document) = document().await;
    every_schema(&document, |place, schema| {
        let says = ["type", "$ref", "enum", "anyOf", "allOf"].iter().any(|name| schema.contains_key(*name));
        assert!(says, "{place}: anything is allowed: {schema:?}");
        assert!(
            !schema.contains_key("oneOf") && !schema.contains_key("const"),
            "{place}: a union of constants: {schema:?}"
        );
        for choices in ["anyOf", "allOf"].iter().filter_map(|name| schema.get(*name)) {
            assert!(choices.as_array().unwrap().len() > 1, "{place}: a choice of one: {schema:?}");
        }
        if let Some(format) = schema.get("format") {
            assert!(FORMATS.contains(&text(format).as_str()), "{place}: {format} is known to few generators");
        }
        if let Some(values) = schema.get("enum") {
            assert_eq!(schema.get("type"), Some(&json!("string")), "{place}: {values} has no plain type");
            assert!(!values.as_array().unwrap().is_empty(), "{place}");
        }
    });
    let status = &document["components"]["schemas"]["TokenStatus"];
    assert_eq!(
        (&status["type"], &status["enum"]),
        (&json!("string"), &json!(["EARLY", "WAITING", "ACTIVE", "EXPIRED"]))
    );
}

/// Follows `$ref` to the schema that it names.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(place) = schema["$ref"].as_str() else { return schema };
    resolved(document, document.pointer(&place[1..]).unwrap())
}

/// All schemas that a schema leads to, references followed.
fn reachable<'a>(document: &'a Value, schema: &'a Value, found: &mut Vec<&'a Map<String, Value>>) {
    let members = resolved(document, schema).as_object().unwrap();
    if found.iter().any(|known| std::ptr::eq(*known, members)) {
        return;
    }
    found.push(members);
    for (_, schema) in within("", members) {
        reachable(document, schema, found);
    }
}

#[tokio::test]
async fn bodies_take_what_they_name_and_nothing_else() {
    let (_sale, document) = document().await;
    let mut bodies = 0;
    for (call, operation) in operations(&document) {
        let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
        let is_optional = call == "POST /payments/{paymentId}/refunds";
        assert_eq!(operation["requestBody"]["required"], !is_optional, "{call}");
        let mut schemas = Vec::new();
        reachable(&document, &content["application/json"]["schema"], &mut schemas);
        for schema in schemas {
            bodies += 1;
            if schema.get("type") == Some(&json!("object")) {
                assert_eq!(schema.get("additionalProperties"), Some(&json!(false)), "{call}: {schema:?}");
                assert!(!schema["properties"].as_object().unwrap().is_empty(), "{call}: {schema:?}");
            }
            // But for the members that null clears, which say so. Each schema around this one is checked too.
            if json!(schema) == json!({"type": "null"}) {
                continue;
            }
            let text = json!(schema).to_string();
            let clears = text.contains("null removes it") || text.contains("null for none");
            assert!(clears || !text.contains("\"null\""), "{call}: a member without a value is left out");
        }
    }
    assert!(bodies > 20, "{bodies}");
}

#[tokio::test]
async fn a_member_of_an_answer_is_there_or_null() {
    let (_sale, document) = document().await;
    let place = &document["components"]["schemas"]["QueuePlace"];
    let required: BTreeSet<String> = place["required"].as_array().unwrap().iter().map(text).collect();
    let members: BTreeSet<String> = place["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(required, members, "each member is there");
    for (name, kind, may_be_null) in [
        ("position", "integer", true),
        ("estimatedWaitSeconds", "integer", true),
        ("pollAfterSeconds", "integer", true),
        ("activeUntil", "string", true),
        ("claimBefore", "string", true),
        ("issuedAt", "string", false),
        ("soldOut", "boolean", false),
        ("closed", "boolean", false),
    ] {
        let expected = if may_be_null { json!([kind, "null"]) } else { json!(kind) };
        assert_eq!(place["properties"][name]["type"], expected, "{name}");
    }
    every_schema(&document, |place, schema| {
        assert!(!schema.contains_key("nullable"), "{place}: OpenAPI 3.1 has no nullable");
    });
}

#[tokio::test]
async fn every_call_is_explained_under_a_known_tag() {
    let (_sale, document) = document().await;
    let mut tags = BTreeMap::new();
    for tag in document["tags"].as_array().unwrap() {
        assert!(!text(&tag["description"]).is_empty(), "{tag}");
        assert!(tags.insert(text(&tag["name"]), 0).is_none(), "{tag} is there twice");
    }
    for (call, operation) in operations(&document) {
        assert!(!text(&operation["description"]).is_empty(), "{call}: no description");
        let [tag] = &operation["tags"].as_array().unwrap()[..] else { panic!("{call}: one tag") };
        *tags.get_mut(&text(tag)).unwrap_or_else(|| panic!("{call}: {tag} is not declared")) += 1;
    }
    assert!(tags.values().all(|calls| *calls > 0), "{tags:?}");
    let info = &document["info"];
    for member in ["title", "version", "description"] {
        assert!(!text(&info[member]).is_empty(), "{member}");
    }
    assert!(info["license"]["identifier"].is_string() && info["contact"].is_object(), "{info}");
    assert!(!document["servers"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn schemas_have_names_for_classes() {
    let (_sale, document) = document().await;
    let mut known = BTreeSet::new();
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(
            name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric()),
            "{name}"
        );
        assert!(known.insert(name.to_lowercase()), "{name} differs from another name by its case alone");
    }
    let mut used = Vec::new();
    all(&document, "$ref", &mut used);
    let used: BTreeSet<String> = used.into_iter().map(text).collect();
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "{name} is not used");
    }
}
