//! Instants for requests and comparisons: milliseconds since 1970, and RFC 3339 text.

use jiff::{SignedDuration, Timestamp};

/// Milliseconds since 1970, by this machine's clock.
pub fn now_millis() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The instant this many seconds from now, in RFC 3339 with whole seconds, such as `2026-11-22T11:12:13Z`.
pub fn iso(seconds_from_now: i64) -> String {
    let instant = Timestamp::now() + SignedDuration::from_secs(seconds_from_now);
    format!("{instant:.0}")
}
