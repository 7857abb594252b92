//! SQLite's log stays short, whichever process writes.

use onsale_adapters::sqlite::SqliteOutbox;
use onsale_app::relay::Outbox;
use onsale_domain::ids::EventId;
use uuid::Uuid;

use crate::bed::Bed;

/// What each note makes of the log is a few MiB: its ids lie everywhere in their table.
const IDS: usize = 2_000;
const NOTES: usize = 40;

/// What is moved into the file at 16 MiB has grown by one note, and by what came while it was moved.
const LENGTH_MAX: u64 = 28 * 1_048_576;

#[tokio::test]
async fn what_a_relay_writes_is_moved_into_the_file_while_the_server_writes_nothing() {
    let bed = Bed::sqlite();
    let Bed::Sqlite { folder, .. } = &bed else { unreachable!("a file") };
    let outbox = SqliteOutbox::new(&folder.path().join("sale.db"));
    for note in 0..NOTES {
        // Golden ratio steps: spread over the whole table.
        let id = |number: usize| {
            let step = u128::try_from(note * IDS + number + 1).unwrap();
            EventId::new(Uuid::from_u128(step.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
        };
        outbox.note_delivered(&(0..IDS).map(id).collect::<Vec<_>>(), &[]).await.unwrap();
    }
    let length = std::fs::metadata(folder.path().join("sale.db-wal")).unwrap().len();
    assert!(length < LENGTH_MAX, "{length} bytes of log");
}
