//! An auditor of waiting rooms that shares no code with them. From the answers that clients got it proves that the
//! room kept the contract, or names two answers that contradict each other.
//!
//! A record has the times at which a request was sent and its answer arrived, by the clients' own clock. It does not have
//! the moment in between at which the room decided. So each rule is checked against what the log *proves*: a place was
//! handed out after its request was sent and before its answer arrived, a client with a position as of an instant
//! was not admitted by then, and so on. If the log leaves something open, the room gets the benefit of the doubt.
//!
//! Instants from the room (`asOf`, `issuedAt`, `activeUntil`) are of the room's clock, which all instances share.
//! The log states the largest difference between that clock and the clients'.

mod age;
mod cap;
mod drawn;
mod exact;
mod file;
mod growth;
mod instant;
mod lives;
mod log;
mod opening;
mod order;
mod recorder;
mod report;
mod turns;
mod unique;

pub use drawn::{Drawn, Opening};
pub use instant::{instant, millis_of};
pub use log::{Asked, Fault, Log, Lost, Record, Room, Standing};
pub use recorder::{Answer, Recorder};
pub use report::{Finding, Report, Rule};

use lives::Lives;

/// Checks a log against all rules in O(n log n) of its records. If there are many positions, a sample of them is
/// counted again.
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
    opening::check(log, &lives, &mut report);
    report
}
