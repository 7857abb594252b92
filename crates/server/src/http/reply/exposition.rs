//! Metrics as text, in the format that the scraper prefers: that of Prometheus (0.0.4), or OpenMetrics.

use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::http::input::weights::weighted;
use crate::http::reply::problem::{Code, Problem};

/// The media type of OpenMetrics.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text";

const OPEN_METRICS_TEXT: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// All metrics of a registry, in the format that a request takes.
pub(crate) fn show_metrics(request: &HeaderMap, registry: &Registry) -> Response {
    let mut text = String::new();
    if encode(&mut text, registry).is_err() {
        return Problem::new(Code::Internal).into_response();
    }
    let (text, media_type) = match wants_open_metrics(request) {
        true => (text, OPEN_METRICS_TEXT),
        false => (prometheus_text(&text), PROMETHEUS_TEXT),
    };
    let mut response = text.into_response();
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// Whether `Accept` names OpenMetrics, and prefers it to plain text. What names neither gets plain text.
fn wants_open_metrics(request: &HeaderMap) -> bool {
    let (mut open, mut plain) = (0.0, 0.0);
    for element in weighted(request, ACCEPT) {
        if element.is(OPEN_METRICS) {
            // Among equals the first wins.
            let is_known = element.parameter("version").is_none_or(|version| version == "1.0.0");
            if is_known && element.weight > f32::max(open, plain) {
                open = element.weight;
            }
        } else if element.is("text/plain") {
            plain = f32::max(plain, element.weight);
        }
    }
    // A wildcard names no format.
    let any = weighted(request, ACCEPT).filter(|element| element.is("*/*") || element.is("text/*"));
    open > 0.0 && open >= plain && any.map(|element| element.weight).all(|weight| open >= weight)
}

/// OpenMetrics text as Prometheus' own format has it: a counter's family is named as its samples are, with `_total`; there
/// are no units, no exemplars and no end mark; types that only OpenMetrics has become the nearest that there is.
fn prometheus_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            // The line with the type follows. It has the name of the family.
            (Some("#"), Some("HELP"), Some(family), about) => help = Some((family, about.unwrap_or_default())),
            (Some("#"), Some("TYPE"), Some(family), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "stateset" => ("", "gauge"),
                    "unknown" | "gaugehistogram" => ("", "untyped"),
                    kind => ("", kind),
                };
                if let Some((_, about)) = help.take().filter(|(described, _)| *described == family) {
                    let about = about.replace("\\\"", "\"");
                    text.push_str(&format!("# HELP {family}{suffix} {about}\n"));
                }
                text.push_str(&format!("# TYPE {family}{suffix} {kind}\n"));
            }
            (Some("#"), ..) => {}
            _ => {
                text.push_str(without_exemplar(line));
                text.push('\n');
            }
        }
    }
    text
}

/// A sample without what OpenMetrics may add behind its value.
fn without_exemplar(sample: &str) -> &str {
    let labels_end = sample.find(['{', ' ']).filter(|at| sample[*at..].starts_with('{')).and_then(|at| {
        let (mut in_quotes, mut escaped) = (false, false);
        sample[at..].char_indices().find_map(|(index, character)| {
            let ends = character == '}' && !in_quotes;
            in_quotes ^= character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends.then_some(at + index)
        })
    });
    let from = labels_end.unwrap_or(0);
    sample[from..].find(" # ").map_or(sample, |at| &sample[..from + at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_the_format_that_it_prefers() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, open) in [
            (prometheus_2, true),
            (prometheus_3, true),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8", true),
            ("application/openmetrics-text, */*", true),
            ("*/*, application/openmetrics-text", true),
            ("text/plain;q=0.5, application/openmetrics-text;q=0.6", true),
            ("application/openmetrics-text, text/plain", true),
            ("text/plain, application/openmetrics-text", false),
            ("application/openmetrics-text;q=0.5, text/plain", false),
            ("application/openmetrics-text;q=0.5, */*", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;Q=0.0, text/plain;q=0", false),
            ("application/openmetrics-text;q=much", false),
            ("application/openmetrics-text;version=9.9.9", false),
            ("application/*", false),
            ("*/*", false),
            ("text/plain", false),
            ("text/plain;version=0.0.4", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
            assert_eq!(wants_open_metrics(&headers), open, "{accept:?}");
        }
        assert!(!wants_open_metrics(&HeaderMap::new()));
    }

    #[test]
    fn plain_text_has_nothing_that_only_openmetrics_has() {
        let open = r#"# HELP onsale_waits Waits "in line".
# TYPE onsale_waits counter
onsale_waits_total{where="a } # b",to="\"x\\"} 3 # {trace="1"} 1.0
onsale_waits_total 4
# HELP onsale_took_seconds How long.
# TYPE onsale_took_seconds histogram
# UNIT onsale_took_seconds seconds
onsale_took_seconds_bucket{le="+Inf"} 1
onsale_took_seconds_sum 0.5
onsale_took_seconds_count 1
# HELP build What runs.
# TYPE build info
build_info{version="1"} 1
# TYPE odd unknown
odd 1
# EOF
"#;
        let plain = r#"# HELP onsale_waits_total Waits "in line".
# TYPE onsale_waits_total counter
onsale_waits_total{where="a } # b",to="\"x\\"} 3
onsale_waits_total 4
# HELP onsale_took_seconds How long.
# TYPE onsale_took_seconds histogram
onsale_took_seconds_bucket{le="+Inf"} 1
onsale_took_seconds_sum 0.5
onsale_took_seconds_count 1
# HELP build_info What runs.
# TYPE build_info gauge
build_info{version="1"} 1
# TYPE odd untyped
odd 1
"#;
        assert_eq!(prometheus_text(open), plain);
    }
}
