//! The temporary file of an export. It has no name from the start, so nothing is left of it, however the process ends. A writer
//! fills it as fast as the database reads; the answer follows as fast as the client takes it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use onsale_app::store::ExportRow;
use onsale_domain::staff::Export;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Permit;
use super::csv::CsvWriter;
use crate::http::input::staff::TAKEN_WITHIN;

/// Bytes of the file that are sent at once.
const CHUNK: usize = 64 * 1024;

/// How far the file is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spooled {
    /// Bytes that can be read.
    pub(super) length: u64,
    /// Whether that is all.
    pub(super) is_whole: bool,
}

/// Writes rows to the spool file.
pub(super) struct Writer {
    file: Arc<File>,
    list: Export,
    bom: bool,
    /// Dropped without `is_whole` if the export fails: the answer is then cut.
    progress: watch::Sender<Spooled>,
}

/// All rows are in the file.
pub(super) struct Whole(watch::Sender<Spooled>);

impl Whole {
    /// Ends the answer well, once all of it is sent.
    pub(super) fn end(self) {
        self.0.send_modify(|spooled| spooled.is_whole = true);
    }
}

/// Reads the spool file while it is written.
pub(super) struct Spool {
    file: Arc<File>,
    progress: watch::Receiver<Spooled>,
    sent: u64,
    until: Instant,
}

impl Writer {
    /// Makes the file in the folder for temporary files (`TMPDIR`).
    ///
    /// # Errors
    /// If the folder takes no file.
    pub(super) async fn create(list: Export, bom: bool) -> io::Result<(Self, Spool)> {
        let file = Arc::new(blocking(tempfile::tempfile).await?);
        let (progress, receiver) = watch::channel(Spooled::default());
        let spool = Spool { file: file.clone(), progress: receiver, sent: 0, until: Instant::now() + TAKEN_WITHIN };
        Ok((Self { file, list, bom, progress }, spool))
    }

    /// Writes rows until there are no more.
    ///
    /// # Errors
    /// The error of the file; `None` if the answer was dropped because its client is gone.
    pub(super) async fn write(self, rows: mpsc::Receiver<Vec<ExportRow>>) -> Result<Whole, Option<io::Error>> {
        match blocking(move || Ok(self.write_all(rows))).await {
            Ok(written) => written,
            Err(error) => Err(Some(error)),
        }
    }

    fn write_all(self, mut rows: mpsc::Receiver<Vec<ExportRow>>) -> Result<Whole, Option<io::Error>> {
        let mut csv = CsvWriter::begin(Counted { file: &self.file, written: 0 }, self.list, self.bom).map_err(Some)?;
        loop {
            let group = rows.blocking_recv();
            if self.progress.is_closed() {
                return Err(None);
            }
            let is_last = group.is_none();
            group.iter().flatten().try_for_each(|row| csv.row(row)).and_then(|()| csv.flush()).map_err(Some)?;
            // After the flush: all of these bytes can be read.
            let length = csv.get_ref().written;
            self.progress.send_modify(|spooled| spooled.length = length);
            if is_last {
                drop(csv);
                return Ok(Whole(self.progress));
            }
        }
    }
}

/// The file, and the number of bytes in it.
struct Counted<'a> {
    file: &'a File,
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spool {
    /// Waits until all rows are in the file, or until some are and `whole_within` is over. With `must_be_whole` only for all.
    ///
    /// # Errors
    /// If the export has failed.
    pub(super) async fn begun(&mut self, whole_within: Duration, must_be_whole: bool) -> Result<Spooled, ()> {
        let whole = tokio::time::timeout(whole_within, self.progress.wait_for(|spooled| spooled.is_whole)).await;
        if let Ok(whole) = whole.map(|whole| whole.map(|spooled| *spooled)) {
            return whole.map_err(drop);
        }
        let begun = self.progress.wait_for(|spooled| spooled.is_whole || (spooled.length > 0 && !must_be_whole)).await;
        begun.map(|spooled| *spooled).map_err(drop)
    }

    /// The bytes of the file, as they are written. Ends with an error if the export fails: the connection is then closed, and the
    /// client sees that bytes are missing. The permit is kept until the stream is dropped.
    pub(super) fn into_stream(self, permit: Arc<Permit>) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold((self, permit), |(mut spool, permit)| async {
            let chunk = spool.next().await?;
            Ok(chunk.map(|chunk| (chunk, (spool, permit))))
        })
    }

    /// The next bytes; `None` after the last.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Spooled { length, is_whole } = *self.progress.borrow_and_update();
            if self.sent < length {
                let chunk = self.read(length - self.sent).await?;
                self.sent += chunk.len() as u64;
                return Ok(Some(chunk));
            }
            if is_whole {
                return Ok(None);
            }
            let changed = tokio::time::timeout_at(self.until, self.progress.changed()).await;
            changed.map_err(io::Error::other)?.map_err(io::Error::other)?;
        }
    }

    /// Reads the next chunk, of at most `left` bytes.
    async fn read(&self, left: u64) -> io::Result<Bytes> {
        if Instant::now() >= self.until {
            return Err(io::Error::other("the client did not take an export within 15 minutes"));
        }
        let (file, from) = (self.file.clone(), self.sent);
        let size = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        blocking(move || {
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, from)?;
            Ok(bytes.into())
        })
        .await
    }
}

/// Runs a call that waits for the disk.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(call).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
