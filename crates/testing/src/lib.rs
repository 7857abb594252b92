//! Support for onsale's tests. Tests share no server, folder or port, unless a helper's comment allows it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

pub mod auditor;
mod balancer;
mod bearer;
mod caller;
mod clock;
mod contract;
mod disk;
mod faults;
mod folder;
mod instance;
mod instant;
pub mod kafka;
mod limits;
mod network;
mod nginx;
mod part;
mod patience;
mod port;
pub mod postgres;
mod preload;
mod processes;
mod prometheus;
pub mod redis;
mod sale;
mod shipped;
mod signal;
mod used;
mod watchdog;
mod wire_cutter;
mod workload;

pub use balancer::Balancer;
pub use bearer::bearer;
pub use caller::{Call, Caller, Reply};
pub use clock::WallClock;
pub use contract::Contract;
pub use faults::{Fault, Faults};
pub use folder::is_shared;
pub use instance::{Instance, Launch};
pub use instant::{iso, now_millis};
pub use limits::{Limited, Limits, Means, Usage, allow_open_files};
pub use network::{Network, in_own_network};
pub use nginx::Nginx;
pub use part::{absent, without};
pub use patience::PATIENCE;
pub use port::Port;
pub use prometheus::Prometheus;
pub use sale::{ADMIN_KEY, Sale};
pub use shipped::{alert_rules, scrape_configuration, shipped};
pub use signal::{Signal, signal};
pub use used::Used;
pub use wire_cutter::WireCutter;
pub use workload::{Dice, Running, Workload};
