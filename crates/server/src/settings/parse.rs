//! From text to values. What is wrong is said so that it reads after the setting's name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use onsale_adapters::postgres::PostgresUrl;
use onsale_app::calendar::Calendar;

use super::{Auth, BadSetting, DatabaseUrl, JwtKey, LogFormat, Secret, Sources};

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().map_err(|_| format!("is no ADDR:PORT: {text}"))
}

pub(super) fn database(text: &str) -> Result<DatabaseUrl, String> {
    match text.split_once("://") {
        Some(("sqlite", "")) => Err("names no file: sqlite://FILE".to_owned()),
        Some(("sqlite", path)) => Ok(DatabaseUrl::Sqlite(PathBuf::from(path))),
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

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |part: &str| {
        let address = || part.parse::<IpAddr>().map(IpNet::from);
        part.parse().or_else(|_| address()).map_err(|_| format!("holds what is no address or network: {part}"))
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(network).collect()
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

/// Who may act for whom, with the key that this takes.
pub(super) fn auth(sources: &Sources, listen: SocketAddr) -> Result<Auth, BadSetting> {
    let name = sources.name_of("auth");
    let bad = |problem: &str| BadSetting { name: name.clone(), problem: problem.to_owned() };
    let mode = sources.parse("auth", |text| Ok(text.to_owned()))?;
    match mode.as_str() {
        "open" if !listen.ip().is_loopback() => Err(bad(&format!(
            "is open, so anyone may act as any user, and {listen} is no loopback address: use ONSALE_AUTH=jwt, or \
             ONSALE_AUTH=open-anywhere if that is what you want"
        ))),
        "open" | "open-anywhere" => Ok(Auth::Open),
        "jwt" => {
            let secret = sources.optional("jwt-secret", secret)?;
            let public = sources.optional("jwt-public-key", public_key)?;
            match (secret, public) {
                (Some(secret), None) => Ok(Auth::Jwt(JwtKey::Secret(secret))),
                (None, Some(public)) => Ok(Auth::Jwt(JwtKey::Public(public))),
                (None, None) => Err(bad("is jwt, which needs ONSALE_JWT_SECRET or ONSALE_JWT_PUBLIC_KEY")),
                (Some(_), Some(_)) => {
                    Err(bad("is jwt, which takes ONSALE_JWT_SECRET or ONSALE_JWT_PUBLIC_KEY, not both"))
                }
            }
        }
        _ => Err(bad(&format!("is none of open, jwt, open-anywhere: {mode}"))),
    }
}

/// A PEM, in place or in a file.
fn public_key(text: &str) -> Result<String, String> {
    let pem = if text.trim_start().starts_with("-----BEGIN") {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|error| format!("names a file that cannot be read: {error}"))?
    };
    crate::auth::public_key(&pem).map(|_| pem).ok_or_else(|| "is no RSA or P-256 public key in PEM".to_owned())
}
