//! Load over real HTTP: requests prepared in advance, sent over kept connections by a few threads, and timed.
//!
//! The benchmark and the rush share the machine with the server that they measure, so a request costs the caller as little as
//! possible: no JSON is written or read, and only status, length and code of a reply are parsed. That is why the connection is
//! our own and not a general client. The row `generator` of `./bench` compares it with `wrk` on an empty handler.

mod admin;
mod closed_loop;
mod connection;
mod histogram;
mod open_loop;
mod pacer;
mod program;
mod request;
mod tally;
mod threads;

pub use admin::{Admin, Performance};
pub use closed_loop::{ClosedLoop, Run, closed_loop};
pub use connection::{Connection, Reply};
pub use histogram::Histogram;
pub use open_loop::{OpenLoop, open_loop, open_loop_of};
pub use pacer::Pacer;
pub use program::Program;
pub use request::{Request, Supply};
pub use tally::Tally;
pub use threads::{THREADS, ThreadRuns, ThreadShare, process_time, run_threads, run_threads_over};

/// A result whose error is text for the person who runs the program.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
