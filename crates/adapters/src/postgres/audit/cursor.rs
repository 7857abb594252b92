//! The rows of one statement, fetched in pages.

use tokio_postgres::{Portal, Row, Transaction};

use super::super::values::Sql;

/// Rows of a page. A stream with several cursors keeps one page for each.
const PAGE: i32 = 1_000;

/// Rows of a statement in its order, each read into a `T`.
///
/// A portal, rather than a cursor that is declared: it is planned to be read to its end.
pub(super) struct Cursor<'a, T> {
    transaction: &'a Transaction<'a>,
    portal: Portal,
    read: fn(&Row) -> Sql<T>,
    page: std::vec::IntoIter<Row>,
    /// The server has no more pages.
    over: bool,
    /// A row that was read and not yet returned.
    ahead: Option<T>,
}

impl<'a, T> Cursor<'a, T> {
    /// Starts a statement without parameters. `read` decodes its rows.
    pub(super) async fn open(
        transaction: &'a Transaction<'a>,
        sql: &'static str,
        read: fn(&Row) -> Sql<T>,
    ) -> Sql<Self> {
        let portal = transaction.bind(sql, &[]).await?;
        Ok(Self { transaction, portal, read, page: Vec::new().into_iter(), over: false, ahead: None })
    }

    pub(super) async fn next(&mut self) -> Sql<Option<T>> {
        if let Some(row) = self.ahead.take() {
            return Ok(Some(row));
        }
        if self.page.len() == 0 && !self.over {
            let page = self.transaction.query_portal(&self.portal, PAGE).await?;
            self.over = page.len() < PAGE as usize;
            self.page = page.into_iter();
        }
        self.page.next().map(|row| (self.read)(&row)).transpose()
    }

    /// The next row if `wanted` accepts it. Otherwise the row stays the next one.
    pub(super) async fn next_if(&mut self, wanted: impl FnOnce(&T) -> bool) -> Sql<Option<T>> {
        match self.next().await? {
            Some(row) if wanted(&row) => Ok(Some(row)),
            other => {
                self.ahead = other;
                Ok(None)
            }
        }
    }
}

impl<K: Ord, V> Cursor<'_, (K, V)> {
    /// The next row with this key; `None` after the last. Callers ask for keys in ascending order, and rows of keys in between
    /// are skipped.
    pub(super) async fn of(&mut self, key: &K) -> Sql<Option<V>> {
        while self.next_if(|(of, _)| of < key).await?.is_some() {}
        Ok(self.next_if(|(of, _)| of == key).await?.map(|(_, row)| row))
    }
}
