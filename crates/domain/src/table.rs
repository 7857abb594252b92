//! Rows in memory during one unit of work.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

/// The loaded rows of one kind, by key. Tracks which rows changed, so that only those are saved.
///
/// A row that the load did not find is loaded too: it is known to be absent. A row that was never
/// requested is unknown, and reading it is a defect in a command's `needs`.
#[derive(Debug)]
pub struct Table<K, V> {
    rows: HashMap<K, Row<V>>,
}

#[derive(Debug)]
struct Row<V> {
    value: Option<V>,
    changed: bool,
    /// Whether the store has a row with this key.
    stored: bool,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone + Debug, V> Table<K, V> {
    /// Adds a row as the store has it; `None` if the store has none.
    pub fn load(&mut self, key: K, value: Option<V>) {
        let stored = value.is_some();
        self.rows.insert(key, Row { value, changed: false, stored });
    }

    /// Whether the row was loaded.
    pub fn is_loaded(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// The row, if it exists.
    ///
    /// # Panics
    /// If the row was not loaded: a rule must not decide over rows that it has not seen.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self.rows.get(key) {
            Some(row) => row.value.as_ref(),
            None => missing(key),
        }
    }

    /// The row, to change it in place. Marks it as changed.
    ///
    /// # Panics
    /// As [`Table::get`].
    pub fn change(&mut self, key: &K) -> Option<&mut V> {
        match self.rows.get_mut(key) {
            Some(row) => {
                row.changed |= row.value.is_some();
                row.value.as_mut()
            }
            None => missing(key),
        }
    }

    /// The row, to apply a change in memory that the store applies itself whenever it reads the row. It is saved only with
    /// another change, so that what is written does not depend on which rows happen to be loaded.
    ///
    /// # Panics
    /// As [`Table::get`].
    pub fn apply(&mut self, key: &K) -> Option<&mut V> {
        match self.rows.get_mut(key) {
            Some(row) => row.value.as_mut(),
            None => missing(key),
        }
    }

    /// Inserts a row, or replaces it.
    pub fn put(&mut self, key: K, value: V) {
        let stored = self.rows.get(&key).is_some_and(|row| row.stored);
        self.rows.insert(key, Row { value: Some(value), changed: true, stored });
    }

    /// Deletes a row.
    pub fn remove(&mut self, key: &K) {
        if let Some(row) = self.rows.get_mut(key) {
            row.changed |= row.value.is_some();
            row.value = None;
        }
    }

    /// The changes to save: `Some` to write, `None` to delete.
    pub fn changed(&self) -> impl Iterator<Item = (&K, Option<&V>)> {
        self.rows.iter().filter(|(_, row)| row.changed).map(|(key, row)| (key, row.value.as_ref()))
    }

    /// Whether the store had the row when it was loaded.
    pub fn is_stored(&self, key: &K) -> bool {
        self.rows.get(key).is_some_and(|row| row.stored)
    }

    /// The keys of stored rows that changed or were deleted.
    pub fn outdated(&self) -> impl Iterator<Item = &K> {
        self.rows.iter().filter(|(_, row)| row.changed && row.stored).map(|(key, _)| key)
    }

    /// The rows that the store does not have yet.
    pub fn added(&self) -> impl Iterator<Item = (&K, &V)> {
        let added = self.rows.iter().filter(|(_, row)| row.changed && !row.stored);
        added.filter_map(|(key, row)| Some((key, row.value.as_ref()?)))
    }

    /// The keys that were loaded.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.rows.keys()
    }

    /// All existing rows.
    pub fn values(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().filter_map(|(key, row)| Some((key, row.value.as_ref()?)))
    }
}

#[expect(clippy::panic, reason = "deciding on a row that was not loaded would be wrong in silence")]
fn missing<K: Debug>(key: &K) -> ! {
    panic!("the row {key:?} was not loaded: a command's needs() forgot it")
}
