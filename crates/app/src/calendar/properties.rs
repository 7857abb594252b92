//! Any text is an instant of RFC 3339 or none, and what this program writes it reads.

use jiff::civil::Date;
use onsale_domain::time::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{EARLIEST_MILLIS, parse_date, parse_rfc3339, rfc3339};

/// 9999-12-30T22:00:00Z, in milliseconds.
const LATEST_MILLIS: i64 = 253_402_207_200_000;

fn cases(cases: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|asked| asked.parse().ok());
    Config { cases: asked.unwrap_or(cases), failure_persistence: None, ..Config::default() }
}

/// The form of RFC 3339 with an offset: `D` stands for a digit. `t` and `z` may be small (section 5.6).
fn has_the_form(text: &str) -> bool {
    let is_like = |text: &str, form: &str| {
        let fits = |(byte, form): (u8, u8)| {
            if form == b'D' { byte.is_ascii_digit() } else { byte.eq_ignore_ascii_case(&form) }
        };
        text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
    };
    let Some((clock, rest)) = text.split_at_checked(19) else { return false };
    let fraction =
        rest.strip_prefix('.').map_or("", |rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    let offset = if rest.starts_with('.') { fraction } else { rest };
    let has_digits = !rest.starts_with('.') || rest.len() > offset.len() + 1;
    let is_offset = is_like(offset, "Z") || is_like(offset, "+DD:DD") || is_like(offset, "-DD:DD");
    is_like(clock, "DDDD-DD-DDTDD:DD:DD") && has_digits && is_offset
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn an_instant_is_read_as_it_was_written(millis in EARLIEST_MILLIS..LATEST_MILLIS) {
        let written = rfc3339(Timestamp::from_millis(millis));
        prop_assert_eq!(parse_rfc3339(&written), Some(Timestamp::from_millis(millis)), "{}", written);
    }

    #[test]
    fn an_offset_is_taken_off(millis in 0..LATEST_MILLIS - 86_400_000, hours in 0..24_i64, minutes in 0..60_i64, is_ahead in any::<bool>()) {
        let offset = (hours * 60 + minutes) * 60_000;
        let (sign, local) = if is_ahead { ('+', millis + offset) } else { ('-', millis - offset) };
        let written = rfc3339(Timestamp::from_millis(local)).replace('Z', &format!("{sign}{hours:02}:{minutes:02}"));
        prop_assert_eq!(parse_rfc3339(&written), Some(Timestamp::from_millis(millis)), "{}", written);
    }

    #[test]
    fn any_other_text_is_no_instant(text in prop_oneof![
        any::<String>(),
        "[0-9TZtz:. +W-]{0,30}",
        "[0-9]{4}-[0-1][0-9]-[0-3][0-9][Tt _][0-2][0-9]:?[0-6][0-9](:[0-6][0-9])?([.,][0-9]{0,12})?(Z|z|[+-][0-2][0-9]:?[0-6]?[0-9]?|)(\\[[A-Z/a-z]{3,12}\\])?",
    ]) {
        if let Some(read) = parse_rfc3339(&text) {
            prop_assert!(has_the_form(&text), "{text}");
            prop_assert!((EARLIEST_MILLIS..=LATEST_MILLIS).contains(&read.as_millis()));
        }
    }

    #[test]
    fn a_date_is_read_as_it_was_written(year in 1..=9_999_i16, month in 0..=13_i8, day in 0..=32_i8) {
        let date = Date::new(year, month, day).ok();
        prop_assert_eq!(parse_date(&format!("{year:04}-{month:02}-{day:02}")), date);
    }

    #[test]
    fn any_other_text_is_no_date(text in prop_oneof![any::<String>(), "[0-9W/+ -]{8,12}", "[0-9]{3,5}-[0-9]{1,3}-[0-9]{1,3}"]) {
        if let Some(date) = parse_date(&text) {
            prop_assert_eq!(date.to_string(), text);
        }
    }
}
