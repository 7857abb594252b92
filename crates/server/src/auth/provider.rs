//! The OpenID provider that users sign in at (OpenID Connect Core 1.0, authorization code flow with PKCE).
//!
//! By hand, because `openidconnect` brings a second check of JWTs with its own kinds of keys, and reads the provider's keys once.
//! Here ID tokens are checked by the code that checks bearers, with the same refreshed key sets. What is left of the flow is one
//! URL and one request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use onsale_domain::ids::UserId;
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::config::{JwtSettings, ProviderSettings};
use super::fetch::{self, Fetched};
use super::jwks::JwksUrl;
use super::refused::Refused;
use super::verify::Signatures;

/// How long the provider's description and keys are used without another fetch.
const FRESH_FOR: Duration = Duration::from_secs(600);

/// The path of the provider's description (OpenID Connect Discovery 1.0, section 4).
const DESCRIPTION: &str = "/.well-known/openid-configuration";

/// Why a sign-in failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// What the browser brought back is no answer to a sign-in that this server began in it. The text is for the log.
    Invalid(&'static str),
    /// The user or the provider refused.
    Refused,
    /// The provider did not answer, or not as a provider does. The text is for the log.
    Unavailable(String),
}

impl Failed {
    /// The word for pages and metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Refused => "refused",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// The random values of one sign-in.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// Ties the answer to the browser that began the sign-in.
    pub(super) state: String,
    /// Ties the ID token to the sign-in.
    pub(super) nonce: String,
    /// Ties the code to this server (RFC 7636).
    pub(super) verifier: String,
}

/// The provider's description, as far as it is used here.
#[derive(Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The provider as it described itself.
struct Known {
    authorization: Url,
    token: Url,
    /// Whether the secret goes into the body and not into a header.
    is_secret_in_body: bool,
    /// Whether each answer to a sign-in names the issuer (RFC 9207).
    names_issuer: bool,
    signatures: Signatures,
    at: Instant,
}

/// The answer of the token endpoint.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// The refusal of the token endpoint.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Signs users in at one provider.
pub(super) struct Provider {
    settings: ProviderSettings,
    /// The address to which the provider sends the browser back.
    redirect: String,
    client: Client,
    /// Held only to clone or replace the `Arc`, never across a fetch.
    known: Mutex<Option<Arc<Known>>>,
    /// Held during a fetch of the description, so that sign-ins that come meanwhile share it.
    fetching: tokio::sync::Mutex<()>,
}

impl Provider {
    /// Prepares sign-ins. Sends nothing: the provider may be away when the server starts.
    ///
    /// # Errors
    /// The reason, if the HTTP client cannot be created.
    pub(super) fn new(settings: ProviderSettings, redirect: String) -> Result<Self, String> {
        let (client, known, fetching) = (fetch::client()?, Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { settings, redirect, client, known, fetching })
    }

    fn fresh(&self) -> Option<Arc<Known>> {
        self.known.lock().clone().filter(|known| known.at.elapsed() < FRESH_FOR)
    }

    /// The provider's description, at most ten minutes old. If it cannot be fetched, an older one is used.
    async fn known(&self) -> Result<Arc<Known>, Failed> {
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        let _one = self.fetching.lock().await;
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        match self.describe().await {
            Ok(known) => {
                let known = Arc::new(known);
                *self.known.lock() = Some(known.clone());
                Ok(known)
            }
            Err(error) => match self.known.lock().clone() {
                Some(earlier) => {
                    tracing::warn!(error, "failed to fetch the description of the provider; using the earlier one");
                    Ok(earlier)
                }
                None => Err(Failed::Unavailable(error)),
            },
        }
    }

    /// Fetches the provider's description and its keys.
    ///
    /// # Errors
    /// The reason, for the log.
    async fn describe(&self) -> Result<Known, String> {
        let issuer = &self.settings.issuer;
        let url = format!("{}{DESCRIPTION}", issuer.trim_end_matches('/'));
        let bytes = fetch::get(&self.client, endpoint(&url)?).await?;
        let description: Description = serde_json::from_slice(&bytes).map_err(|_| "the answer is no description")?;
        // Otherwise one provider could speak for the users of another (section 4.3).
        if description.issuer != *issuer {
            return Err(format!("the description is of the issuer {}, not of ONSALE_OIDC_ISSUER", description.issuer));
        }
        let jwks = JwksUrl::parse(&description.jwks_uri).map_err(|problem| format!("jwks_uri {problem}"))?;
        let signatures = Signatures::new(&JwtSettings {
            secrets: Vec::new(),
            public_keys: Vec::new(),
            jwks: Some(jwks),
            issuer: Some(issuer.clone()),
            audience: Some(self.settings.client_id.clone()),
            provider: None,
        })?;
        if let Some(keys) = signatures.key_set() {
            keys.fetch().await;
        }
        // Without a list the method is `client_secret_basic`.
        let methods = description.token_endpoint_auth_methods_supported.unwrap_or_default();
        let offers = |method: &str| methods.iter().any(|known| known == method);
        Ok(Known {
            authorization: endpoint(&description.authorization_endpoint)?,
            token: endpoint(&description.token_endpoint)?,
            is_secret_in_body: !offers("client_secret_basic") && offers("client_secret_post"),
            names_issuer: description.authorization_response_iss_parameter_supported,
            signatures,
            at: Instant::now(),
        })
    }

    /// The address at which the browser signs in.
    ///
    /// # Errors
    /// [`Failed::Unavailable`] if the provider never described itself.
    pub(super) async fn sign_in_url(&self, values: &Values) -> Result<Url, Failed> {
        let known = self.known().await?;
        let mut url = known.authorization.clone();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.redirect),
            ("scope", "openid"),
            ("state", &values.state),
            ("nonce", &values.nonce),
            ("code_challenge", &challenge(&values.verifier)),
            ("code_challenge_method", "S256"),
        ]);
        Ok(url)
    }

    /// Exchanges a code for the user who signed in. `issuer` is the parameter `iss` of the provider's answer.
    ///
    /// # Errors
    /// Why there is no user.
    pub(super) async fn user_of(&self, code: &str, issuer: Option<&str>, values: &Values) -> Result<UserId, Failed> {
        let known = self.known().await?;
        let is_of_provider = issuer.map_or(!known.names_issuer, |issuer| issuer == self.settings.issuer);
        if !is_of_provider {
            return Err(Failed::Invalid("the answer is of another issuer"));
        }
        let token = self.exchange(&known, code, &values.verifier).await?;
        let mut claims = known.signatures.claims(&token);
        if let (Err(Refused::UnknownKey | Refused::KeysUnavailable), Some(keys)) = (&claims, known.signatures.key_set())
        {
            // The token comes from the provider itself, so no client can cause a fetch with an invented key id.
            keys.fetch().await;
            claims = known.signatures.claims(&token);
        }
        let claims = claims.map_err(|refused| match refused {
            Refused::KeysUnavailable => Failed::Unavailable(refused.as_str().to_owned()),
            _ => Failed::Invalid(refused.as_str()),
        })?;
        if claims.nonce.as_ref().and_then(serde_json::Value::as_str) != Some(&values.nonce) {
            return Err(Failed::Invalid("the ID token is of another sign-in"));
        }
        // A token for several audiences names the one that it was made for (section 3.1.3.7).
        let is_ours = claims.azp.as_ref().is_none_or(|azp| azp.as_str() == Some(&self.settings.client_id));
        if !is_ours {
            return Err(Failed::Invalid("the ID token is for another client"));
        }
        claims.user().map_err(|refused| Failed::Invalid(refused.as_str()))
    }

    /// Sends a code to the token endpoint. Returns the ID token.
    async fn exchange(&self, known: &Known, code: &str, verifier: &str) -> Result<String, Failed> {
        let ProviderSettings { client_id, client_secret, .. } = &self.settings;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect),
            ("code_verifier", verifier),
        ];
        let mut request = self.client.post(known.token.clone()).header(ACCEPT, "application/json");
        match client_secret {
            Some(secret) if !known.is_secret_in_body => {
                // Both parts are encoded as in a form before they are joined (RFC 6749, section 2.3.1).
                let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
                request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
            }
            Some(secret) => fields.extend([("client_id", client_id.as_str()), ("client_secret", secret.expose())]),
            None => fields.push(("client_id", client_id)),
        }
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form(&fields));
        let Fetched { status, bytes } = fetch::send(request).await.map_err(Failed::Unavailable)?;
        if status.is_success() {
            let tokens: Tokens = serde_json::from_slice(&bytes)
                .map_err(|_| Failed::Unavailable("the answer to a code has no id_token".to_owned()))?;
            return Ok(tokens.id_token);
        }
        let refusal = serde_json::from_slice::<Refusal>(&bytes).map(|refusal| refusal.error).unwrap_or_default();
        match (status, refusal.as_str()) {
            // The code is invented, too old, used before, or of another client.
            (StatusCode::BAD_REQUEST, "invalid_grant") => Err(Failed::Invalid("the provider does not know the code")),
            _ => Err(Failed::Unavailable(format!("the token endpoint answered with {status} {refusal}"))),
        }
    }
}

/// The challenge of a verifier: its SHA-256 (RFC 7636, section 4.2).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// Parses a URL of the provider.
fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(fetch::is_safe);
    url.ok_or_else(|| format!("the provider's URL is neither https nor of this machine: {text}"))
}

/// Fields as `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> String {
    // The query of any URL has this encoding.
    let Ok(url) = Url::parse_with_params("http://localhost/", fields) else { return String::new() };
    url.query().unwrap_or_default().to_owned()
}

/// A text as it stands in a form.
fn encoded(text: &str) -> String {
    form(&[("", text)]).get(1..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn fields_are_encoded_as_in_a_form() {
        assert_eq!(form(&[("a", "b c"), ("d&", "=é")]), "a=b+c&d%26=%3D%C3%A9");
        for (text, expected) in [("", ""), ("abc-._*", "abc-._*"), ("a:b", "a%3Ab"), ("a b", "a+b"), ("~", "%7E")] {
            assert_eq!(encoded(text), expected, "{text}");
        }
    }

    #[test]
    fn urls_of_the_provider_are_https_or_of_this_machine() {
        for good in ["https://id.example/a?b=c", "http://127.0.0.1:1/a", "http://localhost/a"] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in ["http://id.example/a", "javascript:alert(1)", "file:///etc/passwd", "/a", ""] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
