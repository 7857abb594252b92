//! An auditor of waiting rooms that knows nothing of their code: from the answers that people got it proves that the
//! room kept the contract, or names two answers that contradict each other.
//!
//! A record tells when a request was sent and when its answer had come, by the clients' own clock, and nothing of the
//! moment in between at which the room decided. So a rule is held against what the log *proves*: that a place was
//! handed out after its request was sent and before its answer had come, that one who is told to wait as of an instant
//! had not been admitted by then, and so on. What the log leaves open is never held against the room.
//!
//! Instants that the room writes (`asOf`, `issuedAt`, `activeUntil`) are of the room's clock, which all instances share;
//! the log says how far the clients' clock may be from it.

mod age;
mod cap;
mod exact;
mod file;
mod growth;
mod instant;
mod lives;
mod log;
mod order;
mod recorder;
mod report;
mod turns;
mod unique;

pub use instant::{instant, millis_of};
pub use log::{Asked, Fault, Log, Lost, Record, Room, Standing};
pub use recorder::{Answer, Recorder};
pub use report::{Finding, Report, Rule};

use lives::Lives;

/// Holds a log against all rules. O(n log n) in its records; positions are counted after for a sample where there are
/// many.
pub fn audit(log: &Log) -> Report {
    let mut report = Report::of(log);
    let lives = Lives::of(log, &mut report);
    unique::check(log, &lives, &mut report);
    turns::check(log, &lives, &mut report);
    order::check(log, &lives, &mut report);
    cap::check(log, &lives, &mut report);
    growth::check(log, &lives, &mut report);
    exact::check(log, &lives, &mut report);
    age::check(log, &mut report);
    report
}
