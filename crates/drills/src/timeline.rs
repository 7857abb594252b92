//! What happened when: the seconds of a drill, counted from its cause.

use std::io::{Write, stderr};
use std::time::Instant;

/// The notes of one drill, in their order.
#[derive(Debug)]
pub(crate) struct Timeline {
    drill: &'static str,
    zero: Instant,
    notes: Vec<(f64, String)>,
}

impl Timeline {
    /// An empty timeline that begins now.
    pub(crate) fn of(drill: &'static str) -> Self {
        Self { drill, zero: Instant::now(), notes: Vec::new() }
    }

    /// Counts from now on. Notes from before have negative seconds.
    pub(crate) fn cause(&mut self) {
        let before = self.zero.elapsed().as_secs_f64();
        self.notes.iter_mut().for_each(|(at, _)| *at -= before);
        self.zero = Instant::now();
    }

    /// Seconds since the cause.
    pub(crate) fn seconds(&self) -> f64 {
        self.zero.elapsed().as_secs_f64()
    }

    /// Adds a note, and prints it.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        let (at, text) = (self.seconds(), text.into());
        // A closed standard error is no reason to fail.
        drop(writeln!(stderr(), "{:<20} {at:>7.1} s  {text}", self.drill));
        self.notes.push((at, text));
    }

    /// The notes as lines.
    pub(crate) fn lines(&self) -> String {
        self.notes.iter().map(|(at, text)| format!("{at:>7.1} s  {text}\n")).collect()
    }
}
