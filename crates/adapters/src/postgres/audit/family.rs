//! Rows that belong to others. No foreign key watches over those that a sale writes.

use onsale_app::audit::source::FamilyRow;

use super::super::values::{Sql, number, uuid};
use super::Out;
use super::snapshot::Connection;
use crate::stored::{FAMILIES, count_orphans, missing_parents};

pub(super) async fn families(mut connection: Connection, out: Out<FamilyRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    for family in FAMILIES {
        let counted = transaction.query_one(&count_orphans(*family), &[]).await?;
        let (rows, orphans) = (number(&counted, 0)?, number(&counted, 1)?);
        let mut missing = Vec::new();
        if orphans > 0 {
            let found = transaction.query(&missing_parents(*family), &[]).await?;
            missing = found.iter().map(|row| uuid(row, 0)).collect::<Sql<_>>()?;
        }
        let (children, parents, _) = *family;
        out.row(FamilyRow { children, parents, rows, missing, orphans }).await;
    }
    Ok(())
}
