//! Newline-delimited JSON in a folder per day: `2026-11-25/onsale.concerts-3.ndjson`. Each event is in the files once.
//!
//! The database records the length of each file together with the ids of its events. Complete lines after that length
//! were appended by a process that crashed before it recorded them, or the database was restored to an older state: they
//! count as delivered. An incomplete last line is cut off before the next append. A file that is shorter than recorded
//! was restored or removed: appending continues at its end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use onsale_app::relay::{Delivery, DeliveryRight, Outbox, Platform, Posted};
use onsale_domain::ids::EventId;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::private;

/// Maximum length of a line in bytes. Lines of events are far shorter.
const LINE_MAX: u64 = 1 << 20;

/// A data platform that is a folder of files.
pub struct FilePlatform {
    folder: PathBuf,
    outbox: Arc<dyn Outbox>,
    /// Days whose folders exist on the disk. Held while a folder is made, so that it is made and synced once; one entry per
    /// day is kept.
    made: Mutex<HashSet<String>>,
}

impl FilePlatform {
    /// Makes the folder with the first delivery. `outbox` keeps the recorded lengths.
    pub fn new(folder: &Path, outbox: Arc<dyn Outbox>) -> Self {
        Self { folder: folder.to_owned(), outbox, made: Mutex::default() }
    }

    /// Takes the lock of a source's files. The system drops it when the file is closed or the process ends.
    fn lock(&self, source: &str) -> Result<File, String> {
        let folder = self.folder.join(".locks");
        let path = folder.join(source);
        let opened = private::make_folder(&folder)
            .and_then(|()| private::open(&path))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        match opened.try_lock() {
            Ok(()) => Ok(opened),
            Err(TryLockError::WouldBlock) => Err(format!("{}: another process writes these files", path.display())),
            Err(TryLockError::Error(error)) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Cuts a file to `from` bytes and appends a text. Returns the new length; the text is then on the disk.
    fn append(&self, file: &str, day: &str, from: u64, text: &str) -> io::Result<u64> {
        let path = self.folder.join(file);
        let mut made = self.made.lock();
        if !made.contains(day) {
            private::make_folder(&self.folder.join(day))?;
            // A new folder survives a crash only after its parent is synced.
            File::open(&self.folder)?.sync_all()?;
            made.insert(day.to_owned());
        }
        drop(made);
        let is_new = !path.exists();
        let mut out = private::open(&path)?;
        // Cut first: bytes after `from` are an incomplete line.
        out.set_len(from)?;
        out.seek(SeekFrom::Start(from))?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        // A new file survives a crash only after its folder is synced.
        if is_new {
            File::open(self.folder.join(day))?.sync_all()?;
        }
        Ok(from + text.len() as u64)
    }

    /// Appends the events that the file does not contain yet. Returns its length after that, in bytes.
    async fn append_new(&self, file: &str, day: &str, events: &[&Delivery]) -> Result<u64, String> {
        let recorded = self.outbox.length_of(file).await.map_err(|error| error.to_string())?;
        let in_file = |error: io::Error| format!("{file}: {error}");
        let tail = Tail::read(&self.folder.join(file), recorded).map_err(in_file)?;
        if tail.end != recorded {
            let (length, events) = (tail.end, tail.ids.len());
            tracing::warn!(
                file,
                recorded,
                length,
                events,
                "file length differs from the recorded one; appending at its end"
            );
        }
        // Recorded before anything is appended: otherwise a crash in between would deliver these events twice.
        if !tail.ids.is_empty() {
            let files = [(file.to_owned(), tail.end)];
            self.outbox.note_delivered(&tail.ids, &files).await.map_err(|error| error.to_string())?;
        }
        let held: HashSet<EventId> = tail.ids.into_iter().collect();
        let mut text = String::new();
        for event in events.iter().filter(|event| !held.contains(&event.id)) {
            text.push_str(&event.json);
            text.push('\n');
        }
        self.append(file, day, tail.end, &text).map_err(in_file)
    }
}

/// The part of a file after its recorded length.
#[derive(Debug, Default)]
struct Tail {
    /// The events of its complete lines.
    ids: Vec<EventId>,
    /// The end of the last complete line, in bytes from the beginning of the file.
    end: u64,
}

/// The only member of an event that is needed here.
#[derive(Deserialize)]
struct Named<'a> {
    id: &'a str,
}

impl Tail {
    /// Reads the complete lines after the recorded length. They are on the disk when this returns.
    fn read(path: &Path, recorded: u64) -> io::Result<Self> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        if length <= recorded {
            let end = if length < recorded { last_line_end(&mut file, length)? } else { recorded };
            return Ok(Self { ids: Vec::new(), end });
        }
        file.seek(SeekFrom::Start(recorded))?;
        let mut tail = Self { ids: Vec::new(), end: recorded };
        let (mut lines, mut line) = (BufReader::new(file), Vec::new());
        while lines.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let named = serde_json::from_slice::<Named<'_>>(&line).ok();
            let Some(id) = named.and_then(|named| EventId::parse(named.id)) else { break };
            tail.ids.push(id);
            tail.end += line.len() as u64;
            line.clear();
        }
        // The process that appended these lines may have crashed before its sync.
        if !tail.ids.is_empty() {
            lines.get_ref().sync_all()?;
        }
        Ok(tail)
    }
}

/// The end of the last complete line of a file, in bytes.
fn last_line_end(file: &mut File, length: u64) -> io::Result<u64> {
    let from = length.saturating_sub(LINE_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(LINE_MAX).read_to_end(&mut end)?;
    Ok(end.iter().rposition(|byte| *byte == b'\n').map_or(from, |at| from + at as u64 + 1))
}

#[async_trait]
impl Platform for FilePlatform {
    /// Locks the files of these sources. A process that was stopped for so long that another one took over its parts fails
    /// here, before it could cut off or append to files that are no longer its own.
    async fn acquire(&self, sources: &BTreeSet<Arc<str>>) -> Result<DeliveryRight, String> {
        // A set is sorted, so two processes lock the sources in the same order. `try_lock` does not wait anyway.
        let locked: Result<Vec<File>, String> = sources.iter().map(|source| self.lock(source)).collect();
        Ok(DeliveryRight::holding(locked?))
    }

    async fn post(&self, events: &[Delivery]) -> Posted {
        let mut by_file: BTreeMap<(&str, &str), Vec<&Delivery>> = BTreeMap::new();
        for event in events {
            by_file.entry((&event.day, &event.source)).or_default().push(event);
        }
        let mut files = Vec::new();
        for ((day, source), events) in by_file {
            let file = format!("{day}/{source}.ndjson");
            // One file after another: what was appended before an error is found by the next try and not appended again.
            match self.append_new(&file, day, &events).await {
                Ok(length) => files.push((file, length)),
                Err(reason) => return Posted::Later(reason, None),
            }
        }
        Posted::Delivered(files)
    }
}
