//! A query taken apart: each parameter at most once, none unknown.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onsale_app::store::Page;

use super::Errors;
use crate::http::App;
use crate::http::reply::problem::Problem;
use crate::http::values::Text;
use crate::settings::PublicUrl;

/// The rows of a page if the client sets no `limit`, and the largest `limit`.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// The most parameters of a query, repeated ones included. One more is refused with `invalid-request`.
const PARAMETERS_MAX: usize = 32;

/// The longest cursor, in bytes. Cursors of this server have at most 76.
const CURSOR_MAX: usize = 128;

/// The parameters of a query that are not taken yet, and what was wrong with those that are.
pub(crate) struct RawQuery {
    pairs: Vec<(String, String)>,
    errors: Errors,
    uri: Uri,
    /// What a path is appended to in links, if clients see this server elsewhere.
    base: Option<Arc<str>>,
    /// The most rows of a page.
    limit: usize,
}

impl FromRequestParts<App> for RawQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let base = app.web.public_url.as_ref().map(PublicUrl::shared);
        Ok(Self { base, ..Self::read(&parts.uri)? })
    }
}

impl RawQuery {
    /// Takes a query apart. Stops at the first parameter beyond [`PARAMETERS_MAX`].
    ///
    /// # Errors
    /// If there are too many parameters, or if one is no percent-encoded UTF-8.
    pub(super) fn read(uri: &Uri) -> Result<Self, Problem> {
        Self::collect(given(uri), uri)
    }

    /// As [`RawQuery::read`], of parameters that are found already.
    pub(super) fn collect<'a>(given: impl Iterator<Item = &'a str>, uri: &Uri) -> Result<Self, Problem> {
        let (pairs, errors) = (Vec::new(), Errors::default());
        let mut query = Self { pairs, errors, uri: uri.clone(), base: None, limit: LIMIT_DEFAULT };
        for (index, pair) in given.enumerate() {
            if index == PARAMETERS_MAX {
                let message = format!("must have at most {PARAMETERS_MAX} parameters");
                return Err(Problem::invalid_field("query", message));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(Problem::invalid_field(name, "must be percent-encoded UTF-8"));
            };
            if query.pairs.iter().any(|(known, _)| *known == name) {
                query.errors.push(&name, "is there twice");
            } else {
                query.pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(query)
    }

    /// Takes a parameter that may be absent. One that is wrong is noted and gives `None`.
    pub(crate) fn optional<T: Text>(&mut self, name: &str) -> Option<T> {
        self.take(name, T::WHAT, T::parse)
    }

    /// Takes a parameter that must be there. One that is missing or wrong is noted and gives `None`.
    pub(crate) fn required<T: Text>(&mut self, name: &str) -> Option<T> {
        if !self.pairs.iter().any(|(known, _)| known == name) {
            self.errors.push(name, "is required");
        }
        self.optional(name)
    }

    fn take<T>(&mut self, name: &str, what: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let index = self.pairs.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.pairs.swap_remove(index);
        let parsed = parse(&value);
        if parsed.is_none() {
            self.errors.push(name, format!("must be {what}"));
        }
        parsed
    }

    /// Takes `limit` and `cursor`. Returns the rows to read: one more than the page has, which shows whether the list
    /// goes on.
    pub(super) fn rows<C>(&mut self, parse: impl FnOnce(&str) -> Option<C>) -> Page<C> {
        self.limit = self.take("limit", "1 to 200", limit).unwrap_or(LIMIT_DEFAULT);
        let after = self.take("cursor", "the cursor of a Link", |text| {
            let bytes = URL_SAFE_NO_PAD.decode(Some(text).filter(|text| text.len() <= CURSOR_MAX)?).ok()?;
            parse(std::str::from_utf8(&bytes).ok()?)
        });
        Page { after, limit: self.limit + 1 }
    }

    /// The most rows of the page: `limit`, or 50 if the client did not set it.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Ends the reading: a parameter that was not taken is unknown.
    ///
    /// # Errors
    /// `invalid-request` with all errors that were noted.
    pub(super) fn finish<T>(&mut self, read: Option<T>) -> Result<T, Problem> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.errors.push(&name, "is unknown");
        }
        let errors = std::mem::take(&mut self.errors);
        match read {
            Some(read) if errors.is_empty() => Ok(read),
            _ => Err(Problem::invalid(errors)),
        }
    }

    /// The query as the client sent it, without parameters that have neither a name nor a value.
    pub(crate) fn raw(&self) -> Cow<'_, str> {
        let raw = self.uri.query().unwrap_or("");
        let is_plain = raw.is_empty() || !raw.split('&').any(str::is_empty);
        if is_plain { raw.into() } else { given(&self.uri).collect::<Vec<_>>().join("&").into() }
    }

    /// The `Link` to the page after the row that this cursor names: the same query with another cursor.
    pub(crate) fn next_link(&self, cursor: &str) -> String {
        let others = given(&self.uri).filter(|pair| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            !name.is_empty() && decode(name).as_deref() != Some("cursor")
        });
        let mut query: Vec<Cow<'_, str>> = others.map(Cow::Borrowed).collect();
        query.push(format!("cursor={}", URL_SAFE_NO_PAD.encode(cursor)).into());
        let base = self.base.as_deref().unwrap_or_default();
        format!("<{base}{}?{}>; rel=\"next\"", self.uri.path(), query.join("&"))
    }
}

/// The parameters of a query as the client sent them, without those that have neither a name nor a value.
fn given(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty())
}

/// A limit in its shortest form, because the cache finds an answer by its query: `050` would be a second entry.
fn limit(text: &str) -> Option<usize> {
    let is_short = text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let limit = Some(text).filter(|_| is_short)?.parse().ok()?;
    (1..=LIMIT_MAX).contains(&limit).then_some(limit)
}

/// Percent-decoding, with `+` for a space; `None` if the result is not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}
