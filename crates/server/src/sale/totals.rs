//! Metrics over the whole instance, computed when they are read: waiting rooms, readiness, the version.

use std::sync::Arc;

use onsale_app::waiting_room::Rooms;
use onsale_app::watch::DatabaseWatch;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use super::Sale;
use crate::http::Stopping;

/// Whether this instance is ready, as `/readyz` returns it. Computed when Prometheus scrapes.
struct Ready {
    database: Arc<DatabaseWatch>,
    stopping: Stopping,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ready")
    }
}

impl Collector for Ready {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let is_ready = !self.stopping.is_leaving() && self.database.trouble().is_none();
        let gauge = ConstGauge::new(i64::from(is_ready));
        let help = "1 while /readyz answers 200";
        let metric = encoder.encode_descriptor("ready", help, None, gauge.metric_type())?;
        gauge.encode(metric)
    }
}

/// Registers the metrics of this file, and `build_info`: 1, with the version as label.
pub(crate) fn register_totals(registry: &mut Registry, sale: &Sale, stopping: &Stopping) {
    let build = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
    registry.register("build_info", "1, with the version of this program", build);
    registry.register_collector(Box::new(RoomTotals(sale.rooms.clone())));
    registry.register_collector(Box::new(Ready { database: sale.database.clone(), stopping: stopping.clone() }));
}

/// Gauges over all waiting rooms of this instance. Computed when Prometheus scrapes, so they cost nothing in between.
struct RoomTotals(Arc<Rooms>);

impl std::fmt::Debug for RoomTotals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RoomTotals")
    }
}

impl Collector for RoomTotals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (waiting, active) = self.0.totals();
        let rooms = self.0.count() as u64;
        for (name, help, value) in [
            ("waiting_room_rooms", "Waiting rooms in memory: those that are not retired", rooms),
            ("waiting_room_waiting", "Visitors who wait, over all rooms", waiting),
            (
                "waiting_room_free_turns",
                "Free turns of rooms in which visitors wait, closed sales left out",
                self.0.free_turns(),
            ),
            ("waiting_room_active", "Visitors with an active turn, over all rooms", active),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
