//! What onsale does with its rules. Knows no SQL, no HTTP and no driver: those stand behind [`store`] and in front
//! of [`desk`].

pub mod audit;
pub mod background;
pub mod backoff;
pub mod calendar;
pub mod catalogue;
pub mod clock;
pub mod conditions;
pub mod desk;
pub mod event;
pub mod idempotency;
pub mod relay;
pub mod retention;
pub mod seat_map;
pub mod store;
pub mod timetable;
pub mod trace;
pub mod waiting_room;
pub mod watch;
