//! The settings of authentication and limits.

use super::{Setting, setting};

pub(super) const AUTHENTICATION: &[Setting] = &[
    setting(
        "auth",
        "open|jwt|open-anywhere",
        Some("open"),
        "Who may act as which user. open: any client as any user, on loopback addresses only. jwt: a bearer as the user \
         in its sub claim. open-anywhere: as open, on every address",
    ),
    setting(
        "jwt-secret",
        "SECRET,..",
        None,
        "With auth=jwt: secret of HS256 signatures; shorter than 32 bytes logs a warning. For a rotation, up to 8 secrets \
         of at least 32 bytes each, separated by commas",
    ),
    setting(
        "jwt-secret-previous",
        "SECRET,..",
        None,
        "With auth=jwt: former or next jwt-secret, in the same form. Bearers that it signed are valid",
    ),
    setting(
        "jwt-public-key",
        "PEM|FILE,..",
        None,
        "With auth=jwt: public keys of RS256 (RSA, 2048 to 4096 bits) or ES256 (P-256) signatures, up to 8. Several PEM \
         blocks in one text or file count as several keys",
    ),
    setting(
        "jwks-url",
        "URL",
        None,
        "With auth=jwt: JWK Set with public keys, https or on this machine http. Fetched at start, every 10 minutes, and \
         for an unknown key id at most once a minute. If that fails, the last set is valid for 24 hours",
    ),
    setting("jwt-issuer", "TEXT", None, "With auth=jwt: required issuer (iss claim). Without it, iss is not checked"),
    setting(
        "jwt-audience",
        "TEXT",
        None,
        "With auth=jwt: required audience (aud claim). Without it, aud is not checked",
    ),
    setting(
        "oidc-issuer",
        "URL",
        None,
        "With auth=jwt: OpenID provider at which users of the pages sign in, https or on this machine http. Needs \
         oidc-client-id and public-url. If jwt-issuer is set, both must be equal",
    ),
    setting("oidc-client-id", "TEXT", None, "With oidc-issuer: id of the client that the provider has for this server"),
    setting(
        "oidc-client-secret",
        "SECRET",
        None,
        "With oidc-issuer: secret of that client. Without it, the client is public and proves itself by PKCE alone",
    ),
    setting(
        "charge",
        "self|staff",
        Some("self"),
        "Who may charge wallets. self: each user their own. staff: a key of staff with the role owner or cashier, and no \
         other client",
    ),
    setting(
        "admin-key",
        "SECRET",
        None,
        "Bearer of the admin calls, at least 5 visible ASCII characters; fewer than 16 log a warning. Without it, admin \
         calls answer 404; serve --demo prints a fresh key",
    ),
    setting(
        "admin-key-previous",
        "SECRET",
        None,
        "Former or next admin-key, in the same form. It opens the same calls. For a change of the key on several instances",
    ),
];

pub(super) const LIMITS: &[Setting] = &[
    setting(
        "trusted-proxies",
        "ADDR,..",
        None,
        "Addresses and networks of proxies whose client-address-header is believed, such as 10.0.0.0/8. Without it, the \
         client is the peer of the connection",
    ),
    setting(
        "client-address-header",
        "NAME",
        Some("X-Forwarded-For"),
        "Header in which trusted proxies name the client: X-Forwarded-For, Forwarded, or another header with one address",
    ),
    setting(
        "rate-limit-per-second",
        "N",
        Some("2000"),
        "Requests per second of one client address, after a burst of twice as many, 0 to 1000000. More get 429. 0: no limit",
    ),
    setting(
        "rate-limit-per-user-per-second",
        "N",
        None,
        "With auth=jwt: requests per second of one user, which replaces the limit by address, 0 to 1000000. More get 429. \
         0: no limit. Without it, 200 or rate-limit-per-second, if that is lower",
    ),
    setting(
        "entries-per-minute",
        "N",
        Some("3000"),
        "Entries into waiting rooms per minute of one client address, after a burst of twice as many, 0 to 1000000. More \
         get 429. 0: no limit",
    ),
    setting(
        "entries-per-user-per-minute",
        "N",
        Some("120"),
        "With auth=jwt: entries into waiting rooms per minute of one user, after a burst of twice as many, 0 to 1000000. \
         More get 429. 0: no limit",
    ),
    setting(
        "rate-limit-loopback",
        "true|false",
        Some("false"),
        "Apply the limits by address to loopback addresses too",
    ),
    setting(
        "idempotency-keys-per-user",
        "N",
        Some("20000"),
        "Idempotency keys of one user within 24 hours, 0 to 10000000. A request under a further key gets 429. 0: no limit",
    ),
    setting(
        "connections-max",
        "N",
        Some("20000"),
        "Open connections, 1 to 1000000. Beyond that, a new connection replaces an idle one; if none is idle, it gets 503",
    ),
    setting(
        "connections-per-address",
        "N",
        None,
        "Open connections of one client address, 1 to 1000000; loopback and trusted proxies have no such limit. Beyond \
         that, a new connection replaces an idle one of its address or gets 429. Without it, half of connections-max",
    ),
];
