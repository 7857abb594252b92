//! Load generation: requests prepared in advance, sent over kept connections by a few threads, and timed.
//!
//! The benchmark and the rush share the machine with the server that they measure, so a request costs the caller as
//! little as possible: no JSON is written or read, and only status, length and code of a reply are parsed.

mod closed;
mod connection;
mod crew;
mod histogram;
mod open;
mod pacer;
mod program;
mod request;
mod stage;
mod tally;

pub use closed::{Closed, Run, closed};
pub use connection::{Connection, Reply};
pub use crew::{Member, Shift, THREADS, crew, crew_over, process_time};
pub use histogram::Histogram;
pub use open::{Open, open};
pub use pacer::Pacer;
pub use program::Program;
pub use request::{Request, Supply};
pub use stage::{Performance, Stage};
pub use tally::Tally;

/// What may go wrong, in words.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
