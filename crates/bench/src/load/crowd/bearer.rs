//! Bearers: JWTs that this program signs, as the organiser's own login would.

/// The secret of all servers that this suite starts.
pub(crate) const SECRET: &str = "a-secret-of-32-bytes-or-more-for-load-tests-only";

/// Lifetime of a bearer, in seconds: longer than every run.
const LIFETIME_SECONDS: i64 = 86_400;

/// A bearer of this user (HS256).
pub(crate) fn bearer(user: &str) -> String {
    onsale_testing::bearer(SECRET, user, LIFETIME_SECONDS)
}
