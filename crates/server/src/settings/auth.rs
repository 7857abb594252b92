//! Reads `auth` and the keys that it needs.

use std::net::SocketAddr;

use super::web::PublicUrl;
use super::{BadSetting, Sources};
use crate::auth::{Auth, JwksUrl, JwtSettings, Key, ProviderSettings, public_keys};
use crate::secret::Secret;

/// The most secrets in one setting: enough for a rotation. A bearer that none of them signed costs a hash for each.
const SECRETS_MAX: usize = 8;

/// The shortest of several secrets, in bytes. Shorter parts mean that the commas belong to a single secret.
const SEVERAL_SECRETS_MIN: usize = 32;

/// Reads who may act as which user, with the keys for it.
///
/// # Errors
/// The setting that cannot be used: `auth` if it needs keys and has none, or if it is `open` beyond loopback addresses.
pub(super) fn auth(sources: &Sources, listen: SocketAddr) -> Result<Auth, BadSetting> {
    let bad = |problem: String| Err(BadSetting { name: sources.name_of("auth"), problem });
    let jwks = sources.optional("jwks-url", JwksUrl::parse)?;
    let provider_url = sources.optional("oidc-issuer", issuer)?;
    let mode = sources.parse("auth", |text| Ok(text.to_owned()))?;
    match mode.as_str() {
        "open" if !listen.ip().is_loopback() => bad(format!(
            "is open, so any client may act as any user, and {listen} is not a loopback address: set ONSALE_AUTH=jwt, or \
             ONSALE_AUTH=open-anywhere if you want that"
        )),
        "open" | "open-anywhere" => Ok(Auth::Open),
        "jwt" => {
            let previous = sources.optional("jwt-secret-previous", secrets)?.unwrap_or_default();
            let present = sources.optional("jwt-secret", secrets)?.unwrap_or_default();
            let issuer = sources.optional("jwt-issuer", |text| Ok(text.to_owned()))?;
            let settings = JwtSettings {
                // Bearers are signed elsewhere. Here the previous secrets are as good as the present ones.
                secrets: present.into_iter().chain(previous).collect(),
                public_keys: sources.optional("jwt-public-key", public_keys_or_files)?.unwrap_or_default(),
                jwks,
                provider: provider(sources, provider_url, issuer.as_deref())?,
                issuer,
                audience: sources.optional("jwt-audience", |text| Ok(text.to_owned()))?,
            };
            let has_keys = !settings.secrets.is_empty() || !settings.public_keys.is_empty() || settings.jwks.is_some();
            if !has_keys && settings.provider.is_none() {
                return bad(
                    "is jwt and has no keys: set ONSALE_JWT_SECRET, ONSALE_JWT_PUBLIC_KEY, ONSALE_JWKS_URL or \
                     ONSALE_OIDC_ISSUER"
                        .to_owned(),
                );
            }
            Ok(Auth::Jwt(Box::new(settings)))
        }
        _ => bad(format!("is not open, jwt or open-anywhere: {mode}")),
    }
}

/// Reads the provider that users of the pages sign in at; `None` if there is no issuer. `jwt_issuer` is the required issuer of
/// bearers.
///
/// # Errors
/// The setting that cannot be used, or that is missing next to the others.
fn provider(
    sources: &Sources,
    issuer: Option<String>,
    jwt_issuer: Option<&str>,
) -> Result<Option<ProviderSettings>, BadSetting> {
    let bad =
        |name: &'static str, problem: &str| BadSetting { name: sources.name_of(name), problem: problem.to_owned() };
    let text = |text: &str| Ok(text.to_owned());
    let client_id = sources.optional("oidc-client-id", text)?;
    let client_secret = sources.optional("oidc-client-secret", |text| Ok(Secret::new(text)))?;
    let Some(issuer) = issuer else {
        let alone = [("oidc-client-id", client_id.is_some()), ("oidc-client-secret", client_secret.is_some())];
        let alone = alone.into_iter().find(|(_, is_set)| *is_set);
        return alone.map_or(Ok(None), |(name, _)| Err(bad(name, "is set without ONSALE_OIDC_ISSUER")));
    };
    // Otherwise a bearer and a sign-in of one person could name two users.
    if jwt_issuer.is_some_and(|jwt_issuer| jwt_issuer != issuer) {
        return Err(bad(
            "oidc-issuer",
            "is not ONSALE_JWT_ISSUER: users would have one id by bearer and another by sign-in",
        ));
    }
    let client_id = client_id.ok_or_else(|| bad("oidc-issuer", "needs ONSALE_OIDC_CLIENT_ID"))?;
    let Some(public_url) = sources.optional("public-url", PublicUrl::parse)? else {
        return Err(bad("oidc-issuer", "needs ONSALE_PUBLIC_URL, which the provider sends browsers back to"));
    };
    if !public_url.keeps_cookies() {
        return Err(bad("public-url", "is http to another machine, so browsers keep no session: use https"));
    }
    Ok(Some(ProviderSettings { issuer, client_id, client_secret }))
}

/// Reads the URL of an issuer. It stays as it was written, because the provider's documents name exactly this text.
fn issuer(text: &str) -> Result<String, String> {
    let is_plain = !text.contains(['?', '#']) && text.trim() == text;
    JwksUrl::parse(text)
        .ok()
        .filter(|_| is_plain)
        .map(|_| text.to_owned())
        .ok_or_else(|| "is not the URL of an issuer, https or of this machine, such as https://id.example".to_owned())
}

/// Reads one secret, or several separated by commas or line ends. They are several only if each has 32 bytes or more;
/// otherwise the whole text is one secret.
fn secrets(text: &str) -> Result<Vec<Secret>, String> {
    let text = text.trim_matches(['\n', '\r']);
    let lines = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty());
    let parts: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    if parts.iter().all(|part| part.is_empty()) {
        return Err("holds no secret".to_owned());
    }
    if parts.len() < 2 || parts.iter().any(|part| part.len() < SEVERAL_SECRETS_MIN) {
        return Ok(vec![Secret::new(text)]);
    }
    if parts.len() > SECRETS_MAX {
        return Err(format!("holds {} secrets, more than {SECRETS_MAX}", parts.len()));
    }
    Ok(parts.into_iter().map(Secret::new).collect())
}

/// Reads keys in PEM: the text itself, or files whose names are separated by commas.
fn public_keys_or_files(text: &str) -> Result<Vec<Key>, String> {
    if text.contains("-----BEGIN") {
        return public_keys(text);
    }
    let mut keys = Vec::new();
    for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| format!("is not PEM and names a file that cannot be read: {error}"))?;
        keys.extend(public_keys(&pem)?);
    }
    if keys.is_empty() { Err("holds no key".to_owned()) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::secrets;

    fn read(text: &str) -> Vec<String> {
        secrets(text).unwrap().iter().map(|secret| secret.expose().to_owned()).collect()
    }

    #[test]
    fn a_text_is_several_secrets_only_if_each_is_long_enough() {
        let (one, two) = ("a-first-secret-of-32-bytes-or-more", "a-second-secret-of-32-bytes-or-more");
        for several in [format!("{one},{two}"), format!(" {one} , {two} "), format!("{one}\r\n{two}")] {
            assert_eq!(read(&several), [one, two], "{several:?}");
        }
        for single in [
            one.to_owned(),
            "p4ssw0rd,and-a-long-rest-of-more-than-32-bytes".to_owned(),
            format!("{one},"),
            format!(",{one}"),
            format!("{one},short"),
            format!("{one}\nshort"),
            format!("{one},,{two}"),
        ] {
            assert_eq!(read(&single), [single.as_str()]);
        }
        assert!(secrets(", ,").is_err(), "none");
        assert!(secrets(&[one; 9].join(",")).is_err(), "too many");
    }
}
