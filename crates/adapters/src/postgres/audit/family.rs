//! Rows that belong to rows of another table. Tables that a sale writes have no foreign keys, because checking one would lock
//! the parent row.

use onsale_app::audit::source::FamilyRow;

use super::super::values::{Sql, number, uuid};
use super::Out;
use super::snapshot::Connection;
use crate::stored::{ADJUSTED, COUNT_ADJUSTED, FAMILIES, Family};

pub(super) async fn families(mut connection: Connection, out: Out<FamilyRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    for family in FAMILIES {
        let counted = transaction.query_one(&family.count_orphans(), &[]).await?;
        let (rows, orphans) = (number(&counted, 0)?, number(&counted, 1)?);
        let mut missing = Vec::new();
        if orphans > 0 {
            let found = transaction.query(&family.missing_parents(), &[]).await?;
            missing = found.iter().map(|row| uuid(row, 0)).collect::<Sql<_>>()?;
        }
        let Family { children, parents, .. } = *family;
        out.row(FamilyRow { children, parents, rows, missing, orphans }).await;
    }
    let counted = transaction.query_one(COUNT_ADJUSTED, &[]).await?;
    let (rows, orphans) = (number(&counted, 0)?, number(&counted, 1)?);
    let (children, parents) = ADJUSTED;
    out.row(FamilyRow { children, parents, rows, missing: Vec::new(), orphans }).await;
    Ok(())
}
