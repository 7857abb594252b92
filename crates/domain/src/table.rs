//! Rows in memory for the length of one unit of work.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

/// The loaded rows of one kind, by key. Remembers which were changed, so that only those are saved.
///
/// A row that was looked for and not found is loaded too: it is known to be absent. A row that was never
/// looked for is not known at all, and asking for it is a defect in a command's `needs`.
#[derive(Debug)]
pub struct Table<K, V> {
    rows: HashMap<K, Row<V>>,
}

#[derive(Debug)]
struct Row<V> {
    value: Option<V>,
    changed: bool,
    /// Whether the store has a row under this key.
    stored: bool,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone + Debug, V> Table<K, V> {
    /// Takes in a row as the store has it; `None` where the store has none.
    pub fn load(&mut self, key: K, value: Option<V>) {
        let stored = value.is_some();
        self.rows.insert(key, Row { value, changed: false, stored });
    }

    /// Whether the row was looked for.
    pub fn is_loaded(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// The row, where there is one.
    ///
    /// # Panics
    /// Where the row was never loaded: no rule may decide on what it has not seen.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self.rows.get(key) {
            Some(row) => row.value.as_ref(),
            None => missing(key),
        }
    }

    /// The row to change it in place; marks it as changed.
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

    /// Puts a row in place, new or instead of the one before.
    pub fn put(&mut self, key: K, value: V) {
        let stored = self.rows.get(&key).is_some_and(|row| row.stored);
        self.rows.insert(key, Row { value: Some(value), changed: true, stored });
    }

    /// Takes a row out of the store.
    pub fn remove(&mut self, key: &K) {
        if let Some(row) = self.rows.get_mut(key) {
            row.changed |= row.value.is_some();
            row.value = None;
        }
    }

    /// What must be saved: `Some` to write, `None` to delete.
    pub fn changed(&self) -> impl Iterator<Item = (&K, Option<&V>)> {
        self.rows.iter().filter(|(_, row)| row.changed).map(|(key, row)| (key, row.value.as_ref()))
    }

    /// The keys under which the store has a row that is no longer right.
    pub fn outdated(&self) -> impl Iterator<Item = &K> {
        self.rows.iter().filter(|(_, row)| row.changed && row.stored).map(|(key, _)| key)
    }

    /// The rows that the store does not have yet.
    pub fn added(&self) -> impl Iterator<Item = (&K, &V)> {
        let added = self.rows.iter().filter(|(_, row)| row.changed && !row.stored);
        added.filter_map(|(key, row)| Some((key, row.value.as_ref()?)))
    }

    /// The keys that were looked for.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.rows.keys()
    }

    /// All rows that are there.
    pub fn values(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().filter_map(|(key, row)| Some((key, row.value.as_ref()?)))
    }
}

#[expect(clippy::panic, reason = "deciding on a row that was not loaded would be wrong in silence")]
fn missing<K: Debug>(key: &K) -> ! {
    panic!("the row {key:?} was not loaded: a command's needs() forgot it")
}
