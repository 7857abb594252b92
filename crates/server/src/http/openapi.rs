//! The OpenAPI 3.1 document, made of the routes and of what is said of them.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::docs::{Content, In, Operation, Parameter, Proof};
use super::problem::{Code, PROBLEM_JSON, Problem, ProblemBody};
use super::router::routes;

const DESCRIPTION: &str = "First-come, first-served booking: points, lectures, concerts behind a waiting room.\n\n\
    Instants are RFC 3339 in UTC with milliseconds, amounts whole points. Everything that is not a success is an \
    RFC 9457 problem with a stable `code`. Every POST, PATCH and DELETE takes an `Idempotency-Key`.";

/// The document.
pub(crate) fn document() -> Value {
    let mut schemas = Schemas::new();
    schemas.answers.subschema_for::<ProblemBody<'_>>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in routes().operations {
        let shown = show(&operation, &mut schemas);
        paths.entry(operation.route.path).or_default().insert(operation.route.method.to_lowercase(), shown);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "onsale", "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0"}
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "With ONSALE_AUTH=jwt: `sub` is the user."},
                "queueToken": {"type": "apiKey", "in": "header", "name": "Queue-Token", "description": "From `POST /queue/tokens`."},
                "adminKey": {"type": "http", "scheme": "bearer", "description": "ONSALE_ADMIN_KEY."}
            }
        }
    })
}

/// Shapes of what is sent and of what is answered: an absent member of an answer is null, one of a body is not there.
struct Schemas {
    bodies: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let bodies = settings.clone().for_deserialize().with_transform(RecursiveTransform(without_null));
        Self { bodies: bodies.into_generator(), answers: settings.for_serialize().into_generator() }
    }

    fn definitions(&mut self) -> Map<String, Value> {
        let mut all = self.answers.take_definitions(true);
        all.append(&mut self.bodies.take_definitions(true));
        all
    }
}

fn without_null(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            members["type"] = only.clone();
        }
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
    }
}

fn show(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut shown = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": operation.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses(operation, schemas),
    });
    if !operation.description.is_empty() {
        shown["description"] = operation.description.clone().into();
    }
    if let Some(body) = &operation.body {
        shown["requestBody"] = json!({"required": true, "content": content(body, &mut schemas.bodies)});
    }
    if !operation.proofs.is_empty() {
        shown["security"] = security(&operation.proofs);
    }
    shown
}

fn parameter(parameter: &Parameter) -> Value {
    let Parameter { place, name, required, schema, description } = parameter;
    let required = *required || *place == In::Path;
    json!({"in": place.as_str(), "name": name, "required": required, "schema": schema, "description": description})
}

fn content(content: &Content, schemas: &mut SchemaGenerator) -> Value {
    let schema = (content.shape)(schemas);
    json!({content.media_type: {"schema": schema, "example": content.example}})
}

/// Bearers are asked for only with ONSALE_AUTH=jwt: each scheme stands alone, and with the bearer beside it.
fn security(proofs: &[Proof]) -> Value {
    if proofs.contains(&Proof::AdminKey) {
        json!([{"adminKey": []}])
    } else if proofs.contains(&Proof::OnlyIfStrict) {
        json!([{}, {"bearer": []}, {"queueToken": []}, {"queueToken": [], "bearer": []}])
    } else if proofs.contains(&Proof::QueueToken) {
        json!([{"queueToken": []}, {"queueToken": [], "bearer": []}])
    } else {
        json!([{}, {"bearer": []}])
    }
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Map<String, Value> {
    let mut responses = Map::new();
    for success in &operation.successes {
        let mut shown = json!({"description": success.description});
        if let Some(body) = &success.content {
            shown["content"] = content(body, &mut schemas.answers);
        }
        responses.insert(success.status.to_string(), shown);
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in &operation.codes {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        responses.insert(status.to_string(), problems(&codes));
    }
    responses
}

/// All problems of one status, each with an example.
fn problems(codes: &[Code]) -> Value {
    let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    let examples: Map<String, Value> = codes
        .iter()
        .map(|code| {
            let problem = serde_json::to_value(example(*code).body()).unwrap_or_default();
            (code.as_str().to_owned(), json!({"summary": code.title(), "value": problem}))
        })
        .collect();
    let mut shown = json!({
        "description": names.join(", "),
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}
    });
    if codes.iter().any(|code| example(*code).retry_after_seconds.is_some()) {
        shown["headers"] = json!({"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}});
    }
    shown
}

fn example(code: Code) -> Problem {
    use onsale_domain::Refusal;
    match code {
        Code::InvalidRequest => Problem::invalid_field("amount", "must be a whole number"),
        Code::AmountOutOfRange => Problem::from(&Refusal::AmountOutOfRange),
        Code::SeatUnknown => Problem::from(&Refusal::SeatUnknown { seats: vec![51] }),
        Code::SeatTaken => Problem::from(&Refusal::SeatTaken { seats: vec![7], retry_after_seconds: Some(240) }),
        Code::QueueTokenWaiting => Problem::new(code).position(3).retry_after(1),
        code => Problem::new(code),
    }
}
