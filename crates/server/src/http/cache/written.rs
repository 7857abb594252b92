//! A text that is written once and sent to many clients: as it is, or in gzip if the client takes that.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Shorter texts gain nothing: they travel in one packet either way.
const PACKED_FROM: usize = 1_024;

/// A text, its digest, and its gzip form once a client asked for it.
#[derive(Debug)]
pub(crate) struct Written {
    text: Bytes,
    digest: u64,
    packed: OnceLock<Option<Bytes>>,
    /// Relaxed everywhere: a sum that orders nothing.
    cost_nanos: AtomicU64,
}

impl Written {
    /// Runs `write`, and measures how long it takes.
    pub(crate) fn new(write: impl FnOnce() -> Bytes) -> Self {
        let began = Instant::now();
        let text = write();
        let mut hasher = DefaultHasher::new();
        hasher.write(&text);
        let written = Self { digest: hasher.finish(), text, packed: OnceLock::new(), cost_nanos: AtomicU64::new(0) };
        written.spent(began.elapsed());
        written
    }

    /// The text, not compressed.
    pub(crate) fn text(&self) -> &Bytes {
        &self.text
    }

    /// A number that differs for texts that differ.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The text in gzip, compressed by the first caller. `None` if the text is shorter than 1 KiB, or if gzip does not make
    /// it shorter.
    pub(crate) fn packed(&self) -> Option<&Bytes> {
        let pack = || {
            let began = Instant::now();
            let packed = gzip(&self.text);
            self.spent(began.elapsed());
            packed
        };
        self.packed.get_or_init(|| if self.text.len() < PACKED_FROM { None } else { pack() }).as_ref()
    }

    /// How long it took to write and to compress, in nanoseconds.
    pub(crate) fn cost_nanos(&self) -> u64 {
        self.cost_nanos.load(Ordering::Relaxed)
    }

    fn spent(&self, time: Duration) {
        self.cost_nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

fn gzip(text: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < text.len()).then(|| packed.into())
}
