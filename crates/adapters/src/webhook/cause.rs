//! Describes why a post got no answer: the chain of causes of the client's error, as one line for the log.

use std::error::Error;
use std::io;

use reqwest::Url;

use super::{CONNECTED_WITHIN, POSTED_WITHIN};

/// Host and port of the platform, then the cause: a time-out, name resolution, the connection, or TLS.
pub(super) fn cause_of(url: &Url, error: reqwest::Error) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{host}:{port}: {}", what(&error.without_url()))
}

/// The cause as text: the time limit that passed, or the chain of errors without repetitions.
fn what(error: &reqwest::Error) -> String {
    if error.is_timeout() && error.is_connect() {
        return format!("no connection within {} s", CONNECTED_WITHIN.as_secs());
    }
    if error.is_timeout() {
        return format!("no answer within {} s", POSTED_WITHIN.as_secs());
    }
    let mut causes: Vec<String> = Vec::new();
    // Without the outermost text: it only names the request.
    let mut next: Option<&dyn Error> = error.source().or(Some(error));
    while let Some(cause) = next {
        let text = if is_tls(cause) { format!("TLS: {cause}") } else { cause.to_string() };
        // Many errors repeat the text of their source.
        match causes.last_mut() {
            Some(above) if text.contains(above.as_str()) => *above = text,
            Some(above) if above.contains(&cause.to_string()) => {}
            _ => causes.push(text),
        }
        next = cause.source();
    }
    causes.join(": ")
}

/// Whether an error is one of TLS. An I/O error hides the error that it wraps from [`Error::source`].
fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    let within = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is::<rustls::Error>() || within.is_some_and(|within| is_tls(within))
}
