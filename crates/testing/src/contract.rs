//! The contract as the server describes it in its OpenAPI document. The document must describe every reply,
//! with its status, its code and its shape.

use std::collections::HashMap;
use std::sync::Mutex;

use hyper::Method;
#[cfg(feature = "contract")]
use jsonschema::Validator;
use serde_json::Value;

use crate::caller::{Caller, Reply};

/// A compiled schema to validate bodies; a placeholder without the feature.
#[cfg(not(feature = "contract"))]
enum Validator {}

/// An OpenAPI document to check replies against.
pub struct Contract {
    document: Value,
    #[cfg_attr(not(feature = "contract"), expect(dead_code, reason = "there are none without the feature"))]
    validators: Mutex<HashMap<String, Validator>>,
}

impl Contract {
    /// Fetches a server's document.
    ///
    /// # Panics
    /// If the server has none.
    pub async fn of(caller: &Caller) -> Self {
        let document = caller.get("/openapi.json").send().await.expect(200);
        Self { document, validators: Mutex::default() }
    }

    /// Checks a reply against the document. A call that is no operation must be answered with 404 or 405.
    ///
    /// # Panics
    /// If the document describes no such reply.
    pub fn check(&self, method: &Method, path: &str, reply: &Reply) {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let status = reply.status.as_u16();
        self.check_conventions(reply);
        let Some((template, operation)) = self.operation(method, path) else {
            let page = status == 200
                && (["/", "/desk", "/docs", "/check-in", "/check-in-worker.js"].contains(&path)
                    || path.starts_with("/assets/"));
            let refused = matches!(status, 400 | 403 | 404 | 405 | 415 | 429);
            assert!(page || refused, "{}: an undescribed {status}", reply.call);
            return;
        };
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "{}: {status} ({}) is not described", reply.call, reply.code());
        let Some(content) = response["content"].as_object() else { return };
        let media_type = reply.header("content-type").unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default();
        assert!(content.contains_key(essence), "{}: {media_type} is not described", reply.call);
        if essence == "application/problem+json" {
            let described = &content[essence]["examples"];
            assert!(described[reply.code()].is_object(), "{}: {} is not described", reply.call, reply.code());
        }
        if essence.ends_with("json") {
            let place = format!("{template} {method} {status}");
            self.check_shape(&place, &content[essence]["schema"], reply);
        }
    }

    /// Rules for every answer, described or not.
    fn check_conventions(&self, reply: &Reply) {
        let status = reply.status.as_u16();
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{}", reply.call);
        assert!(reply.header("cache-control").is_some(), "{}: may it be kept?", reply.call);
        if status < 400 {
            return;
        }
        let problem = reply.json();
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{}", reply.call);
        assert_eq!(problem["status"], status, "{}: {problem}", reply.call);
        let retry_after: Option<u64> = reply.header("retry-after").and_then(|seconds| seconds.parse().ok());
        if matches!(status, 429 | 503) || reply.code() == "queue-token-waiting" {
            assert!(retry_after.is_some_and(|seconds| seconds > 0), "{}: no Retry-After", reply.call);
        }
        if reply.code() == "invalid-request" {
            let named = problem["errors"][0]["field"].as_str().is_some_and(|field| !field.is_empty());
            assert!(named, "{}: no field is named: {problem}", reply.call);
        }
        if status == 405 {
            assert!(reply.header("allow").is_some(), "{}: no Allow", reply.call);
        }
        assert!(reply.header("x-request-id").is_some(), "{}: no request id", reply.call);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{}", reply.call);
    }

    #[cfg(not(feature = "contract"))]
    fn check_shape(&self, _place: &str, _schema: &Value, reply: &Reply) {
        panic!("{}: built without the feature `contract`: no reply can be held to its shape", reply.call);
    }

    #[cfg(feature = "contract")]
    fn check_shape(&self, place: &str, schema: &Value, reply: &Reply) {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(place.to_owned()).or_insert_with(|| {
            let whole = serde_json::json!({"allOf": [schema], "components": self.document["components"]});
            jsonschema::validator_for(&whole).expect("a schema")
        });
        let body = reply.json();
        let wrong: Vec<String> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{}: not as described: {wrong:?}: {body}", reply.call);
    }

    /// The operation of a path: a literal path wins over one with parameters.
    fn operation(&self, method: &Method, path: &str) -> Option<(&str, &Value)> {
        let paths = self.document["paths"].as_object()?;
        let matching = paths.iter().filter(|(template, _)| matches(template, path));
        let (template, operations) = matching.min_by_key(|(template, _)| template.matches('{').count())?;
        let operation = operations.get(method.as_str().to_lowercase())?;
        Some((template, operation))
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let fits = |(part, given): (&&str, &&str)| part == given || (part.starts_with('{') && !given.is_empty());
    template.len() == path.len() && template.iter().zip(&path).all(fits)
}
