//! Files of delivered events that are longer or shorter than recorded, because the database or the files were restored.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use onsale_adapters::files::FilePlatform;
use onsale_app::relay::{Delivery, Outbox, PlatformSink};

use crate::bed::{Bed, on_each_database};
use crate::forgetting::events;
use crate::restored::{charges, outbox, sql};

/// A folder of files, and events to deliver into it.
struct Folder {
    bed: Bed,
    outbox: Arc<dyn Outbox>,
    folder: tempfile::TempDir,
    events: Vec<Delivery>,
}

impl Folder {
    async fn new(bed: Bed) -> Self {
        let store = bed.store().await;
        charges(&*store, 1, 6).await;
        let events = events(&*store, 6).await.iter().map(Delivery::from).collect();
        let outbox = outbox(&bed);
        Self { bed, outbox, folder: tempfile::tempdir().unwrap(), events }
    }

    async fn deliver(&self, events: &[Delivery]) {
        let platform = Arc::new(FilePlatform::new(self.folder.path(), self.outbox.clone()));
        PlatformSink::new(self.outbox.clone(), platform).deliver(events).await;
    }

    fn file(&self) -> PathBuf {
        let event = &self.events[0];
        self.folder.path().join(&event.day).join(format!("{}.ndjson", event.source))
    }

    /// Asserts that the file contains exactly these events, each once.
    fn holds(&self, events: &[Delivery]) {
        let wanted: Vec<&str> = events.iter().map(|event| event.json.as_str()).collect();
        let text = std::fs::read_to_string(self.file()).unwrap();
        assert!(text.ends_with('\n'));
        assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
    }
}

async fn events_that_a_restored_database_lacks_stay_in_the_files(bed: Bed) {
    let it = Folder::new(bed).await;
    it.deliver(&it.events[..1]).await;
    it.deliver(&it.events[1..4]).await;
    // The database is restored to before the delivery. Some delivered events are sent again, others never.
    sql(&it.bed, "DELETE FROM deliveries; DELETE FROM delivery_files").await;
    it.deliver(&it.events[2..5]).await;
    it.holds(&it.events[..5]);
    it.deliver(&it.events).await;
    it.holds(&it.events);
}

async fn an_incomplete_line_is_cut_off(bed: Bed) {
    let it = Folder::new(bed).await;
    it.deliver(&it.events[..2]).await;
    let torn: [&[u8]; 3] = [&it.events[2].json.as_bytes()[..40], &[0; 100], b"no event\n{}\n"];
    for (torn, known) in torn.into_iter().zip(3..) {
        let mut file = std::fs::OpenOptions::new().append(true).open(it.file()).unwrap();
        file.write_all(torn).unwrap();
        drop(file);
        it.deliver(&it.events[..known]).await;
        it.holds(&it.events[..known]);
    }
    it.deliver(&it.events).await;
    it.holds(&it.events);
}

async fn removed_or_older_files_are_appended_at_their_end(bed: Bed) {
    let it = Folder::new(bed).await;
    it.deliver(&it.events[..2]).await;
    let older = std::fs::read(it.file()).unwrap();
    it.deliver(&it.events[..4]).await;
    std::fs::write(it.file(), &older[..older.len() - 3]).unwrap();
    it.deliver(&it.events[4..5]).await;
    it.holds(&[it.events[0].clone(), it.events[4].clone()]);
    std::fs::remove_file(it.file()).unwrap();
    it.deliver(&it.events[5..]).await;
    it.holds(&it.events[5..]);
}

on_each_database!(
    events_that_a_restored_database_lacks_stay_in_the_files,
    an_incomplete_line_is_cut_off,
    removed_or_older_files_are_appended_at_their_end,
);
