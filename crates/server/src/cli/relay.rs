//! `onsale relay` and `onsale consume`: background work alone.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::middleware::map_response;
use axum::routing::get;
use onsale_adapters::kafka::KafkaConsumer;
use onsale_app::conditions::Conditions;
use onsale_app::relay::{BacklogWatch, Bell, Relay, Sink};
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
    work_alone("relay", settings, |registry, conditions| {
        let relayed = relayed(settings, kafka.clone(), registry, &conditions);
        Ok(Box::new(move |stop| {
            Box::pin(async move {
                tokio::join!(kafka.watch(conditions, true, stop.clone()), relayed(stop));
            })
        }))
    })
}

/// Kafka to the data platform; without Kafka, the outbox itself.
pub(super) fn consume(settings: &Settings) -> Outcome {
    work_alone("consume", settings, |registry, conditions| {
        let sink = sale::platform_sink(settings, &conditions)?;
        sink.metrics.register(registry);
        let Some(kafka) = &settings.kafka else {
            return Ok(Box::new(relayed(settings, sink, registry, &conditions)));
        };
        let consumer = KafkaConsumer::new(kafka, sink, conditions).map_err(SaleError::Client)?;
        consumer.metrics.register(registry);
        Ok(Box::new(move |stop| Box::pin(consumer.run(stop))))
    })
}

/// The outbox into a sink, and the look at what waits in it.
fn relayed(
    settings: &Settings,
    sink: Arc<dyn Sink>,
    registry: &mut Registry,
    conditions: &Arc<Conditions>,
) -> impl FnOnce(CancellationToken) -> Going + use<> {
    let backlog = BacklogWatch::new(sale::outbox(settings)).shown_on(conditions.clone());
    backlog.register(registry);
    let relay = Relay::new(sale::outbox(settings), sink, Arc::new(Bell::default())).keeping(settings.events_kept_days);
    relay.metrics.register(registry);
    move |stop| {
        Box::pin(async move {
            tokio::join!(backlog.run(stop.clone()), relay.run(stop));
        })
    }
}

/// Work under way, to its end.
type Going = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work that goes on until it is told to stop.
type Work = Box<dyn FnOnce(CancellationToken) -> Going>;

fn work_alone(
    command: &str,
    settings: &Settings,
    start: impl FnOnce(&mut Registry, Arc<Conditions>) -> Result<Work, SaleError>,
) -> Outcome {
    let _log = crate::telemetry::start_log(settings)?;
    start_line::log(command, settings);
    let traces = Traces::start(settings)?;
    block_on(async {
        // The schema has to be there, and this binary's.
        sale::open_beside(settings).await?;
        let mut registry = Registry::with_prefix("onsale");
        let conditions = Arc::new(Conditions::default());
        conditions.register(&mut registry);
        let work = start(&mut registry, conditions)?;
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
