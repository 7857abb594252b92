//! The log: for people on a terminal, for machines elsewhere; always on standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, Settings};

/// Starts the log. Libraries may only warn.
pub(crate) fn start_log(settings: &Settings) {
    let level = settings.log_level;
    let others = level.min(tracing::Level::WARN);
    let filter = Targets::new()
        .with_default(others)
        .with_targets(["onsale", "onsale_app", "onsale_adapters"].map(|ours| (ours, level)));
    let for_people = match settings.log_format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    let layer = if for_people {
        layer.with_ansi(stderr().is_terminal()).with_target(false).boxed()
    } else {
        layer.json().flatten_event(true).boxed()
    };
    // A second start, as in tests, keeps the first.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}
