//! A line of the table.

use super::Target;

/// Whether a target was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The line has no target, or another line decides.
    #[default]
    Unjudged,
    /// The target was reached.
    Reached,
    /// The target was missed. Noise can cause that.
    Missed,
    /// An answer was wrong, so the numbers mean nothing.
    Failed,
}

/// A measured value with its unit.
#[derive(Clone, Debug, Default)]
pub(crate) enum Figure {
    /// The column does not apply.
    #[default]
    None,
    /// Answers, transactions or events per second.
    PerSecond(f64),
    /// A duration in milliseconds.
    Millis(f64),
    /// A duration in seconds.
    Seconds(f64),
    /// Memory in bytes.
    Bytes(f64),
    /// Memory in units of 1,024 bytes.
    Kilobytes(f64),
    /// Memory in units of 1,048,576 bytes.
    Megabytes(f64),
    /// A value with words that say what it is.
    Words(String),
}

/// A line. Fields that do not apply are empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) work: String,
    /// Number of open connections; 0 if that does not apply.
    pub(crate) connections: usize,
    pub(crate) result: Figure,
    /// What the reference reached in the same seconds.
    pub(crate) reference: Figure,
    /// The result divided by the reference: the median of the rounds.
    pub(crate) ratio: Option<f64>,
    pub(crate) target: String,
    pub(crate) verdict: Verdict,
    pub(crate) p50_millis: Option<f64>,
    pub(crate) p99_millis: Option<f64>,
    /// Processor time of the program per answer, in microseconds.
    pub(crate) cpu_micros: Option<f64>,
    /// Processor time of all processes of Postgres per answer, in microseconds.
    pub(crate) database_micros: Option<f64>,
    /// Average number of commands per batch.
    pub(crate) batch: Option<f64>,
    /// Bytes of Postgres' write-ahead log per answer.
    pub(crate) wal_bytes: Option<f64>,
}

impl Line {
    /// A line without values.
    pub(crate) fn new(work: impl Into<String>) -> Self {
        Self { work: work.into(), ..Self::default() }
    }

    /// The same line, with the target and whether this value reaches it.
    pub(crate) fn judged(self, target: Target, value: f64) -> Self {
        self.judged_if(target, target.is_reached_by(value))
    }

    /// The same line, with the target and whether it is reached, if more than a number decides.
    pub(crate) fn judged_if(self, target: Target, is_reached: bool) -> Self {
        let verdict = match (target.exists(), is_reached) {
            (false, _) => Verdict::Unjudged,
            (true, true) => Verdict::Reached,
            (true, false) => Verdict::Missed,
        };
        Self { target: target.to_string(), verdict, ..self }
    }
}
