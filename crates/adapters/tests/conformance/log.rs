//! SQLite's log stays short, whichever process writes to it.

use onsale_adapters::sqlite::SqliteOutbox;
use onsale_app::relay::Outbox;
use onsale_domain::ids::EventId;
use uuid::Uuid;

use crate::bed::Bed;

/// Deliveries per transaction. Their ids are spread over the whole table, so each transaction adds a few MiB to the log.
const IDS: usize = 2_000;
const NOTES: usize = 40;

/// The log is moved from 16 MiB on. It may have grown by one transaction, and by what was written meanwhile.
const LENGTH_MAX: u64 = 28 * 1_048_576;

#[tokio::test]
async fn writes_of_a_relay_are_moved_into_the_file_without_a_server() {
    let bed = Bed::sqlite();
    let Bed::Sqlite { folder, .. } = &bed else { unreachable!("a file") };
    let outbox = SqliteOutbox::new(&folder.path().join("sale.db"));
    for note in 0..NOTES {
        // Steps of the golden ratio spread the ids over the whole table.
        let id = |number: usize| {
            let step = u128::try_from(note * IDS + number + 1).unwrap();
            EventId::new(Uuid::from_u128(step.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
        };
        outbox.note_delivered(&(0..IDS).map(id).collect::<Vec<_>>(), &[]).await.unwrap();
    }
    let length = std::fs::metadata(folder.path().join("sale.db-wal")).unwrap().len();
    assert!(length < LENGTH_MAX, "{length} bytes of log");
}
