//! `onsale seed`: samples into an empty database.

use prometheus_client::registry::Registry;

use super::{Outcome, block_on, demo, print};
use crate::sale::Sale;
use crate::settings::Settings;

pub(super) fn run(settings: &Settings) -> Outcome {
    let _log = crate::telemetry::start_log(settings)?;
    let seeded = block_on(async {
        let sale = Sale::open(settings, &mut Registry::default()).await?;
        let seeded = demo::seed(&sale, settings).await;
        sale.close().await;
        seeded
    })?;
    print(if seeded { "samples are in" } else { "the database is not empty; nothing was added" })
}
