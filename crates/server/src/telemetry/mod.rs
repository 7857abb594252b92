//! The log on standard error, and traces to a collector in programs that are built with `--features otlp`.

#[cfg(feature = "otlp")]
mod otlp;
mod throttle;

use std::io::{IsTerminal, stderr};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, Settings};

use throttle::{LogGuard, Throttle};

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TracesError {
    /// The program was built without the feature `otlp`.
    #[cfg(not(feature = "otlp"))]
    #[error(
        "ONSALE_OTLP_ENDPOINT is set, and this program was built without traces; build it with: cargo build --release \
         --features otlp"
    )]
    NotBuilt,
    /// The HTTP client for the collector cannot be created.
    #[cfg(feature = "otlp")]
    #[error("failed to set up the client of ONSALE_OTLP_ENDPOINT: {0}")]
    Client(String),
}

/// Sends traces until [`Self::finish`]. Does nothing if the settings name no collector.
#[must_use]
pub(crate) struct Traces(#[cfg(feature = "otlp")] Option<otlp::Sender>);

#[cfg(feature = "otlp")]
impl Traces {
    /// Starts to send traces to the collector of the settings, if they name one.
    ///
    /// # Errors
    /// [`TracesError::Client`] if the HTTP client cannot be created.
    pub(crate) fn start(settings: &Settings) -> Result<Self, TracesError> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(Self(None)) };
        let sender = otlp::Sender::start(endpoint.as_str(), settings.otlp_sample).map_err(TracesError::Client)?;
        Ok(Self(Some(sender)))
    }

    /// Sends the remaining spans, for 3 s at most.
    pub(crate) async fn finish(self) {
        if let Some(sender) = self.0 {
            // The exporter blocks its thread, so it gets one of its own. If that thread panics, only spans are lost.
            let _ = tokio::task::spawn_blocking(move || sender.finish()).await;
        }
    }
}

#[cfg(not(feature = "otlp"))]
impl Traces {
    /// Checks that the settings name no collector, as this program cannot send traces.
    ///
    /// # Errors
    /// [`TracesError::NotBuilt`] if they name one.
    pub(crate) fn start(settings: &Settings) -> Result<Self, TracesError> {
        match &settings.otlp_endpoint {
            None => Ok(Self()),
            Some(_) => Err(TracesError::NotBuilt),
        }
    }

    /// Returns at once: there are no spans.
    pub(crate) async fn finish(self) {
        std::future::ready(()).await;
    }
}

/// Starts the log. Libraries log warnings and errors only. Repeated lines are counted ([`throttle`]); dropping the returned
/// guard writes the last counts.
///
/// # Errors
/// `io::Error` if the system refuses the thread that writes the counts.
pub(crate) fn start_log(settings: &Settings) -> std::io::Result<LogGuard> {
    let level = settings.log_level;
    let libraries = level.min(tracing::Level::WARN);
    let filter = Targets::new()
        .with_default(libraries)
        .with_targets(["onsale", "onsale_app", "onsale_adapters"].map(|ours| (ours, level)));
    let is_text = match settings.log_format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    let layer = if is_text {
        layer.with_ansi(stderr().is_terminal()).with_target(false).boxed()
    } else {
        layer.json().flatten_event(true).boxed()
    };
    let (throttle, guard) = Throttle::start()?;
    // Fails if this process has a subscriber already, as in tests: the first one stays.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter.and(throttle))).try_init();
    Ok(guard)
}
