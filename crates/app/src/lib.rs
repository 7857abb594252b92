//! Everything between the rules and the outside: the desk that decides commands in batches, waiting rooms, caches of what
//! clients read, the relay of events, background tasks and the audit.
//!
//! This crate has no SQL, no HTTP and no driver. Databases are behind [`store`]; HTTP handlers call [`desk`].

pub mod admin_log;
pub mod audit;
pub mod background;
pub mod backoff;
pub mod calendar;
pub mod canceller;
pub mod catalogue;
pub mod clock;
pub mod conditions;
pub mod desk;
pub mod draw_event;
pub mod emptier;
pub mod event;
pub mod idempotency;
pub mod live;
pub mod promoter;
pub mod relay;
pub mod retention;
pub mod rewriter;
pub mod seat_map;
pub mod sessions;
pub mod staff;
pub mod store;
pub mod timetable;
pub mod trace;
pub mod waiting_room;
pub mod watch;
