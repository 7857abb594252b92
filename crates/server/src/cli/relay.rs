//! `onsale relay` and `onsale consume`: background work without the API.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::middleware::map_response;
use axum::routing::get;
use onsale_adapters::kafka::KafkaConsumer;
use onsale_app::conditions::Conditions;
use onsale_app::relay::{BacklogWatch, Relay, RelayWaker, Sink};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{Failed, Outcome, block_on, start_line, start_traces};
use crate::http;
use crate::sale::{self, SaleError};
use crate::settings::Settings;

/// `onsale relay`: publishes events from the outbox to Kafka.
pub(super) fn relay(settings: &Settings) -> Outcome {
    let Some(kafka) = sale::kafka_sink(settings)? else {
        let problem = "ONSALE_KAFKA_BROKERS is not set; without Kafka, onsale consume delivers from the database";
        return Err(Failed::Usage(problem.to_owned()));
    };
    run_alone("relay", settings, |registry, conditions| {
        let relaying = relay_to(settings, kafka.clone(), registry, &conditions);
        Ok(Box::new(move |stop| {
            Box::pin(async move {
                tokio::join!(kafka.watch(conditions, true, stop.clone()), relaying(stop));
            })
        }))
    })
}

/// `onsale consume`: delivers events to the data platform, from Kafka, or without brokers from the outbox.
pub(super) fn consume(settings: &Settings) -> Outcome {
    run_alone("consume", settings, |registry, conditions| {
        let sink = sale::platform_sink(settings, &conditions)?;
        sink.metrics.register(registry);
        let Some(kafka) = &settings.kafka else {
            return Ok(Box::new(relay_to(settings, sink, registry, &conditions)));
        };
        let consumer = KafkaConsumer::new(kafka, sink, conditions).map_err(SaleError::Client)?;
        consumer.metrics.register(registry);
        Ok(Box::new(move |stop| Box::pin(consumer.run(stop))))
    })
}

/// Publishes the outbox to a sink, and measures its backlog.
fn relay_to(
    settings: &Settings,
    sink: Arc<dyn Sink>,
    registry: &mut Registry,
    conditions: &Arc<Conditions>,
) -> impl FnOnce(CancellationToken) -> Running + use<> {
    let backlog = BacklogWatch::new(sale::outbox(settings)).shown_on(conditions.clone());
    backlog.register(registry);
    let relay =
        Relay::new(sale::outbox(settings), sink, Arc::new(RelayWaker::default())).keeping(settings.events_kept_days);
    relay.metrics.register(registry);
    move |stop| {
        Box::pin(async move {
            tokio::join!(backlog.run(stop.clone()), relay.run(stop));
        })
    }
}

/// A task that runs to its end.
type Running = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task that runs until the token is cancelled.
type Task = Box<dyn FnOnce(CancellationToken) -> Running>;

/// Runs the task of `command` until SIGTERM or SIGINT, with log, traces and metrics.
fn run_alone(
    command: &str,
    settings: &Settings,
    start: impl FnOnce(&mut Registry, Arc<Conditions>) -> Result<Task, SaleError>,
) -> Outcome {
    let _log = crate::telemetry::start_log(settings)?;
    start_line::log(command, settings, false);
    let traces = start_traces(settings)?;
    block_on(async {
        // Fails early if the database does not exist or has another schema than this program needs.
        sale::open_reader(settings).await?;
        let mut registry = Registry::with_prefix("onsale");
        let conditions = Arc::new(Conditions::default());
        conditions.register(&mut registry);
        let task = start(&mut registry, conditions)?;
        let stop = CancellationToken::new();
        if let Some(address) = settings.metrics_listen {
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|error| {
                Failed::Error(format!("failed to listen on {address} (ONSALE_METRICS_LISTEN): {error}"))
            })?;
            tokio::spawn(serve_metrics(listener, registry, stop.clone()));
        }
        let mut signals = Signals::listen()?;
        let working = tokio::spawn(task(stop.clone()));
        tracing::info!(command, "started; SIGTERM stops this process");
        signals.next().await;
        stop.cancel();
        working.await?;
        traces.finish().await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// Serves `/metrics` and `/healthz` until `stop` is cancelled.
async fn serve_metrics(listener: TcpListener, registry: Registry, stop: CancellationToken) {
    let registry = Arc::new(registry);
    let metrics = move |headers: HeaderMap| async move { http::show_metrics(&headers, &registry) };
    let router = Router::new().route("/metrics", get(metrics)).route("/healthz", get(async || "alive"));
    let router = router.layer(map_response(http::set_default_headers));
    let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await;
    if let Err(error) = served {
        tracing::warn!(%error, "failed to serve metrics; /metrics and /healthz are gone until a restart");
    }
}
