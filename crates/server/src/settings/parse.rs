//! From text to values. Each error text reads after the setting's name: `--listen` + `is not ADDR:PORT: x`.

use std::net::SocketAddr;
use std::time::Duration;

use onsale_adapters::postgres::PostgresUrl;
use onsale_app::calendar::Calendar;

use super::{ChargedBy, DatabaseUrl, LogFormat, ShopPages, sqlite_url};
use crate::secret::Secret;

/// The shortest admin key, in characters. An attacker finds a shorter one by trying. Keys below 16 log a warning.
const ADMIN_KEY_MIN: usize = 5;

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().map_err(|_| format!("is not ADDR:PORT, such as 127.0.0.1:8080: {text}"))
}

pub(crate) fn database(text: &str) -> Result<DatabaseUrl, String> {
    if let Some(path) = sqlite_url::parse(text) {
        return path.map(DatabaseUrl::Sqlite);
    }
    match text.split_once("://") {
        Some(("postgres" | "postgresql", _)) => PostgresUrl::parse(text).map(DatabaseUrl::Postgres),
        Some((scheme, _)) => {
            Err(format!("names an unknown database, {scheme}: use sqlite://FILE or postgres://USER@HOST/DATABASE"))
        }
        None => Err("is not a URL: use sqlite://FILE or postgres://USER@HOST/DATABASE".to_owned()),
    }
}

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

pub(super) fn admin_key(text: &str) -> Result<Secret, String> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character other than visible ASCII, which the Authorization header cannot carry".to_owned());
    }
    if text.len() < ADMIN_KEY_MIN {
        return Err(format!(
            "is shorter than {ADMIN_KEY_MIN} characters, so it can be guessed; use 16 random characters"
        ));
    }
    Ok(Secret::new(text))
}

/// Reads a list of brokers, each with its port.
pub(super) fn brokers(text: &str) -> Result<String, String> {
    let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_good = |broker: &&str| {
        let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains([' ', '/']));
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    if brokers.iter().all(is_good) {
        Ok(brokers.join(","))
    } else {
        Err("is not a list such as HOST:PORT,HOST:PORT".to_owned())
    }
}

/// Reads the name of a consumer group: 1 to 200 visible ASCII characters.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_good = (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_good { Ok(text.to_owned()) } else { Err("is not a name of 1 to 200 visible ASCII characters".to_owned()) }
}

pub(super) fn timezone(text: &str) -> Result<Calendar, String> {
    Calendar::new(text).ok_or_else(|| format!("is not an IANA time zone, such as Europe/Oslo: {text}"))
}

pub(super) fn charged_by(text: &str) -> Result<ChargedBy, String> {
    [ChargedBy::User, ChargedBy::Staff]
        .into_iter()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| format!("is not self or staff: {text}"))
}

pub(super) fn pages(text: &str) -> Result<ShopPages, String> {
    [ShopPages::Shop, ShopPages::Off]
        .into_iter()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| format!("is not shop or off: {text}"))
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("is not true or false: {text}")),
    }
}

/// Reads a whole number from `least` to `most`, both included.
pub(super) fn between(least: u32, most: u32) -> impl Fn(&str) -> Result<u32, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("is not a whole number from {least} to {most}: {text}"))
    }
}

/// Reads a time in whole seconds, from `least` to `most`, both included.
pub(super) fn seconds_between(least: u32, most: u32) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| between(least, most)(text).map(|seconds| Duration::from_secs(seconds.into()))
}

/// Reads a number from 0 to 1.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(fraction) if (0.0..=1.0).contains(&fraction) => Ok(fraction),
        _ => Err(format!("is not a number from 0 to 1: {text}")),
    }
}

pub(super) fn log_level(text: &str) -> Result<tracing::Level, String> {
    text.parse().map_err(|_| format!("is not error, warn, info, debug or trace: {text}"))
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("is not auto, text or json: {text}")),
    }
}
