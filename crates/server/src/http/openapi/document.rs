//! The OpenAPI 3.1 document, made of the routes and the descriptions of their handlers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use onsale_domain::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::operation::{Content, In, Operation, Parameter, Proof, Tag};
use super::sample::Sample;
use super::schemas::Schemas;
use crate::http::input::session::SESSION_COOKIE;
use crate::http::input::user_session::USER_COOKIE;
use crate::http::reply::problem::{Code, PROBLEM_JSON, Problem, ProblemBody};
use crate::http::router::routes;
use crate::settings::PublicUrl;

const DESCRIPTION: &str = "First-come, first-served booking: points, lectures, and concerts behind a waiting room.\n\n\
    Instants are RFC 3339 in UTC with milliseconds, dates are days in the server's time zone, amounts are whole points. \
    Every answer that is not a success is an RFC 9457 problem with a stable `code`. Every POST, PATCH and DELETE takes \
    an `Idempotency-Key`. Lists come in pages: follow `Link: <…>; rel=\"next\"`.";

/// An OpenAPI 3.1 document.
pub(crate) struct OpenapiDocument(Value);

impl std::fmt::Display for OpenapiDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for OpenapiDocument {
    fn schema_name() -> Cow<'static, str> {
        "OpenapiDocument".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An OpenAPI 3.1 document.",
            "required": ["openapi", "info", "paths"],
            "properties": {
                "openapi": {"type": "string"},
                "info": {"type": "object"},
                "paths": {"type": "object"},
                "components": {"type": "object"}
            }
        })
    }
}

impl Sample for OpenapiDocument {
    fn sample() -> Value {
        json!({"openapi": "3.1.0", "info": {"title": "onsale", "version": "1.0.0"}, "paths": {}})
    }
}

/// The document, for clients that see the server at this URL, or where they found the document.
pub(crate) fn document(public_url: Option<&PublicUrl>) -> OpenapiDocument {
    let mut schemas = Schemas::new();
    schemas.answers.subschema_for::<ProblemBody<'_>>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in routes().operations {
        let shown = show(&operation, &mut schemas);
        paths.entry(operation.route.path).or_default().insert(operation.route.method.to_lowercase(), shown);
    }
    let tag = |(name, description): &(&str, &str)| json!({"name": name, "description": description});
    let tags: Vec<Value> = Tag::ALL.iter().map(tag).collect();
    OpenapiDocument(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "onsale",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A first-come, first-served booking server",
            "description": DESCRIPTION,
            "contact": {"name": "The maintainers of onsale"},
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"}
        },
        "servers": [{
            "url": public_url.map_or("/", PublicUrl::as_str),
            "description": "The server that this document was read from"
        }],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas.definitions(), "securitySchemes": security_schemes()}
    }))
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "Needed if the server runs with `ONSALE_AUTH=jwt`: the claim `sub` names the user."
        },
        "queueToken": {
            "type": "apiKey", "in": "header", "name": "Queue-Token",
            "description": "The `token` that `POST /queue/tokens` returned."
        },
        "queueTokenInQuery": {
            "type": "apiKey", "in": "query", "name": "token",
            "description": "The same token for a browser's `EventSource`, which cannot set a header. Never logged."
        },
        "adminKey": {
            "type": "http", "scheme": "bearer",
            "description":
                "A key of staff, or the value of `ONSALE_ADMIN_KEY`. If there is neither, the calls answer 404."
        },
        "userSession": {
            "type": "apiKey", "in": "cookie", "name": USER_COOKIE,
            "description": "The cookie of a user who signed in at the provider of `ONSALE_OIDC_ISSUER`. It stands for a \
                bearer of this user if the request has no `Authorization`. Writes with it need an `Origin` equal to that \
                of this server, or without one `Sec-Fetch-Site: same-origin`."
        },
        "deskSession": {
            "type": "apiKey", "in": "cookie", "name": SESSION_COOKIE,
            "description": "The cookie that `POST /desk/session` sets. It stands for the key if the request has no \
                `Authorization`. Writes with it need an `Origin` equal to that of this server."
        }
    })
}

fn show(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut shown = json!({
        "operationId": operation.id,
        "tags": [operation.tag.name()],
        "summary": operation.summary,
        "description": operation.description,
        "security": security(&operation.proofs),
        "parameters": operation.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses(operation, schemas),
    });
    if let Some(body) = &operation.body {
        let required = !operation.is_body_optional;
        let mut content = content(body, &mut schemas.bodies);
        if operation.is_body_text_too {
            content["text/plain"] = content[body.media_type].clone();
        }
        shown["requestBody"] = json!({"required": required, "content": content});
    }
    shown
}

fn parameter(parameter: &Parameter) -> Value {
    let Parameter { place, name, required, schema, description } = parameter;
    let required = *required || *place == In::Path;
    json!({"in": place.as_str(), "name": name, "required": required, "schema": schema, "description": description})
}

fn content(content: &Content, schemas: &mut SchemaGenerator) -> Value {
    let schema = (content.schema)(schemas);
    json!({content.media_type: {"schema": schema, "example": content.example}})
}

/// The ways in which a call may be authorized. A bearer is needed only with `ONSALE_AUTH=jwt`, so each scheme stands
/// alone and together with the bearer, or the session of a user in its place. An open call has an empty list: linters take a missing one for forgotten.
fn security(proofs: &[Proof]) -> Value {
    let has = |proof| proofs.contains(&proof);
    if has(Proof::AdminKey) {
        json!([{"adminKey": []}, {"deskSession": []}])
    } else if has(Proof::Session) {
        json!([{"deskSession": []}])
    } else if has(Proof::UserSession) {
        json!([{}, {"userSession": []}])
    } else if has(Proof::OnlyIfStrict) {
        json!([{}, {"bearer": []}, {"userSession": []}, {"queueToken": []}, {"queueToken": [], "bearer": []},
            {"queueToken": [], "userSession": []}])
    } else if has(Proof::QueueTokenInQuery) {
        json!([{"queueToken": []}, {"queueToken": [], "bearer": []}, {"queueToken": [], "userSession": []},
            {"queueTokenInQuery": []}])
    } else if has(Proof::QueueToken) {
        json!([{"queueToken": []}, {"queueToken": [], "bearer": []}, {"queueToken": [], "userSession": []}])
    } else if has(Proof::Bearer) {
        json!([{}, {"bearer": []}, {"userSession": []}])
    } else {
        json!([])
    }
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Map<String, Value> {
    let mut responses = Map::new();
    for success in &operation.successes {
        let mut shown = json!({"description": success.description});
        for body in &success.contents {
            shown["content"][body.media_type] = content(body, &mut schemas.answers)[body.media_type].take();
        }
        if !operation.headers.is_empty() {
            shown["headers"] = headers(&operation.headers);
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

fn headers(headers: &[(&'static str, &'static str)]) -> Value {
    let shown = |(name, description): &(&'static str, &str)| {
        ((*name).to_owned(), json!({"schema": {"type": "string"}, "description": description}))
    };
    Value::Object(headers.iter().map(shown).collect())
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
    let mut headers = Map::new();
    if codes.iter().any(|code| example(*code).retry_after_seconds.is_some()) {
        let schema = json!({"type": "integer", "minimum": 1});
        headers.insert(
            "Retry-After".to_owned(),
            json!({"schema": schema, "description": "Seconds to wait before the next try"}),
        );
    }
    if codes.iter().any(|code| code.status() == axum::http::StatusCode::UNAUTHORIZED) {
        let description = "How to authenticate. If a bearer came: `error` and `error_description` as in RFC 6750";
        headers
            .insert("WWW-Authenticate".to_owned(), json!({"schema": {"type": "string"}, "description": description}));
    }
    if !headers.is_empty() {
        shown["headers"] = headers.into();
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
        Code::SaleNotOpen => {
            let opens_at = Timestamp::from_millis(1_763_614_800_000);
            // Early entry begins half an hour before the opening; the request came 20 minutes before that.
            let (early_from, as_of) = (Some(opens_at.plus_millis(-1_800_000)), opens_at.plus_millis(-3_000_000));
            Problem::from(&Refusal::SaleNotOpen {
                opens_at,
                early_from,
                as_of,
                opens_in_seconds: 1_200,
                is_drawn: false,
            })
        }
        Code::QueueTokenWaiting => Problem::new(code).position(3).retry_after(1),
        code => Problem::new(code),
    }
}
