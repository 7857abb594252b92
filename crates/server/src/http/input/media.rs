//! Which media type of an answer a client wants, by `Accept`.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Version};

use super::weights::weighted;
use crate::http::App;
use crate::http::export::CSV;
use crate::http::openapi::{Input, Operation};

/// Whether a client names this media type, and does not name JSON with the same or a higher weight.
pub(crate) fn prefers(headers: &HeaderMap, media_type: &str) -> bool {
    let mut weights = (0.0, 0.0);
    for element in weighted(headers, ACCEPT) {
        if element.is(media_type) {
            weights.0 = element.weight;
        } else if element.is("application/json") {
            weights.1 = element.weight;
        }
    }
    weights.0 > weights.1
}

/// How a client wants a list.
pub(crate) struct ListForm {
    /// As CSV, and not as JSON.
    pub(crate) is_csv: bool,
    /// A HEAD request: no body is sent.
    pub(crate) is_head: bool,
    pub(crate) version: Version,
}

impl FromRequestParts<App> for ListForm {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        let is_csv = prefers(&parts.headers, CSV);
        Ok(Self { is_csv, is_head: parts.method == Method::HEAD, version: parts.version })
    }
}

impl Input for ListForm {
    fn describe(_: &mut Operation) {}
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn csv_is_sent_to_clients_that_name_it() {
        for (accept, expected) in [
            (&[][..], false),
            (&["*/*"], false),
            (&["application/json"], false),
            (&["text/*"], false),
            (&["text/csv"], true),
            (&["Text/CSV"], true),
            (&["text/csv;header=present"], true),
            (&["text/csv, */*"], true),
            (&["text/csv;q=0.5"], true),
            (&["text/csv;q=0"], false),
            (&["text/csv, application/json"], false),
            (&["application/json;q=0.9, text/csv"], true),
            (&["application/json", "text/csv;q=0.9"], false),
            (&["application/json;q=0.1", "text/csv;q=0.9"], true),
        ] {
            let headers: HeaderMap =
                accept.iter().map(|value| (ACCEPT, HeaderValue::from_str(value).unwrap())).collect();
            assert_eq!(prefers(&headers, CSV), expected, "{accept:?}");
        }
    }
}
