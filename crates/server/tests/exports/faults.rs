//! Exports whose temporary file cannot be made or written.

use onsale_testing::{Fault, Faults, Sale};
use serde_json::{Value, json};

use crate::support::room::room;
use crate::support::{ONSALE, logged};
use crate::{cells, csv_of};

#[tokio::test]
async fn a_full_disk_ends_an_export_and_nothing_else() {
    let (faults, launch) = Faults::under(Sale::launch(ONSALE));
    let sale = Sale::start(&launch).await;
    let performance = sale.performance(&sale.concert(&room(10)).await, &Value::Null).await;
    faults.fail_temporary_writes(Fault::Full);
    for _ in 0..3 {
        csv_of(&sale, &performance).refused(503, "unavailable").await;
    }
    assert!(faults.writes_failed() >= 3);
    logged(&sale, "failed to write the temporary file of an export").await;
    sale.charge("ada", 1).await;
    faults.mend();
    assert_eq!(cells(&csv_of(&sale, &performance).send().await).len(), 1, "each failed export gave its permit back");
}

#[tokio::test]
async fn an_export_without_a_folder_for_temporary_files_is_refused() {
    let launch = Sale::launch(ONSALE).set("TMPDIR", "/nonexistent");
    let sale = Sale::start(&launch).await;
    let performance = sale.performance(&sale.concert(&room(10)).await, &Value::Null).await;
    csv_of(&sale, &performance).refused(503, "unavailable").await;
    logged(&sale, "TMPDIR").await;
    let entries = sale.admin(sale.caller.get("/admin/log?action=list.exported")).expect(200).await;
    assert_eq!(entries, json!([]), "nothing was exported");
    sale.charge("ada", 1).await;
}
