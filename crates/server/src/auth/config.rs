//! What authentication is configured with. `settings` reads these types; this module does not know where from.

use super::{JwksUrl, Key};
use crate::secret::Secret;

/// Who may act as which user.
#[derive(Clone, Debug)]
pub(crate) enum Auth {
    /// Any client may act as any user.
    Open,
    /// A client acts as the user that its bearer names.
    Jwt(Box<JwtSettings>),
}

impl Auth {
    /// Returns whether calls for a user need a bearer.
    pub(crate) fn asks_for_bearers(&self) -> bool {
        matches!(self, Self::Jwt(_))
    }

    /// The provider that users sign in at, if the pages sign in.
    pub(crate) fn provider(&self) -> Option<&ProviderSettings> {
        match self {
            Self::Open => None,
            Self::Jwt(settings) => settings.provider.as_ref(),
        }
    }
}

/// What bearers are checked with. A bearer is good if any of the keys verifies it.
#[derive(Clone, Debug)]
pub(crate) struct JwtSettings {
    /// Secrets of HS256 signatures.
    pub(crate) secrets: Vec<Secret>,
    /// Public keys of RS256 and ES256 signatures.
    pub(crate) public_keys: Vec<Key>,
    /// The JWK Set with further public keys.
    pub(crate) jwks: Option<JwksUrl>,
    /// The required `iss`; `None` accepts every issuer.
    pub(crate) issuer: Option<String>,
    /// The required `aud`; `None` accepts every audience.
    pub(crate) audience: Option<String>,
    /// The provider that users of the pages sign in at.
    pub(crate) provider: Option<ProviderSettings>,
}

/// The OpenID provider that users of the pages sign in at.
#[derive(Clone, Debug)]
pub(crate) struct ProviderSettings {
    /// The issuer: a URL, `https` or of this machine. The provider's documents and ID tokens name exactly this text.
    pub(crate) issuer: String,
    /// The id under which the provider knows this server.
    pub(crate) client_id: String,
    /// The secret of that client; `None` for a public client, which proves itself by PKCE alone.
    pub(crate) client_secret: Option<Secret>,
}
