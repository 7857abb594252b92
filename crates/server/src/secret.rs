//! Secrets in memory: no output shows them.

/// The shortest secret that is not weak, in bytes: the size of the hash that it keys (RFC 7518, section 3.2).
const STRONG_BYTES: usize = 32;

/// A value that no output shows: `Debug` prints `(secret)`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Wraps a value as it is.
    pub(crate) fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value itself, for the code that signs, compares or greets with it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether it is shorter than 32 bytes, so that an attacker may guess it.
    pub(crate) fn is_weak(&self) -> bool {
        self.0.len() < STRONG_BYTES
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}
