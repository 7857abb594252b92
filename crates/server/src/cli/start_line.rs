//! What a process says first in its log: which program it is, what it works on, what is on, and which settings do nothing.

use crate::settings::{Auth, DatabaseUrl, Settings, unknown_variables};

/// Logs a warning for each misspelt variable, one line with the shape of this process, and a warning for each setting without
/// effect. Shows no secret.
pub(super) fn log(command: &str, settings: &Settings) {
    for name in unknown_variables() {
        tracing::warn!(name, "this looks like a setting and is none");
    }
    let none = || "none".to_owned();
    let shown = |part: Option<String>| part.unwrap_or_else(none);
    let limits = &settings.limits;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        command,
        database = database(settings),
        redis = shown(settings.redis.as_ref().map(ToString::to_string)),
        kafka = shown(settings.kafka.as_ref().map(|kafka| kafka.brokers.clone())),
        relay = relays(command, settings),
        data_platform = platform(command, settings),
        events_kept_days = shown(settings.events_kept_days.map(|days| days.to_string())),
        auth = match &settings.auth {
            Auth::Open => "open",
            Auth::Jwt(_) => "jwt",
        },
        admin = settings.admin_key.is_some(),
        queue_strict = settings.queue_strict,
        caches = settings.caches,
        hold_seconds = settings.hold_seconds,
        rate_limit_per_second = limits.by_address.requests,
        rate_limit_per_user_per_second = limits.by_user.requests,
        entries_per_minute = limits.entries_by_address.requests,
        connections_max = settings.connections_max,
        timezone = settings.calendar.zone_name(),
        traces = settings.otlp_endpoint.is_some(),
        "onsale starts"
    );
    for idle in &settings.idle_settings {
        tracing::warn!(setting = idle.name, reason = idle.reason, "this setting has no effect in this process");
    }
}

/// The database, without its password.
fn database(settings: &Settings) -> String {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
        DatabaseUrl::Postgres(url) => url.to_string(),
    }
}

/// Whether this process sends events out of the database.
fn relays(command: &str, settings: &Settings) -> bool {
    match command {
        "serve" => settings.kafka.is_some() && settings.relay,
        "consume" => settings.kafka.is_none(),
        _ => command == "relay",
    }
}

/// Where this process delivers events, if anywhere.
fn platform(command: &str, settings: &Settings) -> String {
    match (command, &settings.platform.url) {
        ("consume", Some(url)) => url.to_string(),
        ("consume", None) => format!("files in {}", settings.platform.folder.display()),
        _ => "none".to_owned(),
    }
}
