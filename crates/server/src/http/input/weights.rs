//! Headers that list what a client takes, each element with a weight (RFC 9110, section 12.4.2).

use axum::http::{HeaderMap, HeaderName};

/// An element of `Accept` or `Accept-Encoding`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weighted<'a> {
    /// As it was written.
    pub(crate) name: &'a str,
    parameters: &'a str,
    /// 0 for "not at all" to 1; 0 too if it cannot be read.
    pub(crate) weight: f32,
}

impl<'a> Weighted<'a> {
    fn read(element: &'a str) -> Option<Self> {
        let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
        let name = name.trim();
        let mut read = Self { name, parameters, weight: 1.0 };
        if let Some(weight) = read.parameter("q") {
            read.weight = weight.parse().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0);
        }
        (!name.is_empty()).then_some(read)
    }

    /// A parameter's value, without quotes.
    pub(crate) fn parameter(&self, name: &str) -> Option<&'a str> {
        let named = |pair: &'a str| {
            let (known, value) = pair.split_once('=')?;
            known.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
        };
        self.parameters.split(';').find_map(named)
    }

    /// Whether this is its name, in whatever case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// All elements, in order.
pub(crate) fn weighted(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Weighted<'_>> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(Weighted::read)
}
