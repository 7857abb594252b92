//! Keeps the log readable during an outage: the first line of a kind is written at once, and repetitions are counted and
//! written as one line every ten seconds.
//!
//! Lines are of one kind if they come from the same place in the code with the same message and the same values of a few
//! fields ([`KIND_FIELDS`]). Throttled are warnings, errors, and notes with a `reason`, such as refused bearers, because a
//! client can cause any number of these. Other lines all pass.
//!
//! By hand, because `tracing-throttle` (0.4) distinguishes lines by every field except those on a list: a field that the list
//! forgets, such as a new id, lets every line through. Here only listed fields count.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// The time from one count of a kind to the next.
const EVERY: Duration = Duration::from_secs(10);

/// The target of lines that report repetitions. These lines are not throttled themselves.
const TARGET: &str = "onsale::repeated";

/// The most kinds from one place in the code. Beyond that they share one kind: a message may contain text that never repeats,
/// and the table must not grow with it.
const KINDS_MAX: usize = 16;

/// Fields whose values distinguish kinds. A rare error must not hide behind a frequent one from the same place. Other fields,
/// such as ids, differ from line to line and do not.
const KIND_FIELDS: [&str; 11] =
    ["message", "part", "condition", "task", "reason", "error", "bound", "outcome", "status", "name", "setting"];

/// The key under which lines are counted together.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    place: Identifier,
    /// Hash of the message and the [`KIND_FIELDS`]; 0 for all kinds beyond [`KINDS_MAX`].
    fields: u64,
}

/// Repetitions of a kind since its last line.
struct Repeats {
    /// When the last line of the kind was written.
    since: Instant,
    level: Level,
    count: u64,
    /// The message and the fields of the first line that was not written.
    example: Option<Fields>,
}

/// A filter for log lines, as the module describes. Clones share their counts.
#[derive(Clone)]
pub(super) struct Throttle {
    every: Duration,
    /// Kinds with a line within the last [`EVERY`]. Guards the counts, and is held for map operations only: formatting a value
    /// or writing a line may log in turn, and would wait for this lock forever.
    kinds: Arc<Mutex<HashMap<Kind, Repeats>>>,
    /// Goes with `kinds`: wakes the thread that writes the counts when the map is no longer empty.
    not_empty: Arc<Condvar>,
}

/// Writes the remaining counts when it is dropped, at the end of the program.
#[must_use]
pub(crate) struct LogGuard(Throttle);

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.write_counts(Instant::now(), true);
    }
}

impl Throttle {
    fn new(every: Duration) -> Self {
        Self { every, kinds: Arc::default(), not_empty: Arc::default() }
    }

    /// Starts the thread that writes the counts. It sleeps while no line is throttled.
    ///
    /// # Errors
    /// `io::Error` if the system refuses the thread.
    pub(super) fn start() -> std::io::Result<(Self, LogGuard)> {
        let throttle = Self::new(EVERY);
        let counting = throttle.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || counting.run())?;
        Ok((throttle.clone(), LogGuard(throttle)))
    }

    fn run(&self) {
        loop {
            let mut kinds = self.kinds();
            while kinds.is_empty() {
                self.not_empty.wait(&mut kinds);
            }
            let first = kinds.values().map(|repeats| repeats.since).min();
            drop(kinds);
            let due = first.map(|since| (since + self.every).saturating_duration_since(Instant::now()));
            std::thread::sleep(due.unwrap_or_default());
            self.write_counts(Instant::now(), false);
        }
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Kind, Repeats>> {
        self.kinds.lock()
    }

    /// Returns whether a line is written now. If not, counts it.
    fn admits(&self, event: &Event<'_>) -> bool {
        let mut hashed = KindHash(DefaultHasher::new());
        event.record(&mut hashed);
        let metadata = event.metadata();
        let place = metadata.callsite();
        let mut kind = Kind { place: place.clone(), fields: hashed.0.finish().max(1) };
        let mut kinds = self.kinds();
        if !kinds.contains_key(&kind) && kinds.keys().filter(|kind| kind.place == place).count() >= KINDS_MAX {
            kind.fields = 0;
        }
        let Some(repeats) = kinds.get_mut(&kind) else {
            let (since, level) = (Instant::now(), *metadata.level());
            kinds.insert(kind, Repeats { since, level, count: 0, example: None });
            self.not_empty.notify_one();
            return true;
        };
        repeats.count += 1;
        if repeats.example.is_none() {
            drop(kinds);
            // Without the lock: formatting a value may log something itself. Another thread may store its example meanwhile;
            // any example is good.
            let mut example = Fields::default();
            event.record(&mut example);
            if let Some(repeats) = self.kinds().get_mut(&kind) {
                repeats.example = Some(example);
            }
        }
        false
    }

    /// Writes a line for each kind that repeated and whose time has come, or for each that repeated if `all`. Forgets kinds
    /// that did not repeat: their next line is written at once.
    fn write_counts(&self, now: Instant, all: bool) {
        let mut due = Vec::new();
        self.kinds().retain(|_, repeats| {
            let elapsed = now.saturating_duration_since(repeats.since);
            if !all && elapsed < self.every {
                return true;
            }
            if repeats.count == 0 {
                return false;
            }
            due.push((repeats.level, std::mem::take(&mut repeats.count), elapsed, repeats.example.take()));
            repeats.since = now;
            true
        });
        for (level, repeated, elapsed, example) in due {
            let Fields { message, others } = example.unwrap_or_default();
            let (seconds, last) = (elapsed.as_secs(), others.as_str());
            match level {
                Level::ERROR => tracing::error!(target: TARGET, repeated, seconds, last, "{message}"),
                Level::WARN => tracing::warn!(target: TARGET, repeated, seconds, last, "{message}"),
                _ => tracing::info!(target: TARGET, repeated, seconds, last, "{message}"),
            }
        }
    }
}

fn is_throttled(metadata: &Metadata<'_>) -> bool {
    let can_repeat = *metadata.level() <= Level::WARN || metadata.fields().field("reason").is_some();
    can_repeat && metadata.target() != TARGET
}

impl<S> Filter<S> for Throttle {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    /// Returns `sometimes` for lines that may be throttled. With `always`, tracing-subscriber 0.3.23 asserts in debug builds
    /// that no filter refuses an event.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_throttled(metadata) { Interest::sometimes() } else { Interest::always() }
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        !is_throttled(event.metadata()) || self.admits(event)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

/// Hashes the message and the [`KIND_FIELDS`] of a line without allocating their text.
struct KindHash(DefaultHasher);

impl Write for KindHash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Visit for KindHash {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if KIND_FIELDS.contains(&field.name()) {
            field.name().hash(&mut self.0);
            let _ = write!(self, "{value:?}");
        }
    }
}

/// The message of a line, and its other fields as text.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if self.others.is_empty() => write!(self.others, "{name}={value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
        // Writing to a `String` cannot fail.
        let _ = written;
    }
}

#[cfg(test)]
mod tests;
