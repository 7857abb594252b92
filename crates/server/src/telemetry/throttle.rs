//! Keeps the log readable while a part is away: the first line of a kind is written at once, and what repeats is counted
//! and written as one line every ten seconds.
//!
//! A kind is the place in the code, the message, and a few fields with few values. Warnings and errors are throttled, and
//! notes that give a `reason`, such as refused bearers: clients can cause as many of these as they like.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// How often what repeats is written.
const EVERY: Duration = Duration::from_secs(10);

/// The target of lines that stand for repeated ones. They are never throttled themselves.
const TARGET: &str = "onsale::repeated";

/// The most kinds of one place in the code; beyond them all are one kind. A message may hold text that never repeats.
const KINDS_MAX: usize = 16;

/// Fields whose values make a kind: a rare error must not hide behind a frequent one of the same place. Other fields, such
/// as an id, differ from line to line.
const KIND_FIELDS: [&str; 11] =
    ["message", "part", "condition", "task", "reason", "error", "bound", "outcome", "status", "name", "setting"];

#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    place: Identifier,
    /// Of the message and the fields of a kind; 0 for all kinds beyond [`KINDS_MAX`].
    fields: u64,
}

/// What repeated since the last line of a kind.
struct Repeats {
    since: Instant,
    level: Level,
    count: u64,
    /// The message and the fields of the first that was not written.
    example: Option<Fields>,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(super) struct Throttle {
    every: Duration,
    /// Kinds that were written or counted lately. Held for map operations only: formatting and writing happen outside.
    kinds: Arc<Mutex<HashMap<Kind, Repeats>>>,
    /// Wakes the thread that writes the counts when there is something to wait for.
    opened: Arc<Condvar>,
}

/// Writes what is left to count when it is dropped, at the end of the program.
#[must_use]
pub(crate) struct LogGuard(Throttle);

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.write_counts(Instant::now(), true);
    }
}

impl Throttle {
    fn new(every: Duration) -> Self {
        Self { every, kinds: Arc::default(), opened: Arc::default() }
    }

    /// Starts the thread that writes the counts. It sleeps while nothing repeats.
    ///
    /// # Errors
    /// If the system gives no thread.
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
                kinds = self.opened.wait(kinds).unwrap_or_else(PoisonError::into_inner);
            }
            let first = kinds.values().map(|repeats| repeats.since).min();
            drop(kinds);
            let due = first.map(|since| (since + self.every).saturating_duration_since(Instant::now()));
            std::thread::sleep(due.unwrap_or_default());
            self.write_counts(Instant::now(), false);
        }
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Kind, Repeats>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event is written now. If not, it is counted.
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
            self.opened.notify_one();
            return true;
        };
        repeats.count += 1;
        if repeats.example.is_none() {
            drop(kinds);
            // Unlocked: a value that is shown may log something itself.
            let mut example = Fields::default();
            event.record(&mut example);
            if let Some(repeats) = self.kinds().get_mut(&kind) {
                repeats.example = Some(example);
            }
        }
        false
    }

    /// Writes a line for each kind that repeated, if its time has come or if `all` are wanted. Forgets kinds that did not.
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

    /// `sometimes` for what is throttled: with `always`, tracing-subscriber (0.3.23, debug builds) asserts that no filter
    /// refuses an event.
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

/// Hashes what makes a kind, without writing it anywhere.
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

/// An event's message, and its other fields as text.
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
        // A String takes all text.
        let _ = written;
    }
}

#[cfg(test)]
mod tests;
