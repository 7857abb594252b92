//! Where events go: Kafka, and the data platform.

use std::sync::Arc;

use onsale_adapters::files::FilePlatform;
use onsale_adapters::kafka::KafkaSink;
use onsale_adapters::webhook::WebhookPlatform;
use onsale_app::conditions::Conditions;
use onsale_app::relay::{Platform, PlatformSink};

use super::SaleError;
use super::databases::outbox;
use crate::settings::{PlatformSettings, Settings};

/// The sink of `onsale consume`: the data platform at a URL, or files.
///
/// # Errors
/// [`SaleError::Client`] if the HTTP client cannot be created.
pub(crate) fn platform_sink(settings: &Settings, conditions: &Arc<Conditions>) -> Result<Arc<PlatformSink>, SaleError> {
    let outbox = outbox(settings);
    let PlatformSettings { url, key, folder } = &settings.platform;
    let platform: Arc<dyn Platform> = match url {
        Some(url) => Arc::new(WebhookPlatform::new(url, key.clone()).map_err(SaleError::Client)?),
        None => Arc::new(FilePlatform::new(folder, outbox.clone())),
    };
    Ok(Arc::new(PlatformSink::new(outbox, platform).shown_on(conditions.clone())))
}

/// The sink of the relay: Kafka, if the settings name brokers.
///
/// # Errors
/// [`SaleError::Client`] if the Kafka client cannot be created.
pub(crate) fn kafka_sink(settings: &Settings) -> Result<Option<Arc<KafkaSink>>, SaleError> {
    settings.kafka.as_ref().map(|kafka| KafkaSink::new(kafka).map(Arc::new).map_err(SaleError::Client)).transpose()
}
