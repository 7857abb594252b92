//! Callers: any requests, and replies with accessors for tests.

use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::contract::Contract;
use crate::patience::PATIENCE;

/// Sends requests to one server over kept connections. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    contract: Option<Arc<Contract>>,
}

impl Caller {
    /// A caller of this server.
    pub fn new(base: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, base: base.to_owned(), contract: None }
    }

    /// A caller that calls from this address of the machine, such as 127.0.0.9.
    pub fn from_address(base: &str, address: IpAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(address));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, base: base.to_owned(), contract: None }
    }

    /// Checks every reply against a contract.
    #[must_use]
    pub fn held_to(mut self, contract: Contract) -> Self {
        self.contract = Some(Arc::new(contract));
        self
    }

    /// A GET request to this path, with its query.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST request to this path, without a body.
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// A PATCH request to this path, without a body.
    pub fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    /// A DELETE request to this path, with its query.
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// A request with any method.
    pub fn call(&self, method: Method, path: &str) -> Call {
        Call { caller: self.clone(), method, path: path.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }
}

/// A request that is not sent yet.
pub struct Call {
    caller: Caller,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Call {
    /// Adds a header to the request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a queue token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("queue-token", token)
    }

    /// Adds `Authorization: Bearer` with this token.
    #[must_use]
    pub fn bearer(self, bearer: &str) -> Self {
        self.header("authorization", &format!("Bearer {bearer}"))
    }

    /// Adds an idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").bytes(body.to_string())
    }

    /// Adds a body of any kind, sent as it is.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it. Returns an error if there is no reply.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn try_send(self) -> Result<Reply, String> {
        let mut request = Request::builder().method(&self.method).uri(format!("{}{}", self.caller.base, self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body)).map_err(|error| error.to_string())?;
        let exchange = async {
            let response = self.caller.client.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok::<_, String>((parts, body))
        };
        let exchange = tokio::time::timeout(PATIENCE, exchange).await;
        let (parts, body) = exchange.map_err(|_| "no reply in time".to_owned())??;
        let call = format!("{} {}", self.method, self.path);
        let reply = Reply { call, status: parts.status, headers: parts.headers, body };
        if let Some(contract) = &self.caller.contract {
            contract.check(&self.method, &self.path, &reply);
        }
        Ok(reply)
    }

    /// Sends it and returns the reply.
    ///
    /// # Panics
    /// If there is no reply.
    pub async fn send(self) -> Reply {
        let call = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|error| panic!("{call}: {error}"))
    }

    /// Sends it and expects success with this status. Returns the body as JSON, null if it is empty.
    ///
    /// # Panics
    /// If the reply differs.
    pub async fn expect(self, status: u16) -> Value {
        self.send().await.expect(status)
    }

    /// Sends it and expects a problem with this status and code.
    ///
    /// # Panics
    /// If the reply differs.
    pub async fn refused(self, status: u16, code: &str) -> Value {
        self.send().await.refused(status, code)
    }
}

/// A reply with its whole body.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Method and path of the call, for messages.
    pub call: String,
    /// The HTTP status code.
    pub status: StatusCode,
    /// The headers, with names in lower case.
    pub headers: HeaderMap,
    /// The body, as it was received.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; null if it is empty or not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.unpacked()).unwrap_or_default()
    }

    /// The body, decompressed if it is gzip.
    ///
    /// # Panics
    /// If it is not valid gzip or UTF-8.
    pub fn unpacked(&self) -> Bytes {
        if self.header("content-encoding") != Some("gzip") {
            return self.body.clone();
        }
        let mut unpacked = Vec::new();
        GzDecoder::new(&self.body[..]).read_to_end(&mut unpacked).expect("gzip");
        unpacked.into()
    }

    /// The value of a header, if present.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The code of a problem; empty for any other body.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Expects success with this status. Returns the body as JSON.
    ///
    /// # Panics
    /// If the reply differs.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.call, String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Expects a problem with this status and code.
    ///
    /// # Panics
    /// If the reply differs.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{}: {body}", self.call);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.call);
        body
    }
}
