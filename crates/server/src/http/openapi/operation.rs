//! The description of one call. Arguments and return types of handlers add to it.

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::sample::Sample;
use crate::http::code::Code;
use crate::http::edge::Route;

/// What `#[operation]` reads at a handler.
pub(crate) struct About {
    pub(crate) id: &'static str,
    pub(crate) tag: Tag,
    /// The first paragraph of the doc comment.
    pub(crate) summary: &'static str,
    /// The other paragraphs, in Markdown.
    pub(crate) description: &'static str,
    /// Describes the successful answer.
    pub(crate) returns: &'static str,
    /// The codes that the handler adds to those of its arguments.
    pub(crate) codes: &'static [Code],
    /// Replaces the sample of the successful answer.
    pub(crate) example: Option<fn() -> Value>,
}

macro_rules! tags {
    ($($tag:ident = $name:literal, $description:literal;)+) => {
        /// A group of calls.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Tag { $($tag),+ }

        impl Tag {
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$tag => $name),+ }
            }

            /// Each name with its description, in the order in which a client needs them.
            pub(crate) const ALL: &[(&str, &str)] = &[$(($name, $description)),+];
        }
    };
}

tags! {
    Points = "Points", "A user's wallet: balance, charges, uses, history.";
    Lectures = "Lectures", "Lectures with a capacity, and who has a place in them.";
    WaitingRoom = "Waiting room", "The line in front of a concert: enter, poll or follow, leave.";
    Concerts = "Concerts", "Concerts, their dates, and the seats of a date.";
    Reservations = "Reservations", "Seats held for a short time.";
    Payments = "Payments", "Held seats paid from the points.";
    Tickets = "Tickets", "A ticket for each paid seat, and what happens to it at the door.";
    Sessions = "Sessions", "The user who is signed in at the pages of this server.";
    Administration = "Administration",
        "Making lectures and concerts, and steering waiting rooms. Needs a key of staff.";
    Staff = "Staff", "Keys of staff with roles, sessions of the back office, and the log of what their owners changed.";
    Operation = "Operation", "Health, metrics and this document.";
}

/// The part of the request that holds a parameter.
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

/// A parameter in the path, the query or a header.
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
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) example: Value,
}

impl Content {
    pub(crate) fn new<T: JsonSchema>(media_type: &'static str, example: Value) -> Self {
        Self { media_type, schema: SchemaGenerator::subschema_for::<T>, example }
    }
}

/// A successful answer: its status, description and example.
pub(crate) struct Success {
    pub(crate) status: u16,
    pub(crate) description: &'static str,
    /// The body in each media type that it may have; empty if there is no body.
    pub(crate) contents: Vec<Content>,
}

/// How callers prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Bearer,
    QueueToken,
    /// The queue token is needed only if the queue is strict.
    OnlyIfStrict,
    /// The queue token may also come as `?token=`.
    QueueTokenInQuery,
    AdminKey,
    /// The cookie of the back office.
    Session,
    /// The cookie of a user who signed in.
    UserSession,
}

/// The description of a call in the document.
pub(crate) struct Operation {
    pub(crate) route: Route,
    pub(crate) id: &'static str,
    pub(crate) tag: Tag,
    pub(crate) summary: &'static str,
    pub(crate) description: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Content>,
    /// Whether a request may leave out the body.
    pub(crate) is_body_optional: bool,
    /// Whether the JSON of the body may also come as `text/plain`.
    pub(crate) is_body_text_too: bool,
    pub(crate) successes: Vec<Success>,
    pub(crate) codes: BTreeSet<Code>,
    pub(crate) proofs: Vec<Proof>,
    /// Headers of each success, with their meaning.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    /// Describes the successful answer.
    pub(crate) returns: &'static str,
    /// Replaces the sample of the successful answer.
    example: Option<fn() -> Value>,
}

impl Operation {
    /// What is true of every call with this method.
    pub(crate) fn new(route: Route, about: &About) -> Self {
        let mut operation = Self {
            route,
            id: about.id,
            tag: about.tag,
            summary: about.summary,
            description: about.description.to_owned(),
            parameters: Vec::new(),
            body: None,
            is_body_optional: false,
            is_body_text_too: false,
            successes: Vec::new(),
            codes: about.codes.iter().copied().collect(),
            proofs: Vec::new(),
            headers: Vec::new(),
            returns: about.returns,
            example: about.example,
        };
        operation.codes(&[
            Code::MalformedRequest,
            Code::OriginNotAllowed,
            Code::UnsupportedMediaType,
            Code::TooManyRequests,
            Code::InvalidRequest,
            Code::Unavailable,
            Code::Internal,
        ]);
        if route.method != "GET" {
            operation.changes_something();
        }
        operation
    }

    fn changes_something(&mut self) {
        self.headers.push(("Idempotency-Replayed", "`true` if this is the kept answer to an earlier request"));
        let key = json!({"type": "string", "minLength": 1, "maxLength": 255});
        self.header(
            "Idempotency-Key",
            key,
            "Same key and same request: the first answer again. Lives 24 hours. A user may use 20,000 keys at a time \
             unless the server is set otherwise; a further one is 429.",
        );
        self.codes(&[Code::IdempotencyKeyReused, Code::RequestTimeout, Code::BodyTooLarge, Code::Overloaded]);
    }

    /// Adds a paragraph in Markdown to the description.
    pub(crate) fn paragraph(&mut self, paragraph: &str) {
        if !self.description.is_empty() {
            self.description.push_str("\n\n");
        }
        self.description.push_str(paragraph);
    }

    pub(crate) fn codes(&mut self, codes: &[Code]) {
        self.codes.extend(codes);
    }

    pub(crate) fn proof(&mut self, proof: Proof) {
        self.proofs.push(proof);
    }

    fn parameter<T: JsonSchema>(&mut self, place: In, name: &'static str, required: bool, description: &'static str) {
        let schema = T::json_schema(&mut SchemaGenerator::default()).into();
        self.parameters.push(Parameter { place, name, required, schema, description });
    }

    pub(crate) fn path<T: JsonSchema>(&mut self, name: &'static str, description: &'static str) {
        self.parameter::<T>(In::Path, name, true, description);
    }

    pub(crate) fn query<T: JsonSchema>(&mut self, name: &'static str, required: bool, description: &'static str) {
        self.parameter::<T>(In::Query, name, required, description);
    }

    /// Adds an optional parameter of the query that no type stands for.
    pub(crate) fn optional_query(&mut self, name: &'static str, schema: Value, description: &'static str) {
        self.parameters.push(Parameter { place: In::Query, name, required: false, schema, description });
    }

    /// Adds an optional header of the request.
    pub(crate) fn header(&mut self, name: &'static str, schema: Value, description: &'static str) {
        self.parameters.push(Parameter { place: In::Header, name, required: false, schema, description });
    }

    /// Takes a JSON body.
    pub(crate) fn body<T: JsonSchema + Sample>(&mut self) {
        self.body = Some(Content::new::<T>("application/json", T::sample()));
    }

    /// Answers with JSON, described by the handler's attribute.
    pub(crate) fn answers<T: JsonSchema + Sample>(&mut self, status: u16) {
        let example = self.example.map_or_else(T::sample, |example| example());
        self.answers_as(status, self.returns, vec![Content::new::<T>("application/json", example)]);
    }

    /// Answers with a body in one of several media types.
    pub(crate) fn answers_as(&mut self, status: u16, description: &'static str, contents: Vec<Content>) {
        self.successes.push(Success { status, description, contents });
    }

    /// Answers without a body.
    pub(crate) fn answers_nothing(&mut self, status: u16, description: &'static str) {
        self.answers_as(status, description, Vec::new());
    }
}
