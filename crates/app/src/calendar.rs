//! Instants and dates as people write them.

use jiff::civil::Date;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use onsale_domain::time::Timestamp;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// An instant in RFC 3339, in UTC with milliseconds: `2026-11-22T11:12:13.456Z`.
pub fn rfc3339(at: Timestamp) -> String {
    PRINTER.timestamp_to_string(&instant(at))
}

/// Reads an RFC 3339 instant of any offset, to the millisecond; `None` where it is none.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(instant.as_millisecond()))
}

/// The zone in which dates are read.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// A calendar of an IANA zone, such as `Asia/Seoul`; `None` where there is no such zone.
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

    /// The first instant of a date and the first one after it; `None` at the end of time.
    pub fn span_of(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        let start = |date: Date| {
            let zoned = date.to_zoned(self.zone.clone()).ok()?;
            Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
        };
        Some((start(date)?, start(date.tomorrow().ok()?)?))
    }
}

/// Reads a `YYYY-MM-DD`; `None` where it is none.
pub fn parse_date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::MAX)
}
