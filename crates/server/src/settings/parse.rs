//! From text to values. What is wrong is said so that it reads after the setting's name.

use std::net::SocketAddr;
use std::time::Duration;

use onsale_adapters::postgres::PostgresUrl;
use onsale_app::calendar::Calendar;

use super::{DatabaseUrl, LogFormat, Secret, sqlite_url};

/// The shortest admin key, in characters: a shorter one can be tried out by hand. A warning asks for more.
const ADMIN_KEY_MIN: usize = 5;

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().map_err(|_| format!("is no ADDR:PORT: {text}"))
}

pub(super) fn database(text: &str) -> Result<DatabaseUrl, String> {
    if let Some(path) = sqlite_url::parse(text) {
        return path.map(DatabaseUrl::Sqlite);
    }
    match text.split_once("://") {
        Some(("postgres" | "postgresql", _)) => PostgresUrl::parse(text).map(DatabaseUrl::Postgres),
        Some((scheme, _)) => Err(format!("names a database that this build does not know: {scheme}")),
        None => Err("is no URL: sqlite://FILE or postgres://USER@HOST/DATABASE".to_owned()),
    }
}

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

pub(super) fn admin_key(text: &str) -> Result<Secret, String> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("holds a character that no header can carry: visible ASCII only".to_owned());
    }
    if text.len() < ADMIN_KEY_MIN {
        return Err(format!("has fewer than {ADMIN_KEY_MIN} characters and can be guessed; 16 random ones are safe"));
    }
    Ok(Secret::new(text))
}

/// Hosts with ports, as Kafka's clients take them.
pub(super) fn brokers(text: &str) -> Result<String, String> {
    let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_good = |broker: &&str| {
        let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains([' ', '/']));
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    if brokers.iter().all(is_good) { Ok(brokers.join(",")) } else { Err("is no HOST:PORT,HOST:PORT".to_owned()) }
}

/// A name that others are given too.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_good = (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_good { Ok(text.to_owned()) } else { Err("is no name of visible characters".to_owned()) }
}

pub(super) fn timezone(text: &str) -> Result<Calendar, String> {
    Calendar::new(text).ok_or_else(|| format!("is no IANA time zone: {text}"))
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("is neither true nor false: {text}")),
    }
}

pub(super) fn between(least: u32, most: u32) -> impl Fn(&str) -> Result<u32, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("is no whole number from {least} to {most}: {text}"))
    }
}

/// A time in whole seconds.
pub(super) fn seconds_between(least: u32, most: u32) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| between(least, most)(text).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("must be a number from 0 to 1, not {text:?}")),
    }
}

pub(super) fn log_level(text: &str) -> Result<tracing::Level, String> {
    text.parse().map_err(|_| format!("is none of error, warn, info, debug, trace: {text}"))
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("is none of auto, text, json: {text}")),
    }
}
