//! Newline-delimited JSON in a folder by day: `2026-11-25/onsale.concerts-3.ndjson`. Each event stands there once.
//!
//! A file's length is written down together with the ids of what it holds. Whatever lies behind that length was appended
//! by somebody who died before, and is cut off before anything else is appended.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use onsale_app::relay::{Delivery, Outbox, Platform, Posted, Turn};

use crate::private;

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
}

#[async_trait]
impl Platform for FilePlatform {
    /// Whoever stood still for too long, and woke to find that another process took over, waits here: what it is about
    /// to append and cut off is no longer its to write.
    async fn turn(&self, sources: &BTreeSet<Arc<str>>) -> Result<Turn, String> {
        let locked: Result<Vec<File>, String> = sources.iter().map(|source| self.lock(source)).collect();
        Ok(Turn::holding(locked?))
    }

    async fn post(&self, events: &[Delivery]) -> Posted {
        let mut texts: BTreeMap<(&str, &str), String> = BTreeMap::new();
        for event in events {
            let text = texts.entry((&event.day, &event.source)).or_default();
            text.push_str(&event.json);
            text.push('\n');
        }
        let mut files = Vec::new();
        for ((day, source), text) in texts {
            let file = format!("{day}/{source}.ndjson");
            let appended = match self.outbox.length_of(&file).await {
                Ok(from) => self.append(&file, day, from, &text).map_err(|error| format!("{file}: {error}")),
                Err(error) => Err(error.to_string()),
            };
            match appended {
                Ok(length) => files.push((file, length)),
                Err(reason) => return Posted::Later(reason, None),
            }
        }
        Posted::Delivered(files)
    }
}
