//! Newline-delimited JSON in a folder by day: `2026-11-25/onsale.concerts-3.ndjson`. Each event stands there once.
//!
//! A file's length is written down together with the ids of what it holds. Whole lines behind that length were appended
//! by a process that ended before it wrote that down, or the database was restored to an older state: they count as
//! delivered. A line that is not whole is cut off before anything else is appended. A file that is shorter was restored or
//! removed, and goes on at its end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use onsale_app::relay::{Delivery, DeliveryRight, Outbox, Platform, Posted};
use onsale_domain::ids::EventId;
use serde::Deserialize;

use crate::private;

/// No line is longer, in bytes.
const LINE_MAX: u64 = 1 << 20;

/// A folder of files.
pub struct FilePlatform {
    folder: PathBuf,
    outbox: Arc<dyn Outbox>,
    /// Days whose folders are known to be there.
    made: Mutex<HashSet<String>>,
}

impl FilePlatform {
    /// Makes the folder when it is needed.
    pub fn new(folder: &Path, outbox: Arc<dyn Outbox>) -> Self {
        Self { folder: folder.to_owned(), outbox, made: Mutex::default() }
    }

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

    fn append(&self, file: &str, day: &str, from: u64, text: &str) -> io::Result<u64> {
        let path = self.folder.join(file);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.contains(day) {
            private::make_folder(&self.folder.join(day))?;
            File::open(&self.folder)?.sync_all()?;
            made.insert(day.to_owned());
        }
        drop(made);
        let is_new = !path.exists();
        let mut out = private::open(&path)?;
        out.set_len(from)?;
        out.seek(SeekFrom::Start(from))?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        if is_new {
            File::open(self.folder.join(day))?.sync_all()?;
        }
        Ok(from + text.len() as u64)
    }

    /// Appends those events that the file does not hold yet. Returns how long it is then, in bytes.
    async fn append_new(&self, file: &str, day: &str, events: &[&Delivery]) -> Result<u64, String> {
        let noted = self.outbox.length_of(file).await.map_err(|error| error.to_string())?;
        let in_file = |error: io::Error| format!("{file}: {error}");
        let tail = Tail::read(&self.folder.join(file), noted).map_err(in_file)?;
        if tail.end != noted {
            let (is, found) = (tail.end, tail.ids.len());
            tracing::warn!(file, noted, is, found, "a file is not as long as was written down; going on at its end");
        }
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

/// What a file holds beyond the length that is written down.
#[derive(Debug, Default)]
struct Tail {
    ids: Vec<EventId>,
    /// The end of the last whole line, in bytes.
    end: u64,
}

/// The only member of an event that is read here.
#[derive(Deserialize)]
struct Named<'a> {
    id: &'a str,
}

impl Tail {
    /// Reads whole lines from the length that is written down. They are on the disk when this returns.
    fn read(path: &Path, noted: u64) -> io::Result<Self> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        if length <= noted {
            let end = if length < noted { last_line_end(&mut file, length)? } else { noted };
            return Ok(Self { ids: Vec::new(), end });
        }
        file.seek(SeekFrom::Start(noted))?;
        let (mut tail, mut lines, mut line) = (Self { ids: Vec::new(), end: noted }, BufReader::new(file), Vec::new());
        while lines.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let named = serde_json::from_slice::<Named<'_>>(&line).ok();
            let Some(id) = named.and_then(|named| EventId::parse(named.id)) else { break };
            tail.ids.push(id);
            tail.end += line.len() as u64;
            line.clear();
        }
        if !tail.ids.is_empty() {
            lines.get_ref().sync_all()?;
        }
        Ok(tail)
    }
}

/// The end of the last whole line of a file, in bytes.
fn last_line_end(file: &mut File, length: u64) -> io::Result<u64> {
    let from = length.saturating_sub(LINE_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(LINE_MAX).read_to_end(&mut end)?;
    Ok(end.iter().rposition(|byte| *byte == b'\n').map_or(from, |at| from + at as u64 + 1))
}

#[async_trait]
impl Platform for FilePlatform {
    /// Whoever stood still for too long, and woke to find that another process took over, waits here: what it is about
    /// to append and cut off is no longer its to write.
    async fn turn(&self, sources: &BTreeSet<Arc<str>>) -> Result<DeliveryRight, String> {
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
            match self.append_new(&file, day, &events).await {
                Ok(length) => files.push((file, length)),
                Err(reason) => return Posted::Later(reason, None),
            }
        }
        Posted::Delivered(files)
    }
}
