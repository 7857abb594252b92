//! The log: for people on a terminal, for machines elsewhere; always on standard error. And traces, where they are built
//! in.

#[cfg(feature = "otlp")]
mod otlp;
mod throttle;

use std::io::{IsTerminal, stderr};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::Failed;
use crate::settings::{LogFormat, Settings};

use throttle::{LogGuard, Throttle};

/// Where traces are sent: the base of a collector's addresses, or the whole address.
#[derive(Clone, Debug)]
pub(crate) struct OtlpEndpoint(#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only read"))] String);

impl OtlpEndpoint {
    /// Reads `http://` or `https://`.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const PATH: &str = "/v1/traces";
        let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = url.filter(reqwest::Url::has_host) else {
            return Err("is no URL of a collector: http://HOST:4318".to_owned());
        };
        let base = url.as_str().trim_end_matches('/');
        Ok(Self(if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }))
    }
}

/// Traces that are sent until they are finished.
#[must_use]
pub(crate) struct Traces(#[cfg(feature = "otlp")] Option<otlp::Sender>);

#[cfg(feature = "otlp")]
impl Traces {
    /// Starts sending, where the settings say whereto.
    ///
    /// # Errors
    /// Where no client can be made.
    pub(crate) fn start(settings: &Settings) -> Result<Self, Failed> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(Self(None)) };
        otlp::Sender::start(&endpoint.0, settings.otlp_sample).map(|sender| Self(Some(sender))).map_err(Failed::Error)
    }

    /// Sends what is left.
    pub(crate) async fn finish(self) {
        if let Some(sender) = self.0 {
            let _ = tokio::task::spawn_blocking(move || sender.finish()).await;
        }
    }
}

#[cfg(not(feature = "otlp"))]
impl Traces {
    /// # Errors
    /// Where the settings say whereto, as this program cannot.
    pub(crate) fn start(settings: &Settings) -> Result<Self, Failed> {
        match &settings.otlp_endpoint {
            None => Ok(Self()),
            Some(_) => {
                let problem = "ONSALE_OTLP_ENDPOINT is set, and this program was built without traces: \
                    cargo build --release --features otlp";
                Err(Failed::Usage(problem.to_owned()))
            }
        }
    }

    /// There is nothing to send.
    pub(crate) async fn finish(self) {
        std::future::ready(()).await;
    }
}

/// Starts the log. Libraries may only warn. What repeats is counted, and the last counts are written when the returned
/// value is dropped.
///
/// # Errors
/// If the system gives no thread to write the counts.
pub(crate) fn start_log(settings: &Settings) -> std::io::Result<LogGuard> {
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
    let (throttle, guard) = Throttle::start()?;
    // A second start, as in tests, keeps the first.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter.and(throttle))).try_init();
    Ok(guard)
}
