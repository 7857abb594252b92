//! The first lines of a process's log: version, databases and brokers, what is switched on, and settings without effect.

use crate::auth::Auth;
use crate::settings::{DatabaseUrl, Settings, unknown_variables};

/// Logs a warning for each unknown `ONSALE_` variable, one line about this process, and a warning for each setting without
/// effect. `has_admin`: whether this process answers admin calls. Shows no secret.
pub(super) fn log(command: &str, settings: &Settings, has_admin: bool) {
    for name in unknown_variables() {
        tracing::warn!(name, "this variable looks like a setting and is not one; see onsale serve --help");
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
        admin = has_admin,
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
    for unused in &settings.unused {
        tracing::warn!(setting = unused.name, reason = unused.reason, "this setting has no effect in this process");
    }
}

/// The database, without its password.
fn database(settings: &Settings) -> String {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
        DatabaseUrl::Postgres(url) => url.to_string(),
    }
}

/// Returns whether this process publishes events from the database.
fn relays(command: &str, settings: &Settings) -> bool {
    match command {
        "serve" => settings.kafka.is_some() && settings.relay,
        "consume" => settings.kafka.is_none(),
        _ => command == "relay",
    }
}

/// Returns where this process delivers events, or `none`.
fn platform(command: &str, settings: &Settings) -> String {
    match (command, &settings.platform.url) {
        ("consume", Some(url)) => url.to_string(),
        ("consume", None) => format!("files in {}", settings.platform.folder.display()),
        _ => "none".to_owned(),
    }
}
