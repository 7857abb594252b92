//! An OpenID provider for tests that answers as a test wants, and a browser that signs in at it. A real provider is in `real.rs`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onsale_testing::{Call, Caller, Reply, Sale, now_millis};
use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::AbortHandle;

/// Where browsers reach the server, by its settings. Nothing listens there: tests send each request to the server itself.
pub(crate) const PUBLIC: &str = "http://127.0.0.1:9";

pub(crate) const CLIENT: &str = "onsale-tests";

/// Characters that a form encodes otherwise.
const CLIENT_SECRET: &str = "a secret: 32 bytes, 100% odd & {more}+";

/// A P-256 key in PEM: the private half, and the public one.
pub(crate) type Pem = (&'static str, &'static str);

/// A sign-in that a browser brought to the provider.
#[derive(Clone)]
struct Brought {
    redirect: String,
    nonce: String,
    challenge: String,
    user: String,
}

struct Known {
    codes: HashMap<String, Brought>,
    /// Replaces claims of ID tokens; null leaves one out.
    claims: Value,
    key: EncodingKey,
    key_id: String,
    /// The status of each answer of the token endpoint, if not that of the code.
    status: Option<StatusCode>,
    /// Replaces members of the description.
    description: Value,
}

#[derive(Clone)]
pub(crate) struct Provider {
    known: Arc<Mutex<Known>>,
    /// The public half of its key, which it publishes.
    public: &'static str,
    pub(crate) issuer: String,
    serving: Arc<Mutex<Option<AbortHandle>>>,
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

async fn describe(State(provider): State<Provider>) -> Response {
    let issuer = &provider.issuer;
    let mut description = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth?tenant=7"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"], "authorization_response_iss_parameter_supported": true,
    });
    let changed = provider.known.lock().unwrap().description.clone();
    description.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    answer(StatusCode::OK, &description)
}

async fn publish(State(provider): State<Provider>) -> Response {
    let lines = provider.public.lines().filter(|line| !line.starts_with('-'));
    let der = STANDARD.decode(lines.collect::<String>()).unwrap();
    // The last 64 bytes are the coordinates.
    let (x, y) = der[der.len() - 64..].split_at(32);
    let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let id = provider.known.lock().unwrap().key_id.clone();
    answer(StatusCode::OK, &json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": x, "y": y}]}))
}

async fn exchange(State(provider): State<Provider>, headers: HeaderMap, body: String) -> Response {
    let refused = |error: &str| answer(StatusCode::BAD_REQUEST, &json!({"error": error}));
    if let Some(status) = provider.known.lock().unwrap().status {
        return answer(status, &json!({"error": "server_error"}));
    }
    let fields = decoded(&body);
    let pair = format!("{}:{}", encoded(CLIENT), encoded(CLIENT_SECRET));
    let basic = format!("Basic {}", STANDARD.encode(pair));
    if headers.get("authorization").is_none_or(|value| value != basic.as_str()) {
        return answer(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
    }
    // A code is good for one exchange.
    let Some(brought) = provider.known.lock().unwrap().codes.remove(&fields["code"]) else {
        return refused("invalid_grant");
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&fields["code_verifier"]));
    if challenge != brought.challenge || fields["redirect_uri"] != brought.redirect {
        return refused("invalid_grant");
    }
    answer(StatusCode::OK, &json!({"token_type": "Bearer", "id_token": provider.id_token(&brought)}))
}

/// The fields of a form or a query.
fn decoded(text: &str) -> BTreeMap<String, String> {
    Url::parse(&format!("http://localhost/?{text}")).unwrap().query_pairs().into_owned().collect()
}

fn encoded(text: &str) -> String {
    let url = Url::parse_with_params("http://localhost/", [("", text)]).unwrap();
    url.query().unwrap()[1..].to_owned()
}

impl Provider {
    /// Starts a provider that signs with this P-256 key.
    pub(crate) async fn start(key: Pem) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self::at(&format!("http://{}", listener.local_addr().unwrap()), key);
        provider.serve(listener);
        provider
    }

    /// A provider that does not answer yet.
    pub(crate) fn at(issuer: &str, (private, public): Pem) -> Self {
        let known = Known {
            codes: HashMap::new(),
            claims: json!({}),
            key: EncodingKey::from_ec_pem(private.as_bytes()).unwrap(),
            key_id: "one".to_owned(),
            status: None,
            description: json!({}),
        };
        let (known, serving) = (Arc::new(Mutex::new(known)), Arc::default());
        Self { known, public, issuer: issuer.to_owned(), serving }
    }

    /// Answers on this listener until [`Self::stop`].
    pub(crate) fn serve(&self, listener: tokio::net::TcpListener) {
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(publish))
            .route("/token", post(exchange))
            .with_state(self.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        *self.serving.lock().unwrap() = Some(serving.abort_handle());
    }

    /// Ends its answers: its port refuses connections, and requests over open ones fail.
    pub(crate) fn stop(&self) {
        self.answers(Some(StatusCode::SERVICE_UNAVAILABLE));
        if let Some(serving) = self.serving.lock().unwrap().take() {
            serving.abort();
        }
    }

    /// The settings of a server whose users sign in here.
    pub(crate) fn settings(&self) -> [(&'static str, &str); 5] {
        [
            ("ONSALE_AUTH", "jwt"),
            ("ONSALE_OIDC_ISSUER", self.issuer.as_str()),
            ("ONSALE_OIDC_CLIENT_ID", CLIENT),
            ("ONSALE_OIDC_CLIENT_SECRET", CLIENT_SECRET),
            ("ONSALE_PUBLIC_URL", PUBLIC),
        ]
    }

    /// Replaces claims of ID tokens.
    pub(crate) fn claims(&self, claims: Value) {
        self.known.lock().unwrap().claims = claims;
    }

    /// Signs with another key, under this id.
    pub(crate) fn signs_with(&self, private: &str, id: &str) {
        let mut known = self.known.lock().unwrap();
        known.key = EncodingKey::from_ec_pem(private.as_bytes()).unwrap();
        known.key_id = id.to_owned();
    }

    /// Sets the status of the token endpoint.
    pub(crate) fn answers(&self, status: Option<StatusCode>) {
        self.known.lock().unwrap().status = status;
    }

    /// Replaces members of its description.
    pub(crate) fn describes(&self, description: Value) {
        self.known.lock().unwrap().description = description;
    }

    fn id_token(&self, brought: &Brought) -> String {
        let known = self.known.lock().unwrap();
        let now = now_millis() / 1000;
        let mut claims = json!({
            "iss": self.issuer, "sub": brought.user, "aud": CLIENT, "iat": now, "exp": now + 600, "nonce": brought.nonce,
        });
        let claims = claims.as_object_mut().unwrap();
        claims.extend(known.claims.as_object().unwrap().clone());
        claims.retain(|_, value| !value.is_null());
        let header = Header { kid: Some(known.key_id.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &known.key).unwrap()
    }

    /// The path and query that the provider sends a browser back to, after this user has signed in there. `location` is what the
    /// server sent the browser to.
    pub(crate) fn sign_in(&self, location: &str, user: &str) -> String {
        let url = Url::parse(location).unwrap();
        assert_eq!(format!("{}{}", url.origin().ascii_serialization(), url.path()), format!("{}/auth", self.issuer));
        let fields = decoded(url.query().unwrap());
        let redirect = format!("{PUBLIC}/session/callback");
        let expected = [
            ("client_id", CLIENT),
            ("code_challenge_method", "S256"),
            ("redirect_uri", redirect.as_str()),
            ("response_type", "code"),
            ("scope", "openid"),
            ("tenant", "7"),
        ];
        for (name, value) in expected {
            assert_eq!(fields[name], value, "{name}: {location}");
        }
        assert_eq!(fields.len(), expected.len() + 3, "{location}");
        let code = format!("code-{}", self.known.lock().unwrap().codes.len() + 1) + &fields["state"];
        let brought = Brought {
            redirect: fields["redirect_uri"].clone(),
            nonce: fields["nonce"].clone(),
            challenge: fields["code_challenge"].clone(),
            user: user.to_owned(),
        };
        self.known.lock().unwrap().codes.insert(code.clone(), brought);
        let issuer = encoded(&self.issuer);
        format!("/session/callback?code={}&state={}&iss={issuer}", encoded(&code), fields["state"])
    }
}

/// A browser with its cookies.
pub(crate) struct Browser {
    /// Not held to the API description: the way to the provider and back is not part of it.
    caller: Caller,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn of(sale: &Sale) -> Self {
        Self { caller: Caller::new(sale.instance.base()), cookies: BTreeMap::new() }
    }

    /// The `Cookie` header.
    pub(crate) fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The call with the cookies, as a page of the server makes it.
    pub(crate) fn with(&self, call: Call) -> Call {
        call.header("cookie", &self.cookie()).header("origin", PUBLIC)
    }

    /// Goes to a path as a visitor does, and keeps the cookies of the answer.
    pub(crate) async fn go(&mut self, path: &str) -> Reply {
        let reply = self.caller.get(path).header("cookie", &self.cookie()).send().await;
        self.keep(&reply);
        reply
    }

    /// Keeps the cookies of an answer, and drops those that it clears.
    pub(crate) fn keep(&mut self, reply: &Reply) {
        for set in reply.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Goes to the provider. Returns its address with the values of this sign-in.
    pub(crate) async fn begin(&mut self, page: &str) -> String {
        let reply = self.go(&format!("/session/login?return={}", encoded(page))).await;
        assert_eq!(reply.status.as_u16(), 303, "{reply:?}");
        reply.header("location").unwrap().to_owned()
    }

    /// Signs in as a user of the provider. Returns where the browser ends up.
    pub(crate) async fn sign_in(&mut self, provider: &Provider, user: &str) -> String {
        let location = self.begin("/#/account").await;
        let back = self.go(&provider.sign_in(&location, user)).await;
        assert_eq!(back.status.as_u16(), 303, "{back:?}");
        back.header("location").unwrap().to_owned()
    }
}
