//! `onsale seed`: fills an empty database with sample data.

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
    print(if seeded { "added the sample data" } else { "the database is not empty; nothing was added" })
}
