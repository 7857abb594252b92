//! Metrics over all waiting rooms.

use std::sync::Arc;

use onsale_app::waiting_room::Rooms;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

/// Gauges over all waiting rooms of this instance. Computed when Prometheus scrapes, so they cost nothing in between.
pub(crate) struct RoomTotals(pub(crate) Arc<Rooms>);

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
            ("waiting_room_active", "Visitors with an active turn, over all rooms", active),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
