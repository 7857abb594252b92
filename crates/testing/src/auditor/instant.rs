//! Instants in the format of the contract: RFC 3339 in UTC with milliseconds.

use jiff::Timestamp;

/// The only accepted shape. RFC 3339 allows more, the contract does not.
const SHAPE: &[u8] = b"0000-00-00T00:00:00.000Z";

/// Formats an instant, from milliseconds since 1970. Beyond the years that a timestamp can express, it is the first one.
pub fn instant(millis: i64) -> String {
    let instant = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MIN);
    format!("{instant:.3}")
}

/// Parses an instant to milliseconds since 1970. Returns `None` for any other format, or a date that does not exist.
pub fn millis_of(text: &str) -> Option<i64> {
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    let has_shape = text.len() == SHAPE.len() && text.as_bytes().iter().zip(SHAPE).all(fits);
    has_shape.then(|| text.parse::<Timestamp>().ok()).flatten().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_they_are_written() {
        for (text, millis) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("2026-11-22T11:12:13.456Z", 1_795_345_933_456),
        ] {
            assert_eq!((millis_of(text), instant(millis)), (Some(millis), text.to_owned()));
        }
        for odd in ["2026-11-22T11:12:13Z", "2026-11-22T11:12:13.456+00:00", "2026-02-30T11:12:13.456Z", ""] {
            assert_eq!(millis_of(odd), None);
        }
    }
}
