//! Newline-delimited JSON in a folder by day: `2026-11-25/onsale.concerts-3.ndjson`. Each event stands there once.
//!
//! A file's length is written down together with the ids of what it holds. Whatever lies behind that length was appended
//! by somebody who died before, and is cut off before anything else is appended.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use onsale_app::relay::{Delivery, Outbox, Platform, Posted};

/// A folder of files.
pub struct FilePlatform {
    folder: PathBuf,
    outbox: Arc<dyn Outbox>,
    /// Days whose folders are known to be there.
    made: Mutex<HashSet<String>>,
    is_well: AtomicBool,
}

impl FilePlatform {
    /// Makes the folder when it is needed.
    pub fn new(folder: &Path, outbox: Arc<dyn Outbox>) -> Self {
        Self { folder: folder.to_owned(), outbox, made: Mutex::default(), is_well: AtomicBool::new(true) }
    }

    fn append(&self, file: &str, day: &str, from: u64, text: &str) -> io::Result<u64> {
        let path = self.folder.join(file);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.contains(day) {
            std::fs::create_dir_all(self.folder.join(day))?;
            std::fs::File::open(&self.folder)?.sync_all()?;
            made.insert(day.to_owned());
        }
        drop(made);
        let is_new = !path.exists();
        let mut out = std::fs::OpenOptions::new().create(true).write(true).truncate(false).open(&path)?;
        out.set_len(from)?;
        out.seek(SeekFrom::Start(from))?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        if is_new {
            std::fs::File::open(self.folder.join(day))?.sync_all()?;
        }
        Ok(from + text.len() as u64)
    }
}

#[async_trait]
impl Platform for FilePlatform {
    async fn post(&self, source: &str, events: &[Delivery]) -> Posted {
        let mut days: BTreeMap<&str, String> = BTreeMap::new();
        for event in events {
            let text = days.entry(&event.day).or_default();
            text.push_str(&event.json);
            text.push('\n');
        }
        let mut files = Vec::new();
        for (day, text) in days {
            let file = format!("{day}/{source}.ndjson");
            let appended = match self.outbox.length_of(&file).await {
                Ok(from) => self.append(&file, day, from, &text).map_err(|error| format!("{file}: {error}")),
                Err(error) => Err(error.to_string()),
            };
            self.is_well.store(appended.is_ok(), Ordering::Relaxed);
            match appended {
                Ok(length) => files.push((file, length)),
                Err(reason) => return Posted::Later(reason, None),
            }
        }
        Posted::Delivered(files)
    }

    fn is_well(&self) -> bool {
        self.is_well.load(Ordering::Relaxed)
    }
}
