//! What is said of each operation, beside its handler: the OpenAPI document is made of this and of the shapes that
//! handlers answer with.

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::http::code::Code;
use crate::http::edge::Route;

type Shape = fn(&mut SchemaGenerator) -> Schema;

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum In {
    Path,
    Query,
    Header,
}

impl In {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// A parameter.
pub(crate) struct Parameter {
    pub(crate) place: In,
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) schema: Value,
    pub(crate) description: &'static str,
}

/// A body, of a request or of an answer.
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    pub(crate) shape: Shape,
    pub(crate) example: Value,
}

/// A successful answer.
pub(crate) struct Success {
    pub(crate) status: u16,
    pub(crate) description: &'static str,
    /// In each media type that it may have; empty if there is no body.
    pub(crate) contents: Vec<Content>,
}

/// How callers prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Bearer,
    QueueToken,
    /// The queue token is asked for only where the queue is strict.
    OnlyIfStrict,
    /// The queue token may also come as `?token=`.
    QueueTokenInQuery,
    AdminKey,
}

/// Everything said of an operation.
pub(crate) struct Operation {
    pub(crate) route: Route,
    pub(crate) id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Content>,
    pub(crate) successes: Vec<Success>,
    pub(crate) codes: BTreeSet<Code>,
    pub(crate) proofs: Vec<Proof>,
    /// Headers of each success, with their meaning.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

impl Operation {
    /// What is true of every operation with this method.
    pub(crate) fn new(route: Route) -> Self {
        let operation = Self {
            route,
            id: "",
            tag: "",
            summary: "",
            description: String::new(),
            parameters: Vec::new(),
            body: None,
            successes: Vec::new(),
            codes: BTreeSet::new(),
            proofs: Vec::new(),
            headers: Vec::new(),
        };
        let operation = operation.codes(&[
            Code::MalformedRequest,
            Code::OriginNotAllowed,
            Code::UnsupportedMediaType,
            Code::TooManyRequests,
            Code::InvalidRequest,
            Code::Unavailable,
            Code::Internal,
        ]);
        if route.method == "GET" { operation } else { operation.changes_something() }
    }

    fn changes_something(mut self) -> Self {
        self.headers.push(("Idempotency-Replayed", "`true` if this is the kept answer to an earlier request"));
        let key = json!({"type": "string", "minLength": 1, "maxLength": 255});
        let description = "Same key and same request: the first answer again. Lives 24 hours. A user may use 20,000 keys \
                           at a time unless the server is set otherwise; a further one is 429.";
        let name = "Idempotency-Key";
        self.parameter(Parameter { place: In::Header, name, required: false, schema: key, description }).codes(&[
            Code::IdempotencyKeyReused,
            Code::RequestTimeout,
            Code::BodyTooLarge,
            Code::Overloaded,
        ])
    }

    /// Names the operation.
    pub(crate) fn named(mut self, tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        (self.tag, self.id, self.summary) = (tag, id, summary);
        self
    }

    /// Says more, in Markdown.
    pub(crate) fn says(mut self, description: &str) -> Self {
        if !self.description.is_empty() {
            self.description.push_str("\n\n");
        }
        self.description.push_str(description);
        self
    }

    pub(crate) fn codes(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// A user in the path, for whom the caller must be allowed to act.
    pub(crate) fn path_user(self, name: &'static str) -> Self {
        let (schema, description) = (user_id(), "The user");
        self.parameter(Parameter { place: In::Path, name, required: true, schema, description }).bearer()
    }

    /// One of our ids in the path.
    pub(crate) fn path_id(self, name: &'static str, description: &'static str) -> Self {
        self.parameter(Parameter { place: In::Path, name, required: true, schema: uuid(), description })
    }

    pub(crate) fn query(self, name: &'static str, schema: Value, description: &'static str) -> Self {
        self.parameter(Parameter { place: In::Query, name, required: false, schema, description })
    }

    /// A header that may be absent.
    pub(crate) fn header(self, name: &'static str, schema: Value, description: &'static str) -> Self {
        self.parameter(Parameter { place: In::Header, name, required: false, schema, description })
    }

    pub(crate) fn required_query(self, name: &'static str, schema: Value, description: &'static str) -> Self {
        self.parameter(Parameter { place: In::Query, name, required: true, schema, description })
    }

    /// A list in pages.
    pub(crate) fn paged(mut self) -> Self {
        self.headers.push(("Link", "`<…>; rel=\"next\"` names the next page; absent on the last one"));
        self.query(
            "limit",
            json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
            "Rows of a page at most",
        )
        .query("cursor", json!({"type": "string"}), "Where the page begins; taken from the `Link` of the page before")
        .says("A further page is announced by `Link: <…>; rel=\"next\"`.")
    }

    /// Has a validator: a client that names it gets 304 while nothing has changed.
    pub(crate) fn conditional(mut self) -> Self {
        self.headers.push(("ETag", "The validator of this answer, for `If-None-Match`"));
        let (name, schema) = ("If-None-Match", json!({"type": "string"}));
        let description = "The last `ETag`: 304 without a body if nothing has changed since";
        self.parameter(Parameter { place: In::Header, name, required: false, schema, description })
            .answers_nothing(304, "Unchanged since the answer whose `ETag` the request names")
    }

    /// Needs a bearer where `ONSALE_AUTH=jwt`.
    pub(crate) fn bearer(mut self) -> Self {
        self.proofs.push(Proof::Bearer);
        self.codes(&[Code::AuthenticationRequired, Code::NotYourAccount])
    }

    /// Needs a queue token, whatever its status.
    pub(crate) fn queue_token(self) -> Self {
        let mut operation = self.bearer().codes(&[Code::QueueTokenMissing, Code::QueueTokenInvalid]);
        operation.proofs.push(Proof::QueueToken);
        operation
    }

    /// Needs a queue token that may also come as `?token=`.
    pub(crate) fn queue_token_or_query(self) -> Self {
        let mut operation = self.queue_token();
        operation.proofs.push(Proof::QueueTokenInQuery);
        operation
    }

    /// Needs a queue token whose status is ACTIVE.
    pub(crate) fn turn(self) -> Self {
        self.queue_token().codes(&[Code::QueueTokenWaiting, Code::QueueTokenExpired]).says(
            "● Needs a queue token of this concert whose status is ACTIVE. The token is checked before anything else.",
        )
    }

    /// May need an active queue token.
    pub(crate) fn strict(self) -> Self {
        let mut operation = self.queue_token();
        operation.proofs.push(Proof::OnlyIfStrict);
        operation.codes(&[Code::QueueTokenWaiting, Code::QueueTokenExpired]).says(
            "With `ONSALE_QUEUE_STRICT=true` the call also needs an ACTIVE queue token of this user, of any room.",
        )
    }

    pub(crate) fn admin(mut self) -> Self {
        self.proofs.push(Proof::AdminKey);
        self.codes(&[Code::AdminKeyInvalid, Code::NotFound]).says("Without `ONSALE_ADMIN_KEY` this answers 404.")
    }

    /// Takes a JSON body.
    pub(crate) fn body<T: JsonSchema>(mut self, example: Value) -> Self {
        let shape: Shape = |generator| generator.subschema_for::<T>();
        self.body = Some(Content { media_type: "application/json", shape, example });
        self.codes(&[Code::UnsupportedMediaType])
    }

    /// Answers with JSON.
    pub(crate) fn answers<T: JsonSchema>(self, status: u16, description: &'static str, example: Value) -> Self {
        self.answers_as::<T>("application/json", status, description, example)
    }

    /// Answers with another media type.
    pub(crate) fn answers_as<T: JsonSchema>(
        mut self,
        media_type: &'static str,
        status: u16,
        description: &'static str,
        example: Value,
    ) -> Self {
        let shape: Shape = |generator| generator.subschema_for::<T>();
        let contents = vec![Content { media_type, shape, example }];
        self.successes.push(Success { status, description, contents });
        self
    }

    /// Answers likewise with one more media type, if that is asked for.
    pub(crate) fn answers_also_as<T: JsonSchema>(mut self, media_type: &'static str, example: Value) -> Self {
        let shape: Shape = |generator| generator.subschema_for::<T>();
        if let Some(success) = self.successes.last_mut() {
            success.contents.push(Content { media_type, shape, example });
        }
        self
    }

    /// Answers with nothing.
    pub(crate) fn answers_nothing(mut self, status: u16, description: &'static str) -> Self {
        self.successes.push(Success { status, description, contents: Vec::new() });
        self
    }
}

pub(crate) fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

pub(crate) fn user_id() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
}

pub(crate) fn date() -> Value {
    json!({"type": "string", "format": "date"})
}

pub(crate) fn switch() -> Value {
    json!({"type": "boolean", "default": false})
}

/// Ids in examples.
pub(crate) mod sample {
    pub(crate) const CONCERT: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
    pub(crate) const PERFORMANCE: &str = "019ab3c0-7a11-7c0a-8e21-51d3a7be9f02";
    pub(crate) const RESERVATION: &str = "019ab3c0-9b02-7e6f-a1c3-7d0e5f2a4b03";
    pub(crate) const PAYMENT: &str = "019ab3c0-a4c7-7b1d-b2d4-0c9e8f7a6b04";
    pub(crate) const TOKEN: &str = "019ab3c0-8d33-7f2b-93e5-6a5b4c3d2e05";
    pub(crate) const LECTURE: &str = "019ab3c0-6c55-7a3c-84f6-1b2c3d4e5f06";
    pub(crate) const ENTRY: &str = "019ab3c0-b0d8-7c4d-95a7-2c3d4e5f6a07";
    pub(crate) const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6InF1ZXVlK2p3dCJ9.eyJwbGFjZSI6M30.c2lnbmF0dXJl";
}
