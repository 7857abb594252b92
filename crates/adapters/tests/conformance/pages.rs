//! Lists read page by page.

use std::fmt::Debug;

use onsale_app::store::{Page, StoreError};

/// All rows of a list, read in pages of this size. Each page starts after the last row of the page before.
pub(crate) async fn all<T, C, A>(limit: usize, cursor: impl Fn(&T) -> C, ask: A) -> Vec<T>
where
    T: Debug,
    C: Copy + PartialEq + Debug,
    A: AsyncFn(Page<C>) -> Result<Vec<T>, StoreError>,
{
    let mut rows: Vec<T> = Vec::new();
    loop {
        let page = Page { after: rows.last().map(&cursor), limit };
        let found = ask(page).await.expect("a page");
        assert!(found.len() <= limit, "a page of {limit} has {} rows", found.len());
        assert!(page.after.is_none() || found.first().map(&cursor) != page.after, "{:?} comes again", page.after);
        let is_last = found.len() < limit;
        rows.extend(found);
        if is_last {
            return rows;
        }
    }
}
