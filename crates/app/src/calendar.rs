//! Instants and dates in the formats of the contract.

use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::{Offset, TimeZone};
use onsale_domain::time::Timestamp;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// An instant in RFC 3339, in UTC with milliseconds: `2026-11-22T11:12:13.456Z`.
pub fn rfc3339(at: Timestamp) -> String {
    PRINTER.timestamp_to_string(&instant(at))
}

/// 0001-01-01T00:00:00Z, in milliseconds.
const EARLIEST_MILLIS: i64 = -62_135_596_800_000;

/// Reads an RFC 3339 instant with an offset, to the millisecond: `2026-11-22T20:12:13.456+09:00`. Returns `None` for
/// anything else that ISO 8601 or its extensions allow. Returns `None` before the year 1 and after 9999-12-30T22:00:00Z,
/// because in some time zone such an instant has no date with a four-digit year.
///
/// Why not jiff's own parser: it accepts more of ISO 8601 than RFC 3339 allows, and the contract refuses that.
///
/// A leap second (RFC 3339, appendix D) is accepted at the end of a month in UTC. It counts as the first second of the next
/// month, as in POSIX.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once(['T', 't'])?;
    let (clock, rest) = (time.get(..8)?, time.get(8..)?);
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => ("0", rest),
    };
    let (hour, minute, second) = read_clock(clock)?;
    let is_leap = second == 60;
    let local = parse_date(date)?.at(hour, minute, second.min(59), 0);
    let zone = TimeZone::fixed(Offset::from_seconds(offset_seconds(offset)?).ok()?);
    let second = local.to_zoned(zone).ok()?.timestamp().as_millisecond();
    let second = if is_leap { end_of_month(second)? } else { second };
    (second >= EARLIEST_MILLIS).then(|| Some(Timestamp::from_millis(second + millis_of(fraction)?)))?
}

/// `HH:MM:SS`; 60 seconds too.
fn read_clock(text: &str) -> Option<(i8, i8, i8)> {
    let [hour, minute, second] = fields(text, ':')?;
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    (hour <= 23 && minute <= 59 && second <= 60).then_some((hour, minute, second))
}

/// `Z`, or `+HH:MM` or `-HH:MM`.
fn offset_seconds(text: &str) -> Option<i32> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let [hours, minutes] = fields(&text[1..], ':')?;
    let (hours, minutes): (i32, i32) = (number(hours, 2)?, number(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// The milliseconds of a fraction of a second of any length, cut off; `None` if it has no digit.
fn millis_of(fraction: &str) -> Option<i64> {
    let padded: String = fraction.chars().chain("00".chars()).take(3).collect();
    Some(fraction).filter(|digits| !digits.is_empty()).and_then(|_| number(&padded, 3))
}

/// The second after this one, if that begins a month in UTC.
fn end_of_month(millis: i64) -> Option<i64> {
    let next = jiff::Timestamp::from_millisecond(millis + 1_000).ok()?;
    let utc = next.to_zoned(TimeZone::UTC);
    (utc.day() == 1 && utc.time() == Time::midnight()).then_some(millis + 1_000)
}

/// The zone in which dates are read.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// The calendar of an IANA zone, such as `Asia/Seoul`; `None` if there is no such zone.
    pub fn new(zone: &str) -> Option<Self> {
        TimeZone::get(zone).ok().map(|zone| Self { zone })
    }

    /// The zone's IANA name, such as `Asia/Seoul`.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The date of an instant.
    pub fn date_of(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(instant(at)).date()
    }

    /// The wall clock of the zone at an instant, to the minute: `2026-12-19 19:00`.
    pub fn local_time(&self, at: Timestamp) -> String {
        self.zone.to_datetime(instant(at)).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// The first instant of a date and the first instant of the next date; `None` if they are beyond the year 9999.
    pub fn span_of(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        let start = |date: Date| {
            let zoned = date.to_zoned(self.zone.clone()).ok()?;
            Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
        };
        Some((start(date)?, start(date.tomorrow().ok()?)?))
    }
}

/// Reads a `YYYY-MM-DD` of the years 0001 to 9999; `None` for anything else.
pub fn parse_date(text: &str) -> Option<Date> {
    let [year, month, day] = fields(text, '-')?;
    let year = number(year, 4).filter(|year| *year >= 1)?;
    Date::new(year, number(month, 2)?, number(day, 2)?).ok()
}

/// Splits a text into exactly `N` parts.
fn fields<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = text.split(separator);
    let found = std::array::from_fn(|_| parts.next().unwrap_or(""));
    parts.next().is_none().then_some(found)
}

/// A number of exactly this many ASCII digits.
fn number<T: FromStr>(text: &str, digits: usize) -> Option<T> {
    let is_sound = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_sound)
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_of_rfc_3339_are_read() {
        let table = [
            ("2026-11-22T11:12:13Z", "2026-11-22T11:12:13.000Z"),
            ("2026-11-22T20:12:13+09:00", "2026-11-22T11:12:13.000Z"),
            ("2026-11-22T11:12:13.4Z", "2026-11-22T11:12:13.400Z"),
            ("2026-11-22T11:12:13.4569999999999999Z", "2026-11-22T11:12:13.456Z"),
            // The RFC's own examples.
            ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520Z"),
            ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57.000Z"),
            ("1990-12-31T23:59:60Z", "1991-01-01T00:00:00.000Z"),
            ("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00.000Z"),
            ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870Z"),
            ("2016-12-31T23:59:60.25Z", "2017-01-01T00:00:00.250Z"),
            ("2026-11-22T11:12:13-00:00", "2026-11-22T11:12:13.000Z"),
            ("2024-02-29T00:00:00+23:59", "2024-02-28T00:01:00.000Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
            ("9999-12-30T21:59:59.999Z", "9999-12-30T21:59:59.999Z"),
        ];
        for (text, read) in table {
            assert_eq!(parse_rfc3339(text).map(rfc3339).as_deref(), Some(read), "{text}");
        }
    }

    #[test]
    fn no_other_instant_is_read() {
        let others = [
            "",
            "T",
            "Z",
            "2026-11-22",
            "2026-11-22T11:12:13",
            "2026-11-22 11:12:13Z",
            "2026-11-22_11:12:13Z",
            "2026-11-22T11:12Z",
            "2026-11-22T11Z",
            "20261122T111213Z",
            "2026-11-22T11:12:13+09",
            "2026-11-22T11:12:13+0900",
            "2026-11-22T11:12:13+09:00:00",
            "2026-11-22T11:12:13+09:00[Asia/Seoul]",
            "2026-11-22T11:12:13Z[UTC]",
            "2026-11-22T11:12:13[Asia/Seoul]",
            "2026-11-22T11:12:13.Z",
            "2026-11-22T11:12:13,5Z",
            "2026-11-22T11:12:13.5",
            "2026-11-22T11:12:13.5.5Z",
            "2026-11-22T11:12:13 Z",
            " 2026-11-22T11:12:13Z",
            "2026-11-22T11:12:13Z ",
            "2026-11-22T11:12:13ZZ",
            "2026-11-22T24:00:00Z",
            "2026-11-22T11:60:00Z",
            "2026-11-22T11:12:61Z",
            "2026-11-22T11:12:60Z",
            "2026-11-22T23:59:60Z",
            "1990-12-31T23:59:60+01:00",
            "2026-11-22T11:12:13+24:00",
            "2026-11-22T11:12:13+09:60",
            "2026-11-31T11:12:13Z",
            "2026-02-29T11:12:13Z",
            "2026-13-01T11:12:13Z",
            "2026-00-01T11:12:13Z",
            "2026-1-1T11:12:13Z",
            "2026-11-22T1:12:13Z",
            "2026-W47-7T11:12:13Z",
            "2026-326T11:12:13Z",
            "0000-01-01T00:00:00Z",
            "0000-12-31T23:00:00-02:00",
            "0001-01-01T00:00:00+00:01",
            "-000001-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
            "+002026-11-22T11:12:13Z",
            "+10000-01-01T00:00:00Z",
            "12026-11-22T11:12:13Z",
            "9999-12-31T23:59:59Z",
            "2026-11-22T11:12:13\u{2212}09:00",
            "２０２６-11-22T11:12:13Z",
            "now",
            "1795346733",
            "Sun, 22 Nov 2026 11:12:13 GMT",
            "P1D",
            "2026-11-22T11:12:13Z/P1D",
            "2026-11-22T+1:12:13Z",
        ];
        for text in others {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn only_dates_of_ten_characters_are_read() {
        for text in ["2026-11-22", "0001-01-01", "2024-02-29", "9999-12-31"] {
            assert_eq!(parse_date(text).map(|date| date.to_string()).as_deref(), Some(text));
        }
        let others = [
            "",
            "2026-11-22 ",
            " 2026-11-22",
            "2026-11-2",
            "2026-1-022",
            "20261122",
            "0000-01-01",
            "-001-01-01",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-10-00",
            "2026-W47-7",
            "+026-11-22",
            "2026/11/22",
            "2026-11-22T00:00:00Z",
            "２０２６-11-22",
            "2026-11-2２",
            "02026-11-22",
            "10000-01-01",
            "2026-+1-22",
        ];
        for text in others {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
