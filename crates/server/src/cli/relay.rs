//! `onsale relay` and `onsale consume`: background work alone.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::middleware::map_response;
use axum::routing::get;
use onsale_adapters::kafka::KafkaConsumer;
use onsale_app::conditions::Conditions;
use onsale_app::relay::{Bell, Relay};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{Failed, Outcome, block_on, start_line};
use crate::http;
use crate::sale::{self, SaleError};
use crate::settings::Settings;
use crate::telemetry::Traces;

/// Outbox to Kafka.
pub(super) fn relay(settings: &Settings) -> Outcome {
    let Some(kafka) = sale::kafka_sink(settings)? else {
        let problem = "ONSALE_KAFKA_BROKERS names no broker; without Kafka `onsale consume` delivers from the database";
        return Err(Failed::Usage(problem.to_owned()));
    };
    work_alone("relay", settings, |registry| {
        let relay =
            Relay::new(sale::outbox(settings), kafka, Arc::new(Bell::default())).keeping(settings.events_kept_days);
        relay.metrics.register(registry);
        Ok(Box::new(move |stop| Box::pin(relay.run(stop))))
    })
}

/// Kafka to the data platform; without Kafka, the outbox itself.
pub(super) fn consume(settings: &Settings) -> Outcome {
    work_alone("consume", settings, |registry| {
        let conditions = Arc::new(Conditions::default());
        conditions.register(registry);
        let sink = sale::platform_sink(settings, &conditions)?;
        sink.metrics.register(registry);
        let Some(kafka) = &settings.kafka else {
            let relay = Relay::new(sale::outbox(settings), sink, Arc::new(Bell::default()));
            let relay = relay.keeping(settings.events_kept_days);
            relay.metrics.register(registry);
            return Ok(Box::new(move |stop| Box::pin(relay.run(stop))));
        };
        let consumer = KafkaConsumer::new(kafka, sink).map_err(SaleError::Client)?;
        consumer.metrics.register(registry);
        Ok(Box::new(move |stop| Box::pin(consumer.run(stop))))
    })
}

/// Work that goes on until it is told to stop.
type Work = Box<dyn FnOnce(CancellationToken) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>;

fn work_alone(
    command: &str,
    settings: &Settings,
    start: impl FnOnce(&mut Registry) -> Result<Work, SaleError>,
) -> Outcome {
    let _log = crate::telemetry::start_log(settings)?;
    start_line::log(command, settings);
    let traces = Traces::start(settings)?;
    block_on(async {
        // The schema has to be there, and this binary's.
        sale::open_beside(settings).await?;
        let mut registry = Registry::with_prefix("onsale");
        let work = start(&mut registry)?;
        let stop = CancellationToken::new();
        if let Some(address) = settings.metrics_listen {
            let listener = TcpListener::bind(address).await;
            let listener =
                listener.map_err(|error| Failed::Error(format!("{address} cannot be listened on: {error}")))?;
            tokio::spawn(show_metrics(listener, registry, stop.clone()));
        }
        let mut signals = Signals::listen()?;
        let working = tokio::spawn(work(stop.clone()));
        tracing::info!("working");
        signals.next().await;
        stop.cancel();
        working.await?;
        traces.finish().await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

async fn show_metrics(listener: TcpListener, registry: Registry, stop: CancellationToken) {
    let registry = Arc::new(registry);
    let metrics = move |headers: HeaderMap| async move { http::show_metrics(&headers, &registry) };
    let router = Router::new().route("/metrics", get(metrics)).route("/healthz", get(async || "alive"));
    let router = router.layer(map_response(http::mark_answer));
    let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await;
    if let Err(error) = served {
        tracing::warn!(%error, "metrics are no longer shown");
    }
}
