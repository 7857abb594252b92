//! Parameters in the query: each at most once, none unknown.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onsale_app::store::Page;

use crate::http::App;
use crate::http::problem::{FieldError, Problem};

/// How many rows a page has unless the caller says otherwise, and at most.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// The parameters of a query that are not taken yet, and what was wrong with those that are.
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
    uri: Uri,
}

impl FromRequestParts<App> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut query = Self { pairs: Vec::new(), errors: Vec::new(), uri: parts.uri.clone() };
        for pair in parts.uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(Problem::invalid_field(name.to_owned(), "must be percent-encoded UTF-8"));
            };
            if query.pairs.iter().any(|(known, _)| *known == name) {
                query.wrong(&name, "is there twice");
            } else {
                query.pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(query)
    }
}

impl Query {
    /// Takes a parameter that may be absent.
    pub(crate) fn optional<T>(&mut self, name: &str, what: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let index = self.pairs.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.pairs.swap_remove(index);
        let parsed = parse(&value);
        if parsed.is_none() {
            self.wrong(name, &format!("must be {what}"));
        }
        parsed
    }

    /// Takes a parameter that must be there.
    pub(crate) fn required<T>(&mut self, name: &str, what: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if !self.pairs.iter().any(|(known, _)| known == name) {
            self.wrong(name, "is required");
        }
        self.optional(name, what, parse)
    }

    /// Takes `limit` and `cursor`.
    pub(crate) fn page<C>(&mut self, parse: impl FnOnce(&str) -> Option<C>) -> Page<C> {
        let sound = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        let limit = self.optional("limit", "1 to 200", sound).unwrap_or(LIMIT_DEFAULT);
        let after = self.optional("cursor", "the cursor of a Link", |text| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            parse(std::str::from_utf8(&bytes).ok()?)
        });
        Page { after, limit }
    }

    /// Every parameter is taken, and what is left is unknown. Builds what the parameters are for.
    ///
    /// # Errors
    /// All that was wrong.
    pub(crate) fn done<T>(&mut self, build: impl FnOnce() -> Option<T>) -> Result<T, Problem> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.wrong(&name, "is unknown");
        }
        let errors = std::mem::take(&mut self.errors);
        match build() {
            Some(built) if errors.is_empty() => Ok(built),
            _ => Err(Problem::invalid(errors)),
        }
    }

    /// As it came.
    pub(crate) fn raw(&self) -> &str {
        self.uri.query().unwrap_or("")
    }

    /// The `Link` to the page after the row that this cursor names: the same query with another cursor.
    pub(crate) fn next_link(&self, cursor: &str) -> String {
        let others = self.uri.query().unwrap_or("").split('&').filter(|pair| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            !name.is_empty() && decode(name).as_deref() != Some("cursor")
        });
        let mut query: Vec<Cow<'_, str>> = others.map(Cow::Borrowed).collect();
        query.push(format!("cursor={}", URL_SAFE_NO_PAD.encode(cursor)).into());
        format!("<{}?{}>; rel=\"next\"", self.uri.path(), query.join("&"))
    }

    fn wrong(&mut self, field: &str, message: &str) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.to_owned() });
    }
}

/// Percent-decoding, with `+` for a space; `None` where it makes no UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}
