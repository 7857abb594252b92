//! What is watched while a scenario runs: liveness, resources, and the server's own metrics.

mod metrics;
mod probe;
mod resources;

pub(super) use metrics::{Metrics, Route};
pub(super) use probe::{Liveness, Probe};
pub(super) use resources::{Group, Resources, Watch};
