//! Who may act for whom, and what bearers are checked with.

use std::net::SocketAddr;

use super::{BadSetting, Secret, Sources};
use crate::auth::{JwksUrl, Key, public_keys};

/// Secrets in one setting: enough for a rotation. Each costs a hash for a bearer that is not valid.
const SECRETS_MAX: usize = 8;

/// The shortest of several secrets, in bytes: parts of one secret with a comma in it must not count as secrets.
const SEVERAL_SECRETS_MIN: usize = 32;

/// Who may act for whom.
#[derive(Clone, Debug)]
pub(crate) enum Auth {
    /// Anyone may act as any user.
    Open,
    /// The bearer acts for the user that it names.
    Jwt(Box<JwtSettings>),
}

impl Auth {
    /// Whether callers show who they are by a bearer.
    pub(crate) fn asks_for_bearers(&self) -> bool {
        matches!(self, Self::Jwt(_))
    }
}

/// What bearers are checked with. A bearer is good if any of the keys fits it.
#[derive(Clone, Debug)]
pub(crate) struct JwtSettings {
    /// Of HS256 signatures.
    pub(crate) secrets: Vec<Secret>,
    /// Of RS256 and ES256 signatures.
    pub(crate) public_keys: Vec<Key>,
    /// Where more of those are fetched.
    pub(crate) jwks: Option<JwksUrl>,
    /// The only `iss` that is trusted, if it matters.
    pub(crate) issuer: Option<String>,
    /// What `aud` must name, if it matters.
    pub(crate) audience: Option<String>,
}

/// Who may act for whom, with the keys that this takes.
pub(super) fn auth(sources: &Sources, listen: SocketAddr) -> Result<Auth, BadSetting> {
    let bad = |problem: String| Err(BadSetting { name: sources.name_of("auth"), problem });
    let jwks = sources.optional("jwks-url", JwksUrl::parse)?;
    let mode = sources.parse("auth", |text| Ok(text.to_owned()))?;
    match mode.as_str() {
        "open" if !listen.ip().is_loopback() => bad(format!(
            "is open, so anyone may act as any user, and {listen} is no loopback address: use ONSALE_AUTH=jwt, or \
             ONSALE_AUTH=open-anywhere if that is what you want"
        )),
        "open" | "open-anywhere" => Ok(Auth::Open),
        "jwt" => {
            let settings = JwtSettings {
                secrets: sources.optional("jwt-secret", secrets)?.unwrap_or_default(),
                public_keys: sources.optional("jwt-public-key", public_keys_or_files)?.unwrap_or_default(),
                jwks,
                issuer: sources.optional("jwt-issuer", |text| Ok(text.to_owned()))?,
                audience: sources.optional("jwt-audience", |text| Ok(text.to_owned()))?,
            };
            if settings.secrets.is_empty() && settings.public_keys.is_empty() && settings.jwks.is_none() {
                return bad(
                    "is jwt, which needs ONSALE_JWT_SECRET, ONSALE_JWT_PUBLIC_KEY or ONSALE_JWKS_URL".to_owned()
                );
            }
            Ok(Auth::Jwt(Box::new(settings)))
        }
        _ => bad(format!("is none of open, jwt, open-anywhere: {mode}")),
    }
}

/// One secret, or several with commas or line ends between them. They are several only if each has 32 bytes or more;
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
        return Err(format!("holds {} secrets; {SECRETS_MAX} at most", parts.len()));
    }
    Ok(parts.into_iter().map(Secret::new).collect())
}

/// Keys in PEM, in place or in files whose names have commas between them.
fn public_keys_or_files(text: &str) -> Result<Vec<Key>, String> {
    if text.contains("-----BEGIN") {
        return public_keys(text);
    }
    let mut keys = Vec::new();
    for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| format!("holds no PEM, and names a file that cannot be read: {error}"))?;
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
