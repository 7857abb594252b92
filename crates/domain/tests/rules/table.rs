//! Rows of one unit of work: what was looked for, what changed, and what the store has to do.

use onsale_domain::table::Table;

/// A table into which 1 and 2 were loaded as "one" and "two", and 3 as absent.
fn loaded() -> Table<u32, String> {
    let mut table = Table::default();
    table.load(1, Some("one".to_owned()));
    table.load(2, Some("two".to_owned()));
    table.load(3, None);
    table
}

/// Checks what is to be saved: all changes, the keys outdated in the store, and those added to it.
#[track_caller]
fn check(table: &Table<u32, String>, changed: &[(u32, Option<&str>)], outdated: &[u32], added: &[(u32, &str)]) {
    let mut rows: Vec<_> = table.changed().map(|(key, row)| (*key, row.map(String::as_str))).collect();
    rows.sort_unstable();
    assert_eq!(rows, changed, "changed");
    let mut keys: Vec<u32> = table.outdated().copied().collect();
    keys.sort_unstable();
    assert_eq!(keys, outdated, "outdated");
    let mut rows: Vec<_> = table.added().map(|(key, row)| (*key, row.as_str())).collect();
    rows.sort_unstable();
    assert_eq!(rows, added, "added");
}

#[test]
fn a_row_that_was_only_read_is_not_saved() {
    let mut table = loaded();
    assert_eq!(table.get(&1).map(String::as_str), Some("one"));
    assert_eq!(table.get(&3), None);
    assert_eq!(table.change(&3), None, "there is nothing to change");
    table.remove(&3);
    check(&table, &[], &[], &[]);
    let mut rows: Vec<_> = table.values().map(|(key, row)| (*key, row.as_str())).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(1, "one"), (2, "two")]);
}

#[test]
fn each_change_is_saved_once_as_it_ended() {
    let mut table = loaded();
    table.change(&1).unwrap().push('!');
    table.change(&1).unwrap().push('!');
    table.remove(&2);
    table.put(3, "three".to_owned());
    table.put(4, "four".to_owned());
    table.change(&4).unwrap().push('!');
    let changed = [(1, Some("one!!")), (2, None), (3, Some("three")), (4, Some("four!"))];
    check(&table, &changed, &[1, 2], &[(3, "three"), (4, "four!")]);
    assert_eq!((table.get(&2), table.values().count()), (None, 3));
}

#[test]
fn a_row_that_is_added_and_removed_in_one_unit_is_not_saved() {
    let mut table = loaded();
    table.put(3, "three".to_owned());
    table.remove(&3);
    table.remove(&1);
    table.put(1, "uno".to_owned());
    check(&table, &[(1, Some("uno")), (3, None)], &[1], &[]);
}

#[test]
fn a_row_looked_for_is_known_there_or_not() {
    let table = loaded();
    assert_eq!([1, 2, 3, 4].map(|key| table.is_loaded(&key)), [true, true, true, false]);
}

#[test]
#[should_panic(expected = "the row 4 was not loaded")]
fn nothing_is_decided_on_a_row_that_was_never_looked_for() {
    loaded().get(&4);
}

#[test]
#[should_panic(expected = "the row 4 was not loaded")]
fn nothing_is_changed_that_was_never_looked_for() {
    loaded().change(&4);
}
